//! The front door over real loopback sockets: raw bytes in, and what the client
//! and the handler saw.
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod bodies;
mod deadlines;
mod drain;
mod endings;
mod heads;
mod support;
mod workers;
