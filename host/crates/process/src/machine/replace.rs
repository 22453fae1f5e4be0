//! Replacing instances: all of them by order, or one that is due.
//!
//! Beside the running ones where they may overlap: new ones are started, proven,
//! and take over together. In their place where they may not: the old ones are
//! stopped first, and started again if the new ones fail.

use super::application::{Machine, Phase};
use super::budget::back_off;
use super::instance::{Instance, Role};
use super::{Action, Answer, Plan};
use crate::control::InstanceState;
use crate::event::Why;
use std::time::Duration;
use tokio::time::Instant;

/// Old instances of one number that may finish their requests at the same time;
/// older ones are cut.
const DRAINING_MAX: usize = 2;
/// At least this long between two tries to replace an instance that is due.
const RECYCLE_PAUSE_MIN: Duration = Duration::from_secs(1);

/// A replacement under way.
#[derive(Debug)]
pub(super) struct Replacement {
    /// The order to answer; none for an instance that was due.
    pub(super) order: Option<u64>,
    why: Why,
    plan: Plan,
    began: Instant,
    /// The number that is replaced; none: all.
    number: Option<u16>,
    /// The old ones are stopped first.
    in_place: bool,
    candidates: Vec<u64>,
}

impl Replacement {
    /// True if nothing else should be started under this number.
    pub(super) fn stands_in_for(&self, number: u16) -> bool {
        self.in_place && self.number.is_none_or(|own| own == number)
    }
}

impl Machine {
    /// Takes an order.
    pub(super) fn replace(&mut self, now: Instant, order: u64, plan: Option<Plan>, why: Why) {
        if self.phase == Phase::Stopping {
            self.actions.push(Action::Answer { order, answer: Answer::Stopping });
            return;
        }
        let under_way = self.supersede();
        let plan = plan.or(under_way).unwrap_or_else(|| self.plan.clone());
        if self.phase == Phase::Offline || !self.any_ready() {
            for start in self.starts_of(Role::Current) {
                self.kill(start);
            }
            self.adopt(plan);
            self.actions.push(Action::Answer { order, answer: Answer::Replaced(0, Duration::ZERO) });
            return;
        }
        self.actions.push(Action::TellReplacing(why.clone()));
        self.launch(
            now,
            Replacement {
                order: Some(order),
                why,
                in_place: !plan.overlap(),
                plan,
                began: now,
                number: None,
                candidates: Vec::new(),
            },
        );
    }

    /// Ends the replacement under way; its plan, if it was an order's.
    fn supersede(&mut self) -> Option<Plan> {
        let replacement = self.replacement.take()?;
        for start in &replacement.candidates {
            self.kill(*start);
        }
        let order = replacement.order?;
        self.actions.push(Action::Answer { order, answer: Answer::Superseded });
        Some(replacement.plan)
    }

    /// Ends the replacement under way because nothing shall run; settings that
    /// were ordered are taken over.
    pub(super) fn give_way(&mut self) {
        let Some(replacement) = self.replacement.take() else { return };
        for start in &replacement.candidates {
            self.kill(*start);
        }
        if let Some(order) = replacement.order {
            self.adopt(replacement.plan);
            self.actions.push(Action::Answer { order, answer: Answer::Replaced(0, Duration::ZERO) });
        }
    }

    fn launch(&mut self, now: Instant, mut replacement: Replacement) {
        if replacement.in_place {
            let limit = self.plan.settings.drain_limit;
            for start in self.starts_of(Role::Current) {
                if self.any(|i| i.start == start && replacement.number.is_none_or(|number| number == i.number)) {
                    self.retire(start, limit);
                }
            }
        } else {
            self.start_candidates(now, &mut replacement);
        }
        self.replacement = Some(replacement);
    }

    fn start_candidates(&mut self, now: Instant, replacement: &mut Replacement) {
        let numbers = match replacement.number {
            Some(number) => number..=number,
            None => 1..=replacement.plan.instances(),
        };
        for number in numbers {
            let start = self.begin(now, number, replacement.plan.clone(), Role::Candidate);
            replacement.candidates.push(start);
        }
    }

    /// Starts the new ones as soon as the old ones, whose place they take, are gone.
    pub(super) fn old_gone(&mut self, now: Instant) {
        let Some(mut replacement) = self.replacement.take() else { return };
        let waited = replacement.in_place && replacement.candidates.is_empty();
        let number = replacement.number;
        if waited && !self.any(|i| i.role == Role::Old && number.is_none_or(|own| own == i.number)) {
            self.start_candidates(now, &mut replacement);
        }
        self.replacement = Some(replacement);
    }

