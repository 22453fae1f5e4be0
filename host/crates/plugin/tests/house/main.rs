//! Guests in the real plane: one guest program per behaviour, one test of its name.

/// See [`harness::guest`].
const PREEMPTIBLE: bool = false;

mod bodies;
mod breaker;
#[cfg_attr(target_os = "linux", path = "clock/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "clock/other.rs")]
mod clock;
mod faults;
mod harness;
mod hooks;
mod http_out;
mod life;
mod lifetimes;
mod limits;
#[cfg(target_os = "linux")]
mod preempted;
mod refusals;
mod shared;
mod timer;
mod tokens;
mod traces;
mod wasi;
