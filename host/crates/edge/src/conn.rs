//! One client connection.

mod drive;
mod farewell;
mod h1;
mod progress;
mod reply;
mod sniff;
mod timed;

pub(crate) use h1::{Worker, serve_connection};
pub(crate) use progress::Progress;