    /// Lets the new ones take over once all of them can.
    pub(super) fn candidate_proven(&mut self, now: Instant) {
        let ready = |i: &Instance| i.role != Role::Candidate || i.state == InstanceState::Ready;
        if !self.instances.values().all(ready) {
            return;
        }
        let Some(replacement) = self.replacement.take() else { return };
        let limit = self.plan.settings.drain_limit;
        for start in self.starts_of(Role::Current) {
            if self.any(|i| i.start == start && replacement.number.is_none_or(|number| number == i.number)) {
                self.retire(start, limit);
            }
        }
        for start in &replacement.candidates {
            if let Some(instance) = self.instances.get_mut(start) {
                instance.role = Role::Current;
            }
        }
        if replacement.number.is_none() {
            self.adopt(replacement.plan);
        }
        self.awake = true;
        self.idle_since = now;
        self.cut();
        self.counters.replacements += 1;
        let elapsed = now - replacement.began;
        let instances = u16::try_from(replacement.candidates.len()).unwrap_or(u16::MAX);
        self.actions.push(Action::TellReplaced { why: replacement.why, instances, elapsed });
        if let Some(order) = replacement.order {
            self.actions.push(Action::Answer { order, answer: Answer::Replaced(instances, elapsed) });
        }
    }

    /// Ends the drain of those that have had successors for too long.
    fn cut(&mut self) {
        let mut draining: Vec<(u16, u64)> = self.draining().collect();
        draining.sort_unstable();
        for of_number in draining.chunk_by(|a, b| a.0 == b.0) {
            for (_, start) in of_number.iter().rev().skip(DRAINING_MAX) {
                self.actions.push(Action::Stop(*start));
            }
        }
    }

    fn draining(&self) -> impl Iterator<Item = (u16, u64)> {
        let draining = self.instances.values().filter(|i| i.role == Role::Old && i.state == InstanceState::Draining);
        draining.map(|i| (i.number, i.start))
    }

    /// A new one failed: what ran before goes on.
    pub(super) fn candidate_failed(&mut self, now: Instant, start: u64) {
        let Some(replacement) = self.replacement.take() else { return };
        self.counters.replacement_failures += 1;
        self.actions.push(Action::TellNotReplaced { why: replacement.why.clone(), start });
        if let Some(order) = replacement.order {
            self.actions.push(Action::Answer { order, answer: Answer::Failed(start) });
        }
        for candidate in replacement.candidates.into_iter().filter(|candidate| *candidate != start) {
            self.kill(candidate);
        }
        let (back_off_of, dice) = (self.plan.settings.back_off, (self.nature.dice)());
        let number = replacement.number;
        let kept = self.instances.values_mut().find(|i| i.role == Role::Current && Some(i.number) == number);
        if let Some(bounds) = kept.and_then(|instance| instance.bounds.as_mut()) {
            bounds.failures = bounds.failures.saturating_add(1);
            let wait = back_off(back_off_of, bounds.failures.saturating_add(1), dice).unwrap_or_default();
            bounds.due = Some((replacement.why, now + wait.max(RECYCLE_PAUSE_MIN)));
        }
    }

    /// Begins to replace one that is due, one at a time. One whose predecessors
    /// still have requests waits, so that nobody's drain is cut for it.
    pub(super) fn recycle(&mut self, now: Instant) {
        if self.phase != Phase::Running || self.replacement.is_some() {
            return;
        }
        let due = |i: &Instance| {
            let (why, at) = i.bounds.as_ref()?.due.as_ref()?;
            (*at <= now).then(|| (*at, i.start, i.number, why.clone()))
        };
        let current = self.instances.values().filter(|i| i.role == Role::Current && i.state == InstanceState::Ready);
        let free = |number: u16| self.draining().filter(|(own, _)| *own == number).count() < DRAINING_MAX;
        let all = current.filter_map(due).filter(|(_, _, number, _)| free(*number));
        let Some((_, start, number, why)) = all.min_by_key(|(at, start, _, _)| (*at, *start)) else { return };
        let Some(plan) = self.instances.get(&start).map(|instance| instance.plan.clone()) else { return };
        self.actions.push(Action::TellReplacing(why.clone()));
        self.launch(
            now,
            Replacement {
                order: None,
                why,
                in_place: !plan.overlap(),
                plan,
                began: now,
                number: Some(number),
                candidates: Vec::new(),
            },
        );
    }
}
