//! Holds a plugin back that keeps failing, and lets it in again by one call.
//!
//! Per plugin and worker: closed; open for a pause after too many losses; then one call,
//! the probe, decides. Calls that are not made meanwhile are no faults: counted as such
//! they would keep the plugin away for ever.

use crate::log::Level;
use crate::settings::{FaultPolicy, OnFault};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;
use wire::fault::PluginFault;

/// Instances lost within [`WINDOW`] after which the plugin is held back.
const LOSSES_MAX: usize = 5;
/// How far back losses count.
const WINDOW: Duration = Duration::from_secs(10);
/// First pause; each that a failed probe begins is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What becomes of a plugin that keeps failing, on one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldBack {
    /// It is not called any more.
    Begun {
        /// How long; then one call tries it.
        pause: Duration,
        /// The faults that led to it.
        kinds: Vec<PluginFault>,
        /// What becomes of what it should see meanwhile.
        policy: FaultPolicy,
    },
    /// The pause is over: the call that is made now decides.
    Probed,
    /// That call went well.
    Ended {
        /// Since the first pause began.
        after: Duration,
        /// Calls that were not made.
        calls: u64,
    },
}

impl HoldBack {
    /// How much it matters to the operator.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Begun { .. } => Level::Warn,
            Self::Probed | Self::Ended { .. } => Level::Info,
        }
    }
}

impl fmt::Display for HoldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { pause, kinds, policy } => {
                let what = match policy {
                    FaultPolicy::Refuse => "the host refuses what it should see",
                    FaultPolicy::Skip => "requests pass it by",
                };
                let (kinds, ms) = (words(kinds), pause.as_millis());
                write!(f, "it keeps failing ({kinds}): held back for {ms} ms; {what}")
            }
            Self::Probed => f.write_str("held back long enough: one call tries it"),
            Self::Ended { after, calls } => {
                let ms = after.as_millis();
                write!(f, "it works again: no longer held back, after {ms} ms and {calls} calls that were not made")
            }
        }
    }
}

/// Why a plugin is not called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Zero while a probe is under way.
    pub(crate) left: Duration,
    pub(crate) kinds: Vec<PluginFault>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = words(&self.kinds);
        match self.left.as_millis() {
            0 => write!(f, "it keeps failing ({kinds}): held back until the call that tries it has gone well"),
            ms => write!(f, "it keeps failing ({kinds}): held back for another {ms} ms"),
        }
    }
}

/// Whether a plugin may be called, and what its losses come to.
pub(crate) struct Breaker(Rc<RefCell<Inner>>);

/// The one call that decides. Dropped before it is over (the client left, say), it
/// leaves the decision to the next.
pub(crate) struct Probe(Rc<RefCell<Inner>>);

struct Inner {
    state: State,
    losses: VecDeque<Instant>,
    /// Of the losses that count now, each kind once, oldest first.
    kinds: Vec<PluginFault>,
    pause: Duration,
    /// When it was last closed and became open.
    since: Instant,
    calls_held: u64,
    /// By kind, for this plugin.
    policies: OnFault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

impl Breaker {
    /// `policies` by kind of fault: the strictest of those that opened it holds.
    pub(crate) fn new(policies: OnFault) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            state: State::Closed,
            losses: VecDeque::new(),
            kinds: Vec::new(),
            pause: Duration::ZERO,
            since: Instant::now(),
            calls_held: 0,
            policies,
        })))
    }

    /// Asks for a call: made at once, made as the probe, or not made.
    pub(crate) fn ask(&self) -> Result<Option<Probe>, Held> {
        let mut inner = self.0.borrow_mut();
        let left = match inner.state {
            State::Closed => return Ok(None),
            State::Probing => Duration::ZERO,
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    inner.state = State::Probing;
                    return Ok(Some(Probe(Rc::clone(&self.0))));
                }
                left
            }
        };
        inner.calls_held += 1;
        Err(Held { left, kinds: inner.kinds.clone() })
    }

    /// How long no call is made yet, also none that tries it.
    pub(crate) fn pause_left(&self) -> Option<Duration> {
        let State::Open { until } = self.0.borrow().state else { return None };
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Counts a lost instance.
    pub(crate) fn count(&self, kind: PluginFault) -> Option<HoldBack> {
        let mut inner = self.0.borrow_mut();
        inner.remember(kind);
        if inner.state != State::Closed {
            // Of a call that began before, or of the probe, which has decided already.
            return None;
        }
        let now = Instant::now();
        inner.losses.retain(|loss| now.duration_since(*loss) <= WINDOW);
        if inner.losses.is_empty() {
            inner.kinds.retain(|known| *known == kind);
        }
        inner.losses.push_back(now);
        if inner.losses.len() < LOSSES_MAX {
            return None;
        }
        inner.since = now;
        Some(inner.open(PAUSE_MIN))
    }

    /// What becomes of what the plugin should see while it is held back.
    pub(crate) fn policy(&self) -> FaultPolicy {
        self.0.borrow().policy()
    }
}

impl Probe {
    /// The call is over: well, or with a loss of this kind.
    pub(crate) fn over(self, loss: Option<PluginFault>) -> HoldBack {
        let mut inner = self.0.borrow_mut();
        let Some(kind) = loss else {
            inner.state = State::Closed;
            inner.losses.clear();
            inner.kinds.clear();
            let calls = std::mem::take(&mut inner.calls_held);
            return HoldBack::Ended { after: inner.since.elapsed(), calls };
        };
        inner.remember(kind);
        let pause = (inner.pause * 2).min(PAUSE_MAX);
        inner.open(pause)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut inner = self.0.borrow_mut();
        if inner.state == State::Probing {
            inner.state = State::Open { until: Instant::now() };
        }
    }
}

impl Inner {
    fn remember(&mut self, kind: PluginFault) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    fn open(&mut self, pause: Duration) -> HoldBack {
        self.pause = pause;
        self.losses.clear();
        self.state = State::Open { until: Instant::now() + pause };
        HoldBack::Begun { pause, kinds: self.kinds.clone(), policy: self.policy() }
    }

    fn policy(&self) -> FaultPolicy {
        let refuses = self.kinds.iter().any(|kind| self.policies.of(*kind) == FaultPolicy::Refuse);
        if refuses { FaultPolicy::Refuse } else { FaultPolicy::Skip }
    }
}

fn words(kinds: &[PluginFault]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
