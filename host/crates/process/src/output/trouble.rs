//! What the operator hears of a log file in trouble: each trouble once.

use crate::event::{Event, Events};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Trouble that comes back sooner than this after the last word about it is
/// counted, and told with the next word or at the end.
const QUIET: Duration = Duration::from_secs(60);

/// Tells troubles as [`Event::OutputLogFailed`]: that one begins, and how much it
/// cost when it is over.
pub(super) struct Trouble {
    events: Arc<dyn Events>,
    path: PathBuf,
    reason: String,
    /// Bytes lost and not told yet.
    lost: u64,
    state: State,
    told_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    /// In trouble; whether that was told.
    Ill {
        told: bool,
    },
}

impl Trouble {
    pub(super) fn new(events: Arc<dyn Events>, path: PathBuf) -> Self {
        Self { events, path, reason: String::new(), lost: 0, state: State::Well, told_at: None }
    }

    /// The file that the next words are about.
    pub(super) fn path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Why output was lost.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// Something failed, now or again.
    pub(super) fn begin(&mut self, reason: &str, now: Instant) {
        reason.clone_into(&mut self.reason);
        if self.state == State::Well {
            let told = self.is_quiet(now);
            self.state = State::Ill { told };
            if told {
                self.tell(reason.to_owned(), now);
            }
        }
    }

    /// Output was lost, for a reason of its own.
    pub(super) fn lose(&mut self, bytes: u64, reason: &str) {
        reason.clone_into(&mut self.reason);
        self.lost += bytes;
    }

    /// Output was lost for the reason that is known already.
    pub(super) fn lose_more(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// Everything is written again.
    pub(super) fn over(&mut self, now: Instant) {
        let told = self.state == (State::Ill { told: true });
        self.state = State::Well;
        if self.lost > 0 && (told || self.is_quiet(now)) {
            self.sum_up(now);
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self, now: Instant) {
        if self.lost > 0 {
            self.sum_up(now);
        }
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET)
    }

    fn sum_up(&mut self, now: Instant) {
        let lost = std::mem::take(&mut self.lost);
        self.tell(format!("{lost} bytes of output were lost: {}", self.reason), now);
    }

    fn tell(&mut self, reason: String, now: Instant) {
        self.told_at = Some(now);
        self.events.tell(Event::OutputLogFailed { path: self.path.clone(), reason });
    }
}
