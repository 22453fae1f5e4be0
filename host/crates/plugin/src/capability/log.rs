//! `log`: lines for the operator, cut in rate and length, controls escaped (grant `log`).

use crate::bindings::contract::log::{Host, Level as Asked};
use crate::log::Level;
use crate::state::State;
use crate::text::escape;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest message or field value, bytes; longer ones are cut and marked.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024;
/// Most fields of an event; more are left out.
pub(crate) const FIELDS_MAX: usize = 32;
/// Most lines of one plugin per second, all workers together; more are dropped and counted.
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
        let second = self.now().unix_ms / 1000;
        let common = &self.common;
        if !common.log.enabled(&common.name, level) {
            return;
        }
        match common.log_meter.take(second) {
            Passage::Full => return,
            Passage::Open => {}
            Passage::OpenAgain { dropped } => {
                let text = format!("{dropped} lines were dropped: more than {LINES_PER_SECOND_MAX} in a second");
                common.log.write(&common.name, Level::Warn, &text, &[]);
            }
        }
        common.log.write(&common.name, level, &escape(message, LINE_BYTES_MAX), &fields());
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
            let count = if window >> 32 == second { (window & u64::from(u32::MAX)) + 1 } else { 1 };
            Some(second << 32 | count.min(u64::from(u32::MAX)))
        });
        let lines = u32::try_from(before & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        if before >> 32 == second {
            return if lines < LINES_PER_SECOND_MAX { Passage::Open } else { Passage::Full };
        }
        match lines.checked_sub(LINES_PER_SECOND_MAX) {
            None | Some(0) => Passage::Open,
            Some(dropped) => Passage::OpenAgain { dropped },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES_PER_SECOND_MAX, Meter, Passage};

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
