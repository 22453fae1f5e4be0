//! The same stories as in `house`, with plugins that are preemptible: what a hook does must
//! not depend on how it is run.

#![allow(dead_code, reason = "the harness serves both")]

/// See [`harness::guest`].
const PREEMPTIBLE: bool = true;

#[path = "../house/bodies.rs"]
mod bodies;
#[cfg_attr(target_os = "linux", path = "../house/clock/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "../house/clock/other.rs")]
mod clock;
#[path = "../house/faults.rs"]
mod faults;
#[path = "../house/harness.rs"]
mod harness;
#[path = "../house/hooks.rs"]
mod hooks;
#[path = "../house/shared.rs"]
mod shared;
mod slices;
#[path = "../house/timer.rs"]
mod timer;
#[path = "../house/traces.rs"]
mod traces;
#[path = "../house/wasi.rs"]
mod wasi;
