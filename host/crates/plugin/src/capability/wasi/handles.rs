//! What an instance's handles stand for.
#![allow(unreachable_pub, reason = "the generated bindings re-export these types")]

/// A terminal's side; there is none.
pub struct Terminal;

/// Failed operations; there are none: streams only close.
pub struct IoError;

/// Standard input: always at its end.
pub struct InputStream;

/// Standard output or error, told apart by the handle's representation.
pub struct OutputStream;

/// Something to wait for.
pub enum Pollable {
    /// A stream: always ready.
    Ready,
    /// Ready from this time of the monotonic clock on, nanoseconds.
    At(u64),
}
