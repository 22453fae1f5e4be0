//! The life of an application as pure rules: happenings in, actions out.
//!
//! Time comes in with each happening and goes out as [`Machine::due`], chance and
//! the time of day come from a [`Nature`] that is handed over, so every rule is
//! tested as a table. The shell around it ([`crate::supervisor`]) does the IO.

mod application;
mod budget;
mod instance;
mod look;
mod recycle;
mod replace;

pub(crate) use application::Machine;
pub(crate) use instance::{Instance, Role};

use crate::event::Why;
use crate::settings::Settings;
use std::sync::Arc;
use std::time::Duration;

/// What an application is run by: its settings and what follows from them.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Arc<Settings>,
    /// The configuration demands one port, so that two instances can't be at once.
    pub(crate) fixed_port: bool,
}

impl Plan {
    /// Whether a replacement may run beside what it replaces.
    pub(crate) fn overlap(&self) -> bool {
        self.settings.overlap && !self.fixed_port
    }

    /// How many instances there are.
    pub(crate) fn instances(&self) -> u16 {
        if self.fixed_port { 1 } else { self.settings.instances.max(1) }
    }

    /// Whether it runs without being asked for.
    pub(crate) fn always(&self) -> bool {
        self.settings.start_mode == crate::settings::StartMode::Always
    }
}

/// Chance and the time of day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    /// A number from 0 to 1,000, each equally likely.
    pub(crate) dice: fn() -> u32,
    /// The wall's clock, in the system's time zone.
    pub(crate) wall: fn() -> jiff::Zoned,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Supervision begins.
    Begin,
    /// A request waits.
    Wake,
    /// A connection to this start's instance failed.
    Suspect(u64),
    /// The instance of this start listens.
    Listening(u64),
    /// It is proven as well: it may take requests.
    Proven(u64),
    /// The attempt failed; nothing of it is left.
    AttemptFailed {
        /// Number of the start.
        start: u64,
        /// Whether another one could do better.
        retry: bool,
    },
    /// The instance ended by itself; what is left of it is being removed.
    Died(u64),
    /// It has no request any more, or no more time for them, and is asked to end.
    Stopping(u64),
    /// Nothing is left of it.
    Gone(u64),
    /// The answer about its health.
    Health {
        /// Number of the start.
        start: u64,
        /// Whether it was a good one.
        good: bool,
    },
    /// What the instances that take requests carry.
    Measured(Vec<Measure>),
    /// The resident memory of instances, bytes.
    Memory(Vec<(u64, u64)>),
    /// The time told by [`Machine::due`] has come.
    Due,
    /// An order to replace all instances.
    Replace {
        /// Number of the order.
        order: u64,
        /// New settings, if they change.
        plan: Option<Plan>,
        /// Why.
        why: Why,
    },
    /// `app_offline.htm` is there, or not.
    Offline(bool),
    /// The host wants to stop.
    Stop,
}

/// What one instance carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) start: u64,
    /// Requests taken on so far.
    pub(crate) requests: u64,
    /// Requests that run.
    pub(crate) outstanding: usize,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Publish what requests find.
    Publish(View),
    /// Publish that nothing can be started, and why.
    Down(Down),
    /// All attempts of this start failed: make its report.
    Report {
        /// Number of the start.
        start: u64,
        /// When the next may be tried; none: at once.
        retry_after: Option<Duration>,
    },
    /// Make an attempt; what is needed for it stands in [`Machine::instance`].
    Attempt(u64),
    /// Let no further request to this instance.
    Retire(u64),
    /// Give it this long for its requests, then stop it, gracefully first.
    Drain {
        /// Number of the start.
        start: u64,
        /// For its requests.
        limit: Duration,
    },
    /// Stop it at once, gracefully first.
    Stop(u64),
    /// End it by force.
    Kill(u64),
    /// Look whether it still listens.
    Look(u64),
    /// Ask about its health.
    AskHealth(u64),
    /// Give [`Happening::Measured`].
    Measure,
    /// Give [`Happening::Memory`].
    MeasureMemory,
    /// Tell that a replacement begins.
    TellReplacing(Why),
    /// Tell that one is done.
    TellReplaced {
        /// Why it was made.
        why: Why,
        /// New instances.
        instances: u16,
        /// Since the order.
        elapsed: Duration,
    },
    /// Tell that one failed; the report is that of this start.
    TellNotReplaced {
        /// Why it was tried.
        why: Why,
        /// Number of the start.
        start: u64,
    },
    /// Answer an order.
    Answer {
        /// Number of the order.
        order: u64,
        /// What became of it.
        answer: Answer,
    },
    /// Tell that the application is taken off, or may come back.
    TellOffline(bool),
    /// Tell that nobody asked for this long.
    TellIdle(Duration),
    /// Tell that an instance answers well again.
    TellHealthy(u64),
    /// Nothing is left.
    Finish,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// So many new instances took over; 0: the settings were taken over.
    Replaced(u16, Duration),
    /// The report of this start says why not.
    Failed(u64),
    /// A later order took its place.
    Superseded,
    /// The host stops.
    Stopping,
}

/// What requests find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Nothing runs.
    Idle,
    /// A start is on its way.
    Starting,
    /// The instances of these starts take requests.
    Ready(Vec<u64>),
    /// Nothing can be started now: the last [`Action::Down`] says why.
    Down,
    /// `app_offline.htm` answers.
    Offline,
    /// The host stops.
    Draining,
}

/// Why nothing can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// The last report says it.
    Failed,
    /// It failed, and none is tried now.
    BackingOff {
        /// When the next may be tried.
        retry_after: Duration,
    },
    /// It crashed too often.
    TooManyCrashes {
        /// Crashes within the window.
        crashes: u32,
        /// When the next start may be tried.
        retry_after: Duration,
    },
    /// As the last report says, but the next request tries again.
    RetryNow,
}

#[cfg(test)]
mod tests;
