//! How often an application may crash, and how long a failed start waits.

use crate::settings::BackOff;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Crashes are counted within this window.
pub(super) const CRASH_WINDOW: Duration = Duration::from_secs(60);

/// The crashes of the last minute, over all instances.
#[derive(Debug, Default)]
pub(super) struct Budget {
    crashes: VecDeque<Instant>,
}

impl Budget {
    /// Counts one crash.
    pub(super) fn crashed(&mut self, now: Instant, crashes_max: u32) {
        self.crashes.push_back(now);
        self.count(now, crashes_max);
    }

    /// Forgets all: an operator tries again.
    pub(super) fn reset(&mut self) {
        self.crashes.clear();
    }

    /// Crashes within the window; forgets older ones, and more than are needed.
    fn count(&mut self, now: Instant, crashes_max: u32) -> u32 {
        while self.crashes.front().is_some_and(|at| now.duration_since(*at) >= CRASH_WINDOW) {
            self.crashes.pop_front();
        }
        // `rapidFailsPerMinute` is at most 100, so more are never needed to tell.
        let max = usize::try_from(crashes_max).map_or(usize::MAX, |max| max.saturating_add(1));
        while self.crashes.len() > max {
            self.crashes.pop_front();
        }
        u32::try_from(self.crashes.len()).unwrap_or(u32::MAX)
    }

    /// Crashes within the window, without forgetting.
    pub(super) fn within(&self, now: Instant) -> u32 {
        let count = self.crashes.iter().filter(|at| now.duration_since(**at) < CRASH_WINDOW).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// When the oldest crash leaves the window.
    pub(super) fn returns(&self) -> Option<Instant> {
        self.crashes.front().map(|at| *at + CRASH_WINDOW)
    }

    /// How many crashes are too many, and until when; none while starts are allowed.
    pub(super) fn exceeded(&mut self, now: Instant, crashes_max: u32) -> Option<(u32, Instant)> {
        let crashes = self.count(now, crashes_max);
        let oldest = self.crashes.front().filter(|_| crashes > crashes_max)?;
        Some((crashes, *oldest + CRASH_WINDOW))
    }
}

/// Waiting time after the given number of failures in a row; none after the
/// first. `dice` is a number from 0 to 1,000.
pub(super) fn back_off(settings: BackOff, failures: u32, dice: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(2)?;
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let wait = settings.first.saturating_mul(factor).min(settings.max);
    Some(wait + wait * settings.jitter_percent / 100 * dice.min(1000) / 1000)
}
