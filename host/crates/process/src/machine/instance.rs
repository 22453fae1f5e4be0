//! One instance, from its first attempt to its end.

use super::recycle::Bounds;
use super::{Nature, Plan};
use crate::control::InstanceState;
use std::time::Duration;
use tokio::time::Instant;

/// At least this long between two looks at a suspected instance.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What an instance is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To serve, now or as soon as it can.
    Current,
    /// To take over, once all that belong to the same replacement can.
    Candidate,
    /// To end: what it had to do is being finished or removed.
    Old,
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Number of its start.
    pub(crate) start: u64,
    /// Its number, from 1.
    pub(crate) number: u16,
    /// By what it is run.
    pub(crate) plan: Plan,
    pub(crate) role: Role,
    pub(crate) state: InstanceState,
    /// Number of the attempt.
    pub(crate) attempt: u32,
    /// When the start has taken too long.
    pub(crate) deadline: Instant,
    /// Bad answers about its health in a row.
    pub(crate) health_failures: u32,
    /// Whether an answer is awaited.
    pub(super) asking: bool,
    pub(super) health_at: Option<Instant>,
    pub(super) looked: Option<Instant>,
    pub(super) look_at: Option<Instant>,
    pub(super) bounds: Option<Bounds>,
}

impl Instance {
    pub(super) fn new(start: u64, number: u16, plan: Plan, role: Role, now: Instant) -> Self {
        let deadline = now + plan.settings.start_limit;
        Self {
            start,
            number,
            plan,
            role,
            state: InstanceState::Starting,
            attempt: 1,
            deadline,
            health_failures: 0,
            asking: false,
            health_at: None,
            looked: None,
            look_at: None,
            bounds: None,
        }
    }

    /// True while it is on the way to its first request.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.state, InstanceState::Starting | InstanceState::Proving)
    }

    /// True if another attempt may follow one that fails now; `retry`: it may help.
    pub(super) fn tries_again(&self, now: Instant, retry: bool) -> bool {
        retry && self.attempt < self.plan.settings.attempts_max && now < self.deadline
    }

    /// It may take requests: sets what will have to be looked at.
    pub(super) fn proven(&mut self, now: Instant, nature: Nature) {
        self.state = InstanceState::Ready;
        let settings = &self.plan.settings;
        // The first question comes up to a tenth earlier, so that instances don't move in step.
        self.health_at = settings.health.as_ref().map(|h| now + h.interval - h.interval / 10 * (nature.dice)() / 1000);
        let recycle = &settings.recycle;
        self.bounds = Some(Bounds::new(recycle, now, nature.wall, nature.dice));
    }

    /// True if it should be looked at now; else it is, a little later: many
    /// connections may break at once.
    pub(super) fn suspect(&mut self, now: Instant) -> bool {
        match self.looked.map(|at| at + LOOK_PAUSE).filter(|next| *next > now) {
            Some(next) => {
                self.look_at = Some(next);
                false
            }
            None => {
                self.look_at = None;
                self.looked = Some(now);
                true
            }
        }
    }

    /// When something of it has to be looked at.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if self.state != InstanceState::Ready || self.role == Role::Old {
            return None;
        }
        let health = self.health_at.filter(|_| !self.asking && self.role == Role::Current);
        let bounds = self.bounds.as_ref().filter(|_| self.role == Role::Current).and_then(|bounds| bounds.next(now));
        [health, self.look_at, bounds].into_iter().flatten().min()
    }
}
