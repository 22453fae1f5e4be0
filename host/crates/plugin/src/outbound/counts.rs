//! What becomes of a plugin's calls to one upstream, of all workers and generations together.

use crate::bindings::contract::types::Failure;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Reasons of calls without a reply, as they are told: the contract's failures that a call can
/// end with, and the end of whoever waited.
const REASONS: [&str; 6] = ["denied", "timed-out", "too-large", "unavailable", "invalid", "left"];
/// The place of `left`.
const LEFT: usize = 5;

/// The counters of one upstream of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    calls: AtomicU64,
    waiting: AtomicU64,
    nanoseconds: AtomicU64,
    without_reply: [AtomicU64; REASONS.len()],
}

/// Calls of a plugin to an upstream, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSeen {
    /// Name of the plugin.
    pub plugin: String,
    /// Name of the upstream.
    pub upstream: String,
    /// Calls that began.
    pub calls: u64,
    /// Calls that wait now.
    pub waiting: u64,
    /// Time of all calls that are over, nanoseconds.
    pub nanoseconds: u64,
    /// Calls that ended without a reply, by reason; those that never happened are left out.
    pub without_reply: Vec<(&'static str, u64)>,
}

impl Counts {
    pub(crate) fn read(&self, plugin: &str, upstream: &str) -> UpstreamSeen {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let without_reply = REASONS.iter().copied().zip(self.without_reply.iter().map(read));
        UpstreamSeen {
            plugin: plugin.to_owned(),
            upstream: upstream.to_owned(),
            calls: read(&self.calls),
            waiting: read(&self.waiting),
            nanoseconds: read(&self.nanoseconds),
            without_reply: without_reply.filter(|(_, count)| *count > 0).collect(),
        }
    }

    /// Counts a call that begins.
    pub(super) fn begin(&self) -> Counted<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Counted { counts: self, begun: Instant::now(), outcome: Some(LEFT) }
    }
}

/// A call under way; dropped before its end, its client has left or its time is over.
pub(super) struct Counted<'c> {
    counts: &'c Counts,
    begun: Instant,
    /// Place of the reason; `None` with a reply.
    outcome: Option<usize>,
}

impl Counted<'_> {
    /// It has come to its end.
    pub(super) fn end<T>(mut self, outcome: &Result<T, Failure>) {
        self.outcome = outcome.as_ref().err().map(|failure| match failure {
            Failure::Denied => 0,
            Failure::TimedOut => 1,
            Failure::TooLarge => 2,
            Failure::Invalid(_) => 4,
            Failure::NotFound | Failure::Unavailable | Failure::Conflict | Failure::Other(_) => 3,
        });
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Self { counts, begun, outcome } = self;
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counts.nanoseconds.fetch_add(took, Ordering::Relaxed);
        if let Some(cell) = outcome.and_then(|place| counts.without_reply.get(place)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }
}
