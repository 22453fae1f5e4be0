//! Counts of one worker's forwarding.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wire::Kind;

/// Classes of faults, in the order of [`Counters::faults`].
const CLASSES: [&str; 12] = [
    "start-failed",
    "queue-full",
    "connect-failed",
    "backend-gone",
    "bad-response",
    "truncated",
    "backend-timeout",
    "body-too-large",
    "client-gone",
    "stopping",
    "offline",
    "other",
];

/// Counts written by one worker and read by anyone.
///
/// Only the worker that owns them writes, so a plain store is enough and no
/// cache line travels between workers.
#[derive(Debug, Default)]
pub struct Counters {
    connects: AtomicU64,
    reuses: AtomicU64,
    retries: AtomicU64,
    resends: AtomicU64,
    ejections: AtomicU64,
    affinity_hits: AtomicU64,
    faults: [AtomicU64; CLASSES.len()],
}

impl Counters {
    /// Connections opened to the backend.
    pub fn connects(&self) -> u64 {
        self.connects.load(Relaxed)
    }

    /// Requests sent on a connection that had served another before.
    pub fn reuses(&self) -> u64 {
        self.reuses.load(Relaxed)
    }

    /// Requests sent a second time, because a reused connection was closed already.
    pub fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Requests that could not be sent to one instance and went to another.
    pub fn resends(&self) -> u64 {
        self.resends.load(Relaxed)
    }

    /// Instances taken out of the choice after too many faults in a row.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    /// Requests whose cookie named the instance that they were sent to.
    pub fn affinity_hits(&self) -> u64 {
        self.affinity_hits.load(Relaxed)
    }

    /// Faults by class: a fixed word and its count.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.iter().copied().zip(self.faults.iter().map(|count| count.load(Relaxed)))
    }

    pub(crate) fn connected(&self) {
        increment(&self.connects);
    }

    pub(crate) fn reused(&self) {
        increment(&self.reuses);
    }

    pub(crate) fn retried(&self) {
        increment(&self.retries);
    }

    pub(crate) fn resent(&self) {
        increment(&self.resends);
    }

    pub(crate) fn ejected(&self) {
        increment(&self.ejections);
    }

    pub(crate) fn affinity_hit(&self) {
        increment(&self.affinity_hits);
    }

    pub(crate) fn failed(&self, kind: &Kind) {
        let class = match kind {
            Kind::StartFailed(_) => "start-failed",
            Kind::QueueFull => "queue-full",
            Kind::ConnectFailed => "connect-failed",
            Kind::BackendGone => "backend-gone",
            Kind::BadResponse(_) => "bad-response",
            Kind::Truncated => "truncated",
            Kind::BackendTimeout(..) => "backend-timeout",
            Kind::BodyTooLarge(_) => "body-too-large",
            Kind::ClientGone => "client-gone",
            Kind::Stopping => "stopping",
            Kind::Offline(_) => "offline",
            _ => "other",
        };
        if let Some((_, count)) = CLASSES.iter().zip(&self.faults).find(|(name, _)| **name == class) {
            increment(count);
        }
    }
}

fn increment(count: &AtomicU64) {
    count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
}
