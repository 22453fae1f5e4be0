//! Systems whose per-thread clock has no safe call: time that passes counts.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(super) fn thread_cpu() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    ORIGIN.elapsed()
}
