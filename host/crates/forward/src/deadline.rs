//! The idle limit of a connection, without a timer per request.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that moves with each progress.
///
/// One timer serves a connection for its whole life. Progress only forgets the
/// due time; the timer stays armed for an earlier one, fires too early at most
/// once in a limit's length, and is then moved on. So a request costs one look
/// at the clock and no work on the timer wheel.
#[derive(Default)]
pub(crate) struct Deadline {
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Something moved.
    pub(crate) fn progress(&mut self) {
        self.due = None;
    }

    /// Ready once `limit` has passed since the first poll after the last progress.
    /// `limit` may be another one only after progress.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let due = *self.due.get_or_insert_with(|| Instant::now() + limit);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // Armed for a longer limit than the one that holds now.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}
