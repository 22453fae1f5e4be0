//! The room against scripted backends on real loopback sockets.

mod drain;
mod fleet;
mod framing;
mod instances;
mod life;
mod link;
mod sticky;
mod streaming;
pub(crate) mod support;
