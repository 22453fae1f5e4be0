//! `log`: lines for the operator, cut in rate and length, controls escaped (grant `log`).

use crate::bindings::contract::log::{Host, Level as Asked};
use crate::log::Level;
use crate::state::{Common, State};
use crate::text::escape;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest message or field value, bytes; longer ones are cut and marked.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024;
/// Most fields of an event; more are left out.
pub(crate) const FIELDS_MAX: usize = 32;
/// Most lines of one plugin per second, all workers together; more are dropped, and their
/// count is told once the second is over. The first line of each completion hook is not
/// counted and never dropped here: a record per request stays one at any rate.
pub(crate) const LINES_PER_SECOND_MAX: u32 = 1_000;

impl Host for State {
    fn enabled(&mut self, at: Asked) -> wasmtime::Result<bool> {
        Ok(self.common.log.enabled(&self.common.name, level(at)))
    }

    fn write(&mut self, at: Asked, message: String) -> wasmtime::Result<()> {
        self.tell(level(at), &message, Vec::new);
        Ok(())
    }

    fn event(&mut self, at: Asked, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.tell(level(at), &message, || {
            let kept = fields.iter().take(FIELDS_MAX);
            kept.map(|(name, value)| (escape(name, 64), escape(value, LINE_BYTES_MAX))).collect()
        });
        Ok(())
    }
}

impl State {
    /// Hands a line to the sink, if it wants it and the plugin may still write in this second.
    pub(crate) fn tell(&mut self, level: Level, message: &str, fields: impl FnOnce() -> Vec<(String, String)>) {
        if !self.common.log.enabled(&self.common.name, level) {
            return;
        }
        let free = std::mem::take(&mut self.has_free_line);
        let second = self.now().monotonic_ns / 1_000_000_000;
        let common = &self.common;
        if !free {
            match common.log_meter.take(second) {
                Passage::Full => return,
                Passage::Open => {}
                Passage::OpenAgain { dropped } => common.tell_dropped(dropped),
            }
        }
        common.log.write(&common.name, level, &escape(message, LINE_BYTES_MAX), &fields());
    }
}

impl Common {
    /// Tells of lines that were dropped in a second that is over. False while a second
    /// in which lines were dropped is not over.
    pub(crate) fn settle_log(&self) -> bool {
        let (dropped, settled) = self.log_meter.settle(self.started.elapsed().as_secs());
        if let Some(dropped) = dropped {
            self.tell_dropped(dropped);
        }
        settled
    }

    fn tell_dropped(&self, dropped: u32) {
        let text = format!("{dropped} log lines were dropped: more than {LINES_PER_SECOND_MAX} in a second");
        self.log.write(&self.name, Level::Warn, &text, &[]);
    }
}

fn level(asked: Asked) -> Level {
    match asked {
        Asked::Trace => Level::Trace,
        Asked::Debug => Level::Debug,
        Asked::Info => Level::Info,
        Asked::Warn => Level::Warn,
        Asked::Error => Level::Error,
    }
}

/// Counts a plugin's lines per second.
#[derive(Default)]
pub(crate) struct Meter {
    /// Second in the upper half, lines in it in the lower.
    window: AtomicU64,
}

#[derive(Debug, PartialEq, Eq)]
enum Passage {
    Open,
    /// The first line after a second in which lines were dropped.
    OpenAgain {
        dropped: u32,
    },
    Full,
}

