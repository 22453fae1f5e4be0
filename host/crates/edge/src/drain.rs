//! How a worker's front door is told to stop, and what it reports.

use std::time::Duration;

/// What the owner of a worker wants of its front door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrainOrder {
    /// Serve.
    #[default]
    Run,
    /// Accept nothing new, close what is idle, answer what is in flight with
    /// `connection: close`, and cut what is left after this time.
    Drain {
        /// Counted from when the worker hears of it.
        cut_after: Duration,
    },
    /// Cut everything now.
    Cut,
}

/// How draining went, in connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Open when the order came.
    pub open: usize,
    /// Of those, and of the ones that still lay in the backlog: ended by themselves.
    pub finished: usize,
    /// Cut at the deadline or by [`DrainOrder::Cut`].
    pub cut: usize,
}
