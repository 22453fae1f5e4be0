//! Vocabulary and rules of the house: what a request is, which names are
//! reserved, who is guilty when something fails, and what the rooms ask of each
//! other.
//!
//! *Place in the journey:* everywhere; every other room speaks in these words.
//!
//! *Invariant:* no IO, no runtime, no clock, and nothing here allocates by a
//! size that a stranger chose. It can't fail for outside reasons.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod admit;
pub mod exchange;
pub mod fault;
pub mod fields;
pub mod framing;
pub mod host;
pub mod load;
pub mod ports;
pub mod target;
pub mod token;
pub mod trace;

pub use exchange::{ConnFacts, Exchange, RequestHead, RequestId, ResponseHead, Scheme};
pub use fault::{Fault, Kind, NotFound, PluginFault, Side, StartFailure, StartReport};
pub use framing::Framing;
pub use load::{InFlight, Load};
pub use target::CanonicalPath;
pub use token::PairingToken;
pub use trace::{Trace, TraceKey};
