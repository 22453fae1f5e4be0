//! Time that passes, where the thread's own is not told.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(crate) fn thread_cpu() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed()
}