impl Meter {
    fn take(&self, second: u64) -> Passage {
        let second = second & u64::from(u32::MAX);
        let mut before = 0;
        // The closure always gives a value, so this can't fail.
        let _ = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            before = window;
            // A hook whose frozen time is a little older belongs to the running second.
            let (then, lines) = apart(window);
            Some(if then >= second { together(then, lines.saturating_add(1)) } else { together(second, 1) })
        });
        let (then, lines) = apart(before);
        if then >= second {
            return if lines < LINES_PER_SECOND_MAX { Passage::Open } else { Passage::Full };
        }
        dropped(lines).map_or(Passage::Open, |dropped| Passage::OpenAgain { dropped })
    }

    /// Lines that were dropped before `second` and not told yet; and whether none are
    /// left to be told later.
    fn settle(&self, second: u64) -> (Option<u32>, bool) {
        let second = second & u64::from(u32::MAX);
        let window = self.window.load(Ordering::Relaxed);
        let (then, lines) = apart(window);
        let Some(dropped) = dropped(lines) else { return (None, true) };
        if then >= second {
            return (None, false);
        }
        // Who changes the window tells.
        let next = together(second, 0);
        let told = self.window.compare_exchange(window, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        (told.then_some(dropped), true)
    }
}

/// Second and lines of a window.
fn apart(window: u64) -> (u64, u32) {
    (window >> 32, u32::try_from(window & u64::from(u32::MAX)).unwrap_or(u32::MAX))
}

fn together(second: u64, lines: u32) -> u64 {
    second << 32 | u64::from(lines)
}

fn dropped(lines: u32) -> Option<u32> {
    lines.checked_sub(LINES_PER_SECOND_MAX).filter(|dropped| *dropped > 0)
}

#[cfg(test)]
mod tests {
    use super::{LINES_PER_SECOND_MAX, Meter, Passage};
    use crate::bindings::contract::log::{Host as _, Level as Asked};
    use crate::state::Phase;
    use crate::testing::{Ears, exchange, state};
    use std::sync::Arc;

    #[test]
    fn the_first_line_of_a_completion_is_never_dropped() {
        let ears = Arc::new(Ears::default());
        let mut state = state(&ears, true);
        let limit = usize::try_from(LINES_PER_SECOND_MAX).expect("small");
        let hook = |state: &mut crate::state::State, phase, lines: usize| {
            state.enter(phase, exchange("GET", "/"));
            // All in one second, also where this test is slow.
            state.now = Some(crate::state::Now { unix_ms: 0, monotonic_ns: 0 });
            (0..lines).for_each(|_| state.write(Asked::Info, "line".to_owned()).expect("writing never fails"));
            drop(state.leave());
            ears.heard().len()
        };
        assert_eq!(hook(&mut state, Phase::Completion, limit + 1), limit + 1, "one is free, the others are counted");
        for phase in [Phase::Request, Phase::Response] {
            assert_eq!(hook(&mut state, phase, 2), 0, "{phase:?}");
        }
        for _ in 0..2 * limit {
            assert_eq!(hook(&mut state, Phase::Completion, 3), 1);
        }
        assert_eq!(hook(&mut state, Phase::Request, 1), 0, "a free line that was not used is gone");
    }

    #[test]
    fn drops_are_settled_once_their_second_is_over() {
        let meter = Meter::default();
        assert_eq!(meter.settle(9), (None, true), "nothing was dropped");
        assert_eq!((0..=LINES_PER_SECOND_MAX).map(|_| meter.take(7)).last(), Some(Passage::Full));
        assert_eq!(meter.settle(7), (None, false), "more may come");
        assert_eq!(meter.settle(8), (Some(1), true));
        assert_eq!(meter.settle(8), (None, true), "told once");
        assert_eq!(meter.take(8), Passage::Open);
        assert_eq!((0..LINES_PER_SECOND_MAX).map(|_| meter.take(8)).last(), Some(Passage::Full));
        assert_eq!(meter.take(7), Passage::Full, "a hook that began in the second before");
        assert_eq!(meter.settle(9), (Some(2), true));
    }

    #[test]
    fn the_rate_holds_at_its_edge_and_drops_are_told() {
        let meter = Meter::default();
        for _ in 0..LINES_PER_SECOND_MAX {
            assert_eq!(meter.take(7), Passage::Open);
        }
        assert_eq!(meter.take(7), Passage::Full);
        assert_eq!(meter.take(7), Passage::Full);
        assert_eq!(meter.take(8), Passage::OpenAgain { dropped: 2 });
        assert_eq!(meter.take(9), Passage::Open);
    }
}
