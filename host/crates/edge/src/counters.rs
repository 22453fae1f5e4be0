//! What a worker's front door counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one worker since its start. The worker alone writes them; whoever
/// holds the other half of the `Arc` may read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted, those over budget included.
    pub accepted: AtomicU64,
    /// Connections ended, of those within the budget.
    pub closed: AtomicU64,
    /// Connections closed at once because the worker had its fill.
    pub over_budget: AtomicU64,
    /// Accepts that failed for want of descriptors or memory.
    pub accept_failures: AtomicU64,
    /// Heads that the parser understood.
    pub requests: AtomicU64,
    /// Heads that admission refused.
    pub refused: AtomicU64,
    /// Bytes that were no HTTP/1 head: refused by the parser or the sniffer.
    pub malformed: AtomicU64,
    /// Connections closed because no first byte came.
    pub first_byte_timeouts: AtomicU64,
    /// Heads that did not end in time.
    pub head_timeouts: AtomicU64,
    /// Kept connections closed because no further request came.
    pub idle_timeouts: AtomicU64,
    /// Request bodies that stopped coming.
    pub body_timeouts: AtomicU64,
    /// Connections reset because the client took nothing of its reply.
    pub write_timeouts: AtomicU64,
    /// Replies that were broken off.
    pub broken_replies: AtomicU64,
    /// Connections whose task panicked.
    pub panics: AtomicU64,
}

/// Adds one. Relaxed: a count orders nothing.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
