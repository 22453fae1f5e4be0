//! What is looked at while instances serve: whether they listen, are well, are
//! due, and whether anybody asks for them.

use super::application::{Machine, Phase, Resting};
use super::instance::Role;
use super::recycle::{MEASURE_PAUSE, MEMORY_PAUSE};
use super::{Action, Down, Measure};
use crate::control::InstanceState;
use crate::event::Why;
use std::time::Duration;
use tokio::time::Instant;

/// Shortest pause between two looks at what the instances carry.
const MEASURE_PAUSE_MIN: Duration = Duration::from_millis(10);

impl Machine {
    pub(super) fn suspect(&mut self, now: Instant, start: u64) {
        let suspected = self.instances.get_mut(&start).filter(|i| i.state == InstanceState::Ready);
        if suspected.is_some_and(|instance| instance.suspect(now)) {
            self.actions.push(Action::Look(start));
        }
    }

    pub(super) fn health(&mut self, now: Instant, start: u64, good: bool) {
        let Some(instance) = self.instances.get_mut(&start) else { return };
        let Some(health) = instance.plan.settings.health.as_ref() else { return };
        instance.asking = false;
        instance.health_at = Some(now + health.interval);
        if good {
            if std::mem::take(&mut instance.health_failures) > 0 {
                self.actions.push(Action::TellHealthy(start));
            }
            return;
        }
        self.counters.health_failures += 1;
        instance.health_failures = instance.health_failures.saturating_add(1);
        if instance.health_failures < health.failures_max || instance.state != InstanceState::Ready {
            return;
        }
        if std::mem::replace(&mut instance.role, Role::Old) == Role::Current {
            // It counts as a crash, so that a sick application does not start all day.
            self.actions.push(Action::TellReplacing(Why::Unhealthy));
            self.crashed(now);
        }
        self.kill(start);
        self.actions.push(Action::Retire(start));
    }

    pub(super) fn measured(&mut self, now: Instant, measures: &[Measure]) {
        let mut requests = 0_u64;
        let mut busy = false;
        for measure in measures {
            requests = requests.wrapping_add(measure.requests);
            busy |= measure.outstanding > 0;
            if let Some(bounds) = self.instances.get_mut(&measure.start).and_then(|i| i.bounds.as_mut()) {
                bounds.by_requests(measure.requests, now);
            }
        }
        if std::mem::replace(&mut self.requests, requests) != requests || busy {
            self.idle_since = now;
        }
        let limit = self.plan.settings.idle_limit.filter(|_| !self.plan.always());
        let Some(limit) = limit.filter(|limit| now - self.idle_since >= *limit) else { return };
        if self.phase == Phase::Running && self.replacement.is_none() && self.any_ready() {
            self.actions.push(Action::TellIdle(limit));
            self.awake = false;
            self.retire_all(self.plan.settings.drain_limit);
        }
    }

    pub(super) fn memory(&mut self, now: Instant, memory: &[(u64, u64)]) {
        for (start, bytes) in memory {
            if let Some(bounds) = self.instances.get_mut(start).and_then(|i| i.bounds.as_mut()) {
                bounds.by_memory(*bytes, now);
            }
        }
    }

    /// Does what is due.
    pub(super) fn look_around(&mut self, now: Instant) {
        if self.down.is_some_and(|down| down.until.is_some_and(|until| until <= now)) {
            if self.plan.always() {
                self.down = None;
            } else {
                self.down = self.down.map(|down| Resting { until: None, ..down });
                self.actions.push(Action::Down(Down::RetryNow));
            }
        }
        for instance in self.instances.values_mut().filter(|i| i.next(now).is_some_and(|at| at <= now)) {
            if instance.look_at.is_some_and(|at| at <= now) && instance.suspect(now) {
                self.actions.push(Action::Look(instance.start));
            }
            if instance.role != Role::Current {
                continue;
            }
            if instance.health_at.is_some_and(|at| at <= now) && !instance.asking {
                instance.asking = true;
                self.actions.push(Action::AskHealth(instance.start));
            }
            if let Some(bounds) = &mut instance.bounds {
                bounds.by_time(&instance.plan.settings.recycle, now, self.nature.wall);
            }
        }
        if self.measure_at.is_some_and(|at| at <= now) {
            self.measure_at = None;
            self.actions.push(Action::Measure);
        }
        if self.memory_at.is_some_and(|at| at <= now) {
            self.memory_at = None;
            self.actions.push(Action::MeasureMemory);
        }
    }

    /// Sets when the instances are looked at.
    pub(super) fn schedule(&mut self, now: Instant) {
        let settings = &self.plan.settings;
        let idle = settings.idle_limit.filter(|_| !self.plan.always());
        if !self.any_ready() {
            self.measure_at = None;
            self.memory_at = None;
            return;
        }
        if self.measure_at.is_none() && (idle.is_some() || settings.recycle.requests_max.is_some()) {
            let pause = idle.map_or(MEASURE_PAUSE, |limit| (limit / 4).clamp(MEASURE_PAUSE_MIN, MEASURE_PAUSE));
            self.measure_at = Some(now + pause);
        }
        if self.memory_at.is_none() && settings.recycle.memory_bytes_max.is_some() {
            self.memory_at = Some(now + MEMORY_PAUSE);
        }
    }
}
