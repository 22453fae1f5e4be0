//! The room against scripted backends on real loopback sockets.

mod framing;
mod life;
mod link;
mod streaming;
pub(crate) mod support;
