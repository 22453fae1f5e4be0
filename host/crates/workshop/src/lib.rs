//! Where plugins are made: from what a language's own tool leaves behind to a component
//! for the contract.
//!
//! *Place in the journey:* none; it serves plugin authors, at `gatelodge plugin build` and
//! its neighbours. [`component`] embeds the contract's types, gives exports the names that a
//! language could not write, and puts [`SHIM`] below a module that was compiled for wasip1.
//!
//! *Invariant:* it runs nothing of a plugin and knows no engine. Its input is a stranger's:
//! every bad one is an [`Error`] that says what to do.
#![forbid(unsafe_code)]

mod check;
mod contract;
mod encode;
mod error;
mod inspect;
mod module;
mod names;
mod world;

pub use check::check;
pub use contract::{Contract, PACKAGE, VERSION, WIT};
pub use encode::{Built, SHIM, component};
pub use error::Error;
pub use inspect::{Inspection, inspect};
pub use world::{WitFile, World};
