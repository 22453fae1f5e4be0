//! The life of a backend as pure rules: states, events and actions.
//!
//! Time comes in with each event and goes out as a point in time to be woken
//! at, so every rule is tested as a table.

use crate::settings::BackOff;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Attempts within one start.
pub(crate) const ATTEMPTS_MAX: u32 = 2;
/// Crashes are counted within this window.
pub(crate) const CRASH_WINDOW: Duration = Duration::from_secs(60);

/// The numbers behind the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// For all attempts of a start together.
    pub(crate) start_limit: Duration,
    /// More crashes than this within the window stop further starts.
    pub(crate) crashes_max: u32,
    /// Between failed starts.
    pub(crate) back_off: BackOff,
}

/// At least this long between two looks at a suspected backend.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A request waits.
    Wake,
    /// A connection of this start failed.
    Suspect(u64),
    /// The attempt led to a listening backend.
    Listening,
    /// The attempt failed.
    AttemptFailed {
        /// Whether another one could do better.
        retry: bool,
        /// A random number, 0 to 1,000, that spreads the back-off.
        jitter: u32,
    },
    /// The backend is gone by itself.
    Died,
    /// The time set by [`Action::WakeAt`] has come.
    Due,
    /// The host wants to stop.
    Stop,
}

/// What is to be done, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say that nothing runs.
    SayIdle,
    /// Say that a start is on its way.
    SayStarting,
    /// Say that the backend is ready.
    SayReady,
    /// Say that the backend stops.
    SayDraining,
    /// Say that the start failed.
    SayFailed {
        /// When the next may be tried; none: at once.
        retry_after: Option<Duration>,
    },
    /// Say again that the start failed, and that none is tried now.
    SayBackingOff {
        /// When the next may be tried.
        retry_after: Duration,
    },
    /// Say that it crashed too often.
    SayTooManyCrashes {
        /// Crashes within the window.
        crashes: u32,
        /// When the next start may be tried.
        retry_after: Duration,
    },
    /// Say that from now on the next request tries again.
    SayRetryNow,
    /// Make an attempt.
    Attempt {
        /// Number of the start.
        start: u64,
        /// Number of the attempt.
        attempt: u32,
        /// When the start has taken too long.
        deadline: Instant,
    },
    /// Look whether the backend still listens.
    Look,
    /// Remove what is left of the backend.
    CleanUp,
    /// Give [`Happening::Due`] at this time.
    WakeAt(Instant),
    /// Give up the running attempt.
    Abandon,
    /// Stop the backend, gracefully first.
    StopBackend,
    /// Nothing is left to do.
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Starting { attempt: u32, deadline: Instant },
    Ready,
    Down { until: Option<Instant>, crashed: bool },
    Stopped,
}

/// The rules with their memory.
#[derive(Debug)]
pub(crate) struct Machine {
    policy: Policy,
    state: State,
    start: u64,
    failures: u32,
    crashes: VecDeque<Instant>,
    looked: Option<Instant>,
}

