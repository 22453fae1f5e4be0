//! The way of a request through the house, told in one place.
//!
//! *Place in the journey:* steps 5 to 11: generation, plugins in, handler,
//! backend, plugins out; and the record at the end.
//!
//! *Invariant:* no IO of its own. It knows the other rooms only by the traits
//! of `wire`, and `rescue` is the only way from a [`wire::Fault`] to a status.
#![forbid(unsafe_code)]

mod body;
mod generation;
mod journey;
mod page;
mod rescue;
mod trace;

pub use body::{Counted, Payload, Told};
pub use generation::{Generation, Pipeline, Route, Rules, Site};
