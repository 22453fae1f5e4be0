//! Hooks that may wait: their turns on the worker, and the processor time of each.
//!
//! Such a hook runs on a stack of its own, a fiber, and gives the worker back while it
//! waits for the network. A thread's processor time then counts other requests too, so
//! it is read where a turn begins and where it ends. Nothing is read at the first
//! turn's begin, as with hooks that never wait: most are over before the clock's first tick.

use crate::budget::{Judgement, TICK, Times, ticks};
use crate::worker::Worker;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

/// Longest turn of a hook on a fiber, as epochs of the plugin clock: after it all others of
/// the worker have theirs. With the tick that is under way at its begin, 2 ms.
const TURN_TICKS: u64 = 1;

/// No time was read in this turn.
const UNREAD: u64 = u64::MAX;

/// The processor time of one hook, over all its turns. The instance looks at it from inside
/// a turn, [`in_turns`] from outside; both on the worker's thread, never at once.
#[derive(Debug)]
pub(crate) struct FiberClock {
    /// Of the turns that are over, in nanoseconds.
    used_ns: AtomicU64,
    /// The thread's processor time at this turn's begin, in nanoseconds.
    turn_ns: AtomicU64,
    /// False until the first turn is over.
    has_waited: std::sync::atomic::AtomicBool,
}

impl FiberClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            used_ns: AtomicU64::new(0),
            turn_ns: AtomicU64::new(UNREAD),
            has_waited: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// A hook begins.
    pub(crate) fn reset(&self) {
        self.used_ns.store(0, Ordering::Relaxed);
        self.turn_ns.store(UNREAD, Ordering::Relaxed);
        self.has_waited.store(false, Ordering::Relaxed);
    }

    /// Looks at the hook at a tick; [`Judgement::GoOn`] means after a turn of the others.
    pub(crate) fn look(&self, deadline: Duration, times: &mut impl Times) -> Judgement {
        let now = nanos(times.cpu());
        let begun = match self.turn_ns.load(Ordering::Relaxed) {
            UNREAD => {
                self.turn_ns.store(now, Ordering::Relaxed);
                now
            }
            begun => begun,
        };
        let used = self.used_ns.load(Ordering::Relaxed).saturating_add(now.saturating_sub(begun));
        let left = deadline.saturating_sub(Duration::from_nanos(used));
        if left.is_zero() { Judgement::Stop } else { Judgement::GoOn(ticks(left.min(TICK)).min(TURN_TICKS)) }
    }

    fn begin_turn(&self, times: &mut impl Times) {
        if self.has_waited.load(Ordering::Relaxed) {
            self.turn_ns.store(nanos(times.cpu()), Ordering::Relaxed);
        }
    }

    fn end_turn(&self, times: &mut impl Times) {
        self.has_waited.store(true, Ordering::Relaxed);
        let begun = self.turn_ns.swap(UNREAD, Ordering::Relaxed);
        if begun != UNREAD {
            let used = nanos(times.cpu()).saturating_sub(begun);
            self.used_ns.fetch_add(used, Ordering::Relaxed);
        }
    }
}

/// Runs a call on a fiber: epochs pass while it has its turn, and its clock counts only that.
///
/// # Cancel safety
/// Dropping it ends the call where it waits; its instance is then good for nothing.
pub(crate) async fn in_turns<T>(
    worker: &Worker,
    clock: &FiberClock,
    times: &mut impl Times,
    call: impl Future<Output = T>,
) -> T {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let _busy = worker.run();
        clock.begin_turn(times);
        let polled = call.as_mut().poll(cx);
        if polled.is_pending() {
            clock.end_turn(times);
        }
        polled
    })
    .await
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(UNREAD - 1)
}

/// Runs a future that waits for nothing but its own next turn, off the workers.
pub(crate) fn to_its_end<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let Poll::Ready(value) = call.as_mut().poll(&mut cx) {
            return value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FiberClock;
    use crate::budget::{Judgement, Times};
    use std::time::Duration;

    /// The thread's processor time in microseconds, set by the test.
    struct Cpu(u64);

    impl Times for Cpu {
        fn cpu(&mut self) -> Duration {
            Duration::from_micros(7_000_000 + self.0)
        }

        fn wall(&mut self) -> Duration {
            Duration::ZERO
        }
    }

    #[test]
    fn only_its_own_turns_count() {
        let (clock, deadline) = (FiberClock::new(), Duration::from_millis(10));
        let look = |at| clock.look(deadline, &mut Cpu(at));
        clock.begin_turn(&mut Cpu(0));
        assert_eq!(look(900), Judgement::GoOn(1), "the count starts at the first look");
        clock.end_turn(&mut Cpu(1_900));
        // Others compute for a minute.
        clock.begin_turn(&mut Cpu(60_000_000));
        assert_eq!(look(60_008_999), Judgement::GoOn(1));
        assert_eq!(look(60_009_000), Judgement::Stop, "1 ms before the wait, 9 ms after it");
        clock.reset();
        clock.begin_turn(&mut Cpu(60_010_000));
        assert_eq!(look(60_010_000), Judgement::GoOn(1), "the next hook starts anew");
    }

    #[test]
    fn many_short_turns_add_up() {
        let (clock, deadline) = (FiberClock::new(), Duration::from_millis(10));
        let mut at = 0;
        for _ in 0..21 {
            clock.begin_turn(&mut Cpu(at));
            at += 500;
            clock.end_turn(&mut Cpu(at));
            at += 100_000;
        }
        clock.begin_turn(&mut Cpu(at));
        // The first turn was over before a look: it is the one that does not count.
        assert_eq!(clock.look(deadline, &mut Cpu(at)), Judgement::Stop);
    }
}