impl Machine {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, state: State::Idle, start: 0, failures: 0, crashes: VecDeque::new(), looked: None }
    }

    /// The number of the current start; 0 before the first.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// True if another attempt follows one that fails now; `retry`: it may help.
    pub(crate) fn tries_again(&self, now: Instant, retry: bool) -> bool {
        matches!(self.state, State::Starting { attempt, deadline } if retry && attempt < ATTEMPTS_MAX && now < deadline)
    }

    /// Moves on.
    pub(crate) fn step(&mut self, now: Instant, happening: Happening) -> Vec<Action> {
        match (self.state, happening) {
            (State::Stopped, _) => Vec::new(),
            (State::Idle, Happening::Wake) => self.begin(now),
            (State::Down { until, crashed }, Happening::Wake) => match until {
                Some(until) if until > now => {
                    let retry_after = until - now;
                    let crashes = self.crashes_by(now);
                    vec![if crashed {
                        Action::SayTooManyCrashes { crashes, retry_after }
                    } else {
                        Action::SayBackingOff { retry_after }
                    }]
                }
                _ => self.begin(now),
            },
            (State::Down { crashed, .. }, Happening::Due) => {
                self.state = State::Down { until: None, crashed };
                vec![Action::SayRetryNow]
            }
            (State::Starting { .. }, Happening::Listening) => {
                self.state = State::Ready;
                self.failures = 0;
                vec![Action::SayReady]
            }
            (State::Starting { attempt, deadline }, Happening::AttemptFailed { retry, jitter }) => {
                if self.tries_again(now, retry) {
                    return self.attempt(attempt + 1, deadline);
                }
                self.fail(now, jitter)
            }
            (State::Ready, Happening::Suspect(start)) if start == self.start => self.look(now),
            (State::Ready, Happening::Due) => self.look(now),
            (State::Ready, Happening::Died) => {
                self.crashes.push_back(now);
                self.crashes_by(now);
                self.state = State::Idle;
                vec![Action::SayIdle, Action::CleanUp]
            }
            (_, Happening::Stop) => self.stop(),
            _ => Vec::new(),
        }
    }

    /// Looks now, or a little later: many connections may break at once.
    fn look(&mut self, now: Instant) -> Vec<Action> {
        match self.looked.map(|at| at + LOOK_PAUSE).filter(|next| *next > now) {
            Some(next) => vec![Action::WakeAt(next)],
            None => {
                self.looked = Some(now);
                vec![Action::Look]
            }
        }
    }

    fn begin(&mut self, now: Instant) -> Vec<Action> {
        let crashes = self.crashes_by(now);
        if crashes > self.policy.crashes_max
            && let Some(until) = self.budget_returns()
        {
            self.state = State::Down { until: Some(until), crashed: true };
            return vec![Action::SayTooManyCrashes { crashes, retry_after: until - now }, Action::WakeAt(until)];
        }
        self.start += 1;
        let mut actions = vec![Action::SayStarting];
        actions.extend(self.attempt(1, now + self.policy.start_limit));
        actions
    }

    fn attempt(&mut self, attempt: u32, deadline: Instant) -> Vec<Action> {
        self.state = State::Starting { attempt, deadline };
        vec![Action::Attempt { start: self.start, attempt, deadline }]
    }

    fn fail(&mut self, now: Instant, jitter: u32) -> Vec<Action> {
        self.failures = self.failures.saturating_add(1);
        let retry_after = back_off(self.policy.back_off, self.failures, jitter);
        let until = retry_after.map(|wait| now + wait);
        self.state = State::Down { until, crashed: false };
        let mut actions = vec![Action::SayFailed { retry_after }];
        actions.extend(until.map(Action::WakeAt));
        actions
    }

    fn stop(&mut self) -> Vec<Action> {
        let actions = match self.state {
            State::Starting { .. } => vec![Action::SayDraining, Action::Abandon, Action::Finish],
            State::Ready => vec![Action::SayDraining, Action::StopBackend, Action::Finish],
            State::Idle | State::Down { .. } => vec![Action::SayDraining, Action::Finish],
            State::Stopped => Vec::new(),
        };
        self.state = State::Stopped;
        actions
    }

    /// Crashes within the window; forgets older ones, and more than are needed.
    fn crashes_by(&mut self, now: Instant) -> u32 {
        while self.crashes.front().is_some_and(|at| now.duration_since(*at) >= CRASH_WINDOW) {
            self.crashes.pop_front();
        }
        // `rapidFailsPerMinute` is at most 100, so more are never needed to tell.
        let max = usize::try_from(self.policy.crashes_max).map_or(usize::MAX, |max| max.saturating_add(1));
        while self.crashes.len() > max {
            self.crashes.pop_front();
        }
        u32::try_from(self.crashes.len()).unwrap_or(u32::MAX)
    }

    /// When the oldest crash that is one too many leaves the window.
    fn budget_returns(&self) -> Option<Instant> {
        self.crashes.front().map(|at| *at + CRASH_WINDOW)
    }
}

/// Waiting time after the given number of failures in a row; none after the first.
fn back_off(settings: BackOff, failures: u32, jitter: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(2)?;
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let wait = settings.first.saturating_mul(factor).min(settings.max);
    Some(wait + wait * settings.jitter_percent / 100 * jitter.min(1000) / 1000)
}

#[cfg(test)]
mod tests;
