//! Telling what happened: typed events, the log writer, counters.
//!
//! *Place in the journey:* the last step, and beside every other one.
//!
//! *Invariant:* it can't block a request. Lines go through a bounded queue to a
//! writer thread; a full queue drops the line and counts it. Values that came
//! from the network are escaped and cut.
#![forbid(unsafe_code)]

mod escape;
pub mod event;
mod log;
pub mod metrics;

pub use escape::escape;
pub use event::{Event, Fields, Level};
pub use log::{Format, Log, LogSettings, LogWriter};
