//! The front door: HTTP/1.1 over TCP.
//!
//! *Place in the journey:* steps 1 to 4 and 12. A worker accepts on its own
//! listening sockets, waits for the first byte, lets hyper parse the head under
//! explicit limits, admits it by the rules of `wire`, calls the [`Handle`] that
//! it was given, and streams the reply with back-pressure.
//!
//! *Invariant:* the room never sees the pairing token, a plugin or a backend's
//! address. Every wait on a client has a deadline, every buffer a limit, and an
//! early end of a reply is a reset, never a clean finish.
//!
//! All of one worker runs on its own thread, inside a `tokio::task::LocalSet`;
//! nothing here is shared between workers but [`Counters`].
//!
//! [`Handle`]: wire::ports::Handle
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod body;
mod conn;
mod counters;
mod drain;
mod listen;
mod serve;
mod settings;

pub use body::RequestBody;
pub use counters::Counters;
pub use drain::{DrainOrder, DrainReport};
pub use listen::{BindError, Bound, Door, ListenHost, ListenUrl, ListenUrlError, WorkerListeners};
pub use serve::serve;
pub use settings::EdgeSettings;
