//! Forwarding to the loopback backend: an own strict HTTP/1.1 client on the
//! worker's stream.
//!
//! *Place in the journey:* after plugins and handler mapping have let a request
//! in, before plugins see its response. One [`Forwarder`] per worker; it is not
//! shared between threads and starts no task of its own: a request's future and
//! then its response body drive the backend's connection in both directions.
//!
//! *Invariant:* nothing else writes to the backend. The pairing token is written
//! last into each head and is in no response. A request that broke off is never
//! ended as if it were whole, and neither is a response.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod affinity;
mod body;
mod call;
mod choice;
mod chunked;
mod connection;
mod counters;
mod deadline;
mod forwarder;
mod inbound;
mod link;
mod outbound;
mod pool;
mod retry;
mod route;
mod settings;
mod upload;

pub use affinity::Affinity;
pub use body::ResponseBody;
pub use counters::Counters;
pub use forwarder::Forwarder;
pub use settings::ForwardSettings;

#[cfg(test)]
mod tests;
