//! The calling thread's processor time.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

pub(crate) fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("no thread has run for a negative time")
}
