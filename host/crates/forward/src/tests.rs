//! The room against scripted backends on real loopback sockets.

mod fleet;
mod framing;
mod instances;
mod life;
mod link;
mod streaming;
pub(crate) mod support;
