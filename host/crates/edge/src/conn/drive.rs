//! Polls hyper's connection under the deadlines of [`Progress`].

use super::progress::{Deadlines, Expired, Progress};
use crate::counters::{Counters, count};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep};

/// How a connection came to its end.
pub(crate) enum End {
    /// hyper is done with it.
    Done(hyper::Result<()>),
    /// A deadline passed.
    Expired(Expired),
}

/// The one timer of a connection. It is armed rarely: while an armed one goes
/// off too early for the deadline that holds by then, it is armed anew.
pub(crate) struct Alarm<'a> {
    sleep: Pin<&'a mut Sleep>,
    armed: Option<Instant>,
}

impl<'a> Alarm<'a> {
    /// `sleep` must not have been polled.
    pub(crate) fn new(sleep: Pin<&'a mut Sleep>) -> Self {
        Self { sleep, armed: None }
    }

    /// True if `at` has passed; otherwise the task is woken then, or before.
    fn passed(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        if self.armed.is_some() && self.sleep.is_elapsed() {
            if Instant::now() >= at {
                self.armed = None;
                return true;
            }
            self.armed = None;
        }
        if self.armed.is_none_or(|armed| at < armed) {
            self.sleep.as_mut().reset(at);
            self.armed = Some(at);
            // The first poll after a reset registers the wake-up.
            return self.sleep.as_mut().poll(cx).is_ready();
        }
        false
    }
}

/// One turn: hyper first, then drain orders and deadlines.
pub(crate) fn turn<C>(
    cx: &mut Context<'_>,
    mut connection: Pin<&mut C>,
    shut: impl FnOnce(Pin<&mut C>),
    progress: &Progress,
    deadlines: &Deadlines,
    counters: &Counters,
    alarm: &mut Alarm<'_>,
) -> Poll<End>
where
    C: Future<Output = hyper::Result<()>>,
{
    if let Poll::Ready(result) = connection.as_mut().poll(cx) {
        return Poll::Ready(End::Done(result));
    }
    if progress.take_drain() {
        shut(connection.as_mut());
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(End::Done(result));
        }
    }
    loop {
        let Some((at, what)) = progress.due(deadlines) else { return Poll::Pending };
        if !alarm.passed(at, cx) {
            return Poll::Pending;
        }
        if what != Expired::Body {
            return Poll::Ready(End::Expired(what));
        }
        // The handler learns of it from the body, which is woken, and answers.
        count(&counters.body_timeouts);
        progress.expire_body();
    }
}
