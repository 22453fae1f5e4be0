//! What goes wrong in the sandbox: told apart, counted, and slowed down.

use crate::capability::exchange::BadEdit;
use crate::instance::HANDED_OVER_BYTES_MAX;
use std::time::Duration;
use tokio::time::Instant;
use wasmtime::{Trap, WasmBacktrace};
use wire::fault::PluginFault;

/// Faults within [`WINDOW`] after which no new instance is made for a while.
const FAULTS_MAX: usize = 5;
/// How far back faults count.
const WINDOW: Duration = Duration::from_secs(10);
/// First pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longest text of a fault, bytes.
const TEXT_BYTES_MAX: usize = 2 * 1024;

/// How the engine says that a call handed over more than [`HANDED_OVER_BYTES_MAX`]: the type
/// of that error is not public.
const TOO_MUCH: &str = "too much data is being copied";

/// A hook that failed.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) kind: PluginFault,
    /// For the operator: what happened, and in which function where that is known.
    pub(crate) text: String,
}

impl Broken {
    pub(crate) fn new(kind: PluginFault, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Reads an engine error. `denied`: the instance was refused memory before it died.
    pub(crate) fn of(error: &wasmtime::Error, denied: bool) -> Self {
        let root = error.root_cause().to_string();
        let root = root.strip_prefix("wasm trap: ").unwrap_or(&root);
        let (kind, what) = if let Some(bad) = error.downcast_ref::<BadEdit>() {
            return Self::new(PluginFault::BadOutput, bad.0.clone());
        } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
            (PluginFault::Deadline, "it was stopped at its deadline".to_owned())
        } else if root.starts_with(TOO_MUCH) {
            let text = format!("it handed over more than {HANDED_OVER_BYTES_MAX} bytes at once");
            return Self::new(PluginFault::BadOutput, text);
        } else if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            (PluginFault::Memory, "all instances of the process are in use".to_owned())
        } else if denied {
            (PluginFault::Memory, format!("it died after it was refused more memory: {root}"))
        } else {
            (PluginFault::Trap, format!("it trapped: {root}"))
        };
        let text = match error.downcast_ref::<WasmBacktrace>().filter(|trace| !trace.frames().is_empty()) {
            Some(trace) => format!("{what}; wasm backtrace: {}", in_one_line(&trace.to_string())),
            None => what,
        };
        Self::new(kind, crate::text::escape(&text, TEXT_BYTES_MAX))
    }
}

/// A backtrace without its line ends and indentation.
fn in_one_line(trace: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let frames = trace.lines().map(words).filter(|line| !line.is_empty() && !line.starts_with("error while"));
    frames.collect::<Vec<_>>().join(", ")
}

/// Slows a plugin down that keeps failing: making instances is paused, the
/// request's fate meanwhile follows the plugin's own policy. It is never switched
/// off: a guard that refuses goes on refusing.
#[derive(Default)]
pub(crate) struct Breaker {
    faults: std::collections::VecDeque<Instant>,
    paused_until: Option<Instant>,
    pause: Duration,
}

impl Breaker {
    /// How much longer no instance is made; `None` if one may be.
    pub(crate) fn pause_left(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Counts a fault.
    pub(crate) fn count(&mut self) {
        let now = Instant::now();
        let calm = self.faults.back().is_none_or(|last| now.duration_since(*last) > PAUSE_MAX);
        self.faults.push_back(now);
        self.faults.retain(|fault| now.duration_since(*fault) <= WINDOW);
        if calm {
            self.pause = Duration::ZERO;
        }
        if self.faults.len() >= FAULTS_MAX {
            self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            self.paused_until = Some(now + self.pause);
            // The last one stays: it tells a calm time from a storm that goes on.
            self.faults.drain(..FAULTS_MAX - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;
    use std::time::Duration;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_storm_pauses_longer_and_longer_and_calm_forgives() {
        let mut breaker = Breaker::default();
        let storm = |breaker: &mut Breaker| {
            let mut faults = 0;
            while breaker.pause_left().is_none() {
                breaker.count();
                faults += 1;
            }
            faults
        };
        for _ in 0..4 {
            breaker.count();
            assert_eq!(breaker.pause_left(), None);
        }
        breaker.count();
        assert_eq!(breaker.pause_left(), Some(Duration::from_secs(1)));
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            let left = breaker.pause_left().expect("paused");
            advance(left).await;
            assert_eq!(breaker.pause_left(), None);
            assert!(storm(&mut breaker) <= 5);
            assert_eq!(breaker.pause_left(), Some(Duration::from_secs(seconds)));
        }
        advance(Duration::from_secs(121)).await;
        assert_eq!(storm(&mut breaker), 5);
        assert_eq!(breaker.pause_left(), Some(Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn rare_faults_never_pause() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            breaker.count();
            advance(Duration::from_secs(3)).await;
            assert_eq!(breaker.pause_left(), None);
        }
    }
}
