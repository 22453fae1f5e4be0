//! The calling thread's processor time, as the kernel counts it.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

pub(super) fn thread_cpu() -> Duration {
    // Between 0 and 999,999,999 nanoseconds, and no thread has run for a negative time.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
