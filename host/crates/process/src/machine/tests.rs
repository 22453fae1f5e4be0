//! Stories of an application, told with a clock that is moved by hand.

mod fleet;
mod orders;
mod single;

use super::{Action, Happening, Machine, Nature, Plan, View};
use crate::settings::{BackOff, Settings, sample};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

fn plan(change: impl FnOnce(&mut Settings)) -> Plan {
    let mut settings = sample();
    settings.start_limit = LIMIT;
    settings.back_off = BackOff { jitter_percent: 0, ..BackOff::default() };
    settings.recycle.jitter_percent = 0;
    change(&mut settings);
    Plan { settings: Arc::new(settings), fixed_port: false }
}

struct Story {
    machine: Machine,
    begin: Instant,
    now: Instant,
}

impl Story {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(plan(change))
    }

    fn of(plan: Plan) -> Self {
        let now = Instant::now();
        let wall = || "2026-06-01T12:00:00[UTC]".parse().unwrap();
        Self { machine: Machine::new(plan, Nature { dice: || 0, wall }, now), begin: now, now }
    }

    fn after(&mut self, wait: Duration, happening: Happening) -> Vec<Action> {
        self.now += wait;
        self.machine.step(self.now, happening)
    }

    fn then(&mut self, happening: Happening) -> Vec<Action> {
        self.after(Duration::ZERO, happening)
    }

    /// Moves the clock to the next time that is wanted.
    fn due(&mut self) -> Vec<Action> {
        self.now = self.machine.due(self.now).unwrap().max(self.now);
        self.then(Happening::Due)
    }

    /// An instance that has been started comes up.
    fn proven(&mut self, start: u64) -> Vec<Action> {
        assert_eq!(self.then(Happening::Listening(start)), []);
        self.then(Happening::Proven(start))
    }

    /// Wakes; all starts that follow come up.
    fn up(&mut self) -> Vec<u64> {
        let starts = attempts(&self.then(Happening::Wake));
        for start in &starts {
            self.proven(*start);
        }
        starts
    }

    fn fail(&mut self, start: u64) -> Vec<Action> {
        self.then(Happening::AttemptFailed { start, retry: false })
    }

    /// Crashes and is removed.
    fn crash(&mut self, start: u64) -> Vec<Action> {
        let mut actions = self.then(Happening::Died(start));
        actions.extend(self.then(Happening::Gone(start)));
        actions
    }
}

/// The starts that are attempted.
fn attempts(actions: &[Action]) -> Vec<u64> {
    let attempt = |action: &Action| if let Action::Attempt(start) = action { Some(*start) } else { None };
    actions.iter().filter_map(attempt).collect()
}

fn ready(starts: &[u64]) -> Action {
    Action::Publish(View::Ready(starts.to_vec()))
}

const IDLE: Action = Action::Publish(View::Idle);
const STARTING: Action = Action::Publish(View::Starting);
