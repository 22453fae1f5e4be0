//! Waiting for events under a deadline.

use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. Generous, because
/// the machine may be busy: a test that passes never waits for it.
pub const SOON: Duration = Duration::from_secs(20);

/// Looks until there is something to see.
///
/// # Panics
/// If nothing was seen before `limit` was over; the message names `what`.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
