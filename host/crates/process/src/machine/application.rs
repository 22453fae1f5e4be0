//! The whole application: which instances there should be, and what requests find.

use super::budget::{Budget, back_off};
use super::instance::{Instance, Role};
use super::replace::Replacement;
use super::{Action, Answer, Down, Happening, Nature, Plan, View};
use crate::control::{AppState, InstanceState};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The rules with their memory.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) plan: Plan,
    pub(super) nature: Nature,
    pub(super) phase: Phase,
    /// A request asked for it, and it has not come to rest since.
    pub(super) awake: bool,
    /// One for each number, from 1.
    pub(super) slots: Vec<Slot>,
    pub(super) instances: BTreeMap<u64, Instance>,
    pub(super) replacement: Option<Replacement>,
    pub(super) budget: Budget,
    pub(super) down: Option<Resting>,
    pub(super) counters: Counters,
    pub(super) idle_since: Instant,
    pub(super) requests: u64,
    pub(super) measure_at: Option<Instant>,
    pub(super) memory_at: Option<Instant>,
    published: View,
    pub(super) actions: Vec<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Offline,
    Stopping,
}

/// What is remembered for a number while nobody has it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    /// Failed starts in a row.
    failures: u32,
    not_before: Option<Instant>,
}

/// Why and until when nothing is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) until: Option<Instant>,
    pub(super) crashed: bool,
}

/// What happened, ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) starts: u64,
    pub(crate) start_failures: u64,
    pub(crate) crashes: u64,
    pub(crate) replacements: u64,
    pub(crate) replacement_failures: u64,
    pub(crate) health_failures: u64,
}

impl Machine {
    pub(crate) fn new(plan: Plan, nature: Nature, now: Instant) -> Self {
        let slots = vec![Slot::default(); usize::from(plan.instances())];
        Self {
            plan,
            nature,
            phase: Phase::Running,
            awake: false,
            slots,
            instances: BTreeMap::new(),
            replacement: None,
            budget: Budget::default(),
            down: None,
            counters: Counters::default(),
            idle_since: now,
            requests: 0,
            measure_at: None,
            memory_at: None,
            published: View::Idle,
            actions: Vec::new(),
        }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The instance of a start, as long as something is left of it.
    pub(crate) fn instance(&self, start: u64) -> Option<&Instance> {
        self.instances.get(&start)
    }

    /// All instances, in the order of their starts.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    /// Crashes within the window.
    pub(crate) fn crashes_within(&self, now: Instant) -> u32 {
        self.budget.within(now)
    }

    /// When the next start may be made, if one is held back.
    pub(crate) fn next_start(&self, now: Instant) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| slot.not_before).min();
        self.down.and_then(|down| down.until).or(slots).filter(|at| *at > now)
    }

    /// Numbers that nobody has because a start of them is held back.
    pub(crate) fn waiting(&self, now: Instant) -> impl Iterator<Item = u16> {
        let numbers = (1_u16..).zip(&self.slots).filter(move |(_, slot)| slot.not_before.is_some_and(|at| at > now));
        let free = |number: &u16| !self.any(|i| i.role == Role::Current && i.number == *number);
        numbers.map(|(number, _)| number).filter(free)
    }

    /// The state in one word.
    pub(crate) fn state(&self) -> AppState {
        match self.published {
            View::Idle => AppState::Idle,
            View::Starting => AppState::Starting,
            View::Ready(_) => AppState::Ready,
            View::Down => AppState::Down,
            View::Offline => AppState::Offline,
            View::Draining => AppState::Stopping,
        }
    }

    /// True if another attempt follows one that fails now; `retry`: it may help.
    pub(crate) fn tries_again(&self, start: u64, now: Instant, retry: bool) -> bool {
        self.instances.get(&start).is_some_and(|i| i.role != Role::Old && i.tries_again(now, retry))
    }

    /// Moves on.
    pub(crate) fn step(&mut self, now: Instant, happening: Happening) -> Vec<Action> {
        match happening {
            Happening::Begin => {}
            Happening::Wake => self.wake(now),
            Happening::Suspect(start) => self.suspect(now, start),
            Happening::Listening(start) => self.move_to(start, InstanceState::Proving),
            Happening::Proven(start) => self.proven(now, start),
            Happening::AttemptFailed { start, retry } => self.attempt_failed(now, start, retry),
            Happening::Died(start) => self.died(now, start),
            Happening::Stopping(start) => self.move_to(start, InstanceState::Stopping),
            Happening::Gone(start) => self.gone(now, start),
            Happening::Health { start, good } => self.health(now, start, good),
            Happening::Measured(measures) => self.measured(now, &measures),
            Happening::Memory(memory) => self.memory(now, &memory),
            Happening::Due => self.look_around(now),
            Happening::Replace { order, plan, why } => self.replace(now, order, plan, why),
            Happening::Offline(there) => self.offline(there),
            Happening::Stop => self.stop(),
        }
        self.fill(now);
        self.recycle(now);
        self.schedule(now);
        self.publish();
        std::mem::take(&mut self.actions)
    }

    /// When [`Happening::Due`] is wanted.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.phase == Phase::Stopping {
            return None;
        }
        let looks = self.instances.values().filter_map(|instance| instance.next(now));
        let waits = self.slots.iter().filter_map(|slot| slot.not_before).filter(|at| *at > now);
        let rest = self.down.and_then(|down| down.until);
        let budget = self.budget.returns().filter(|at| *at > now && self.is_awake());
        looks.chain(waits).chain(rest).chain(budget).chain(self.measure_at).chain(self.memory_at).min()
    }

    /// True if it should run.
    pub(super) fn is_awake(&self) -> bool {
        self.awake || self.plan.always()
    }

    pub(super) fn any(&self, mut so: impl FnMut(&Instance) -> bool) -> bool {
        self.instances.values().any(&mut so)
    }

    pub(super) fn any_ready(&self) -> bool {
        self.any(|i| i.role == Role::Current && i.state == InstanceState::Ready)
    }

    fn any_starting(&self) -> bool {
        self.any(|i| i.role == Role::Current && i.is_starting())
    }

    pub(super) fn starts_of(&self, role: Role) -> Vec<u64> {
        self.instances.values().filter(|i| i.role == role).map(|i| i.start).collect()
    }

    fn move_to(&mut self, start: u64, state: InstanceState) {
        // What was told to end while it came up stays on its way out.
        let out = state == InstanceState::Stopping;
        if let Some(instance) = self.instances.get_mut(&start).filter(|i| out || i.role != Role::Old) {
            instance.state = state;
        }
    }

    fn wake(&mut self, now: Instant) {
        if self.phase != Phase::Running || self.published == View::Starting || self.any_ready() {
            return;
        }
        if let Some(Resting { until: Some(until), crashed }) = self.down
            && until > now
        {
            let retry_after = until - now;
            let crashes = self.budget.within(now);
            self.actions.push(Action::Down(match crashed {
                true => Down::TooManyCrashes { crashes, retry_after },
                false => Down::BackingOff { retry_after },
            }));
            return;
        }
        self.down = None;
        self.awake = true;
    }

    fn proven(&mut self, now: Instant, start: u64) {
        let first = !self.any_ready();
        let Some(instance) = self.instances.get_mut(&start) else { return };
        if instance.role == Role::Old {
            return;
        }
        instance.proven(now, self.nature);
        let (role, number) = (instance.role, instance.number);
        if role == Role::Candidate {
            self.candidate_proven(now);
            return;
        }
        if let Some(slot) = self.slot(number) {
            *slot = Slot::default();
        }
        self.awake = true;
        if first {
            self.idle_since = now;
        }
    }

    fn slot(&mut self, number: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(number.checked_sub(1)?))
    }

    fn attempt_failed(&mut self, now: Instant, start: u64, retry: bool) {
        if self.tries_again(start, now, retry) {
            if let Some(instance) = self.instances.get_mut(&start) {
                instance.attempt += 1;
                instance.state = InstanceState::Starting;
            }
            self.actions.push(Action::Attempt(start));
            return;
        }
        let Some(instance) = self.instances.remove(&start) else { return };
        match instance.role {
            Role::Old => self.removed(now),
            Role::Candidate => {
                self.counters.start_failures += 1;
                self.candidate_failed(now, start);
            }
            Role::Current => {
                self.counters.start_failures += 1;
                self.start_failed(now, start, instance.number);
            }
        }
    }

    fn start_failed(&mut self, now: Instant, start: u64, number: u16) {
        let (settings, dice) = (self.plan.settings.back_off, self.nature.dice);
        let Some(slot) = self.slot(number) else { return };
        slot.failures = slot.failures.saturating_add(1);
        let retry_after = back_off(settings, slot.failures, dice());
        slot.not_before = retry_after.map(|wait| now + wait);
        self.actions.push(Action::Report { start, retry_after });
        if self.any_ready() || self.any_starting() || self.replacement.is_some() {
            return;
        }
        // The round is over. With one that may be tried at once there is no wait.
        let waits: Option<Vec<Instant>> = self.slots.iter().map(|slot| slot.not_before).collect();
        let until = waits.and_then(|waits| waits.into_iter().min());
        // Where nobody has to ask, the time alone must lead on.
        self.rest(until.or_else(|| self.plan.always().then_some(now)), false);
        self.actions.push(Action::Down(Down::Failed));
    }

    /// Nothing is started until then, or until the next request.
    fn rest(&mut self, until: Option<Instant>, crashed: bool) {
        self.awake = false;
        self.down = Some(Resting { until, crashed });
        self.published = View::Down;
    }

    fn died(&mut self, now: Instant, start: u64) {
        let Some(instance) = self.instances.get_mut(&start) else { return };
        let was = std::mem::replace(&mut instance.role, Role::Old);
        instance.state = InstanceState::Stopping;
        if was == Role::Old {
            return;
        }
        self.crashed(now);
        if was == Role::Candidate {
            self.candidate_failed(now, start);
        } else if !self.any_ready() && !self.any_starting() {
            // As ANCM: without anybody who serves, the next request starts it.
            self.awake = false;
        }
    }

    pub(super) fn crashed(&mut self, now: Instant) {
        self.counters.crashes += 1;
        self.budget.crashed(now, self.plan.settings.rapid_fails_per_minute);
    }

    fn gone(&mut self, now: Instant, start: u64) {
        self.instances.remove(&start);
        self.removed(now);
    }

    fn removed(&mut self, now: Instant) {
        self.old_gone(now);
        if self.phase == Phase::Stopping && self.instances.is_empty() {
            self.actions.push(Action::Finish);
        }
    }

    /// Starts what should run and does not. Numbers that failed wait until
    /// another one serves, or until all have failed and a new round begins: else
    /// a broken application would be started without end, and nobody told.
    fn fill(&mut self, now: Instant) {
        if self.phase != Phase::Running || !self.is_awake() || self.down.is_some() {
            return;
        }
        let ready = self.any_ready();
        let round = !ready && !self.any_starting() && self.replacement.is_none();
        let mut missing = Vec::new();
        for (number, slot) in (1_u16..).zip(&self.slots) {
            let taken = self.any(|i| i.role == Role::Current && i.number == number);
            let covered = self.replacement.as_ref().is_some_and(|r| r.stands_in_for(number));
            let waits = slot.not_before.is_some_and(|at| at > now) || (slot.failures > 0 && !ready && !round);
            let beside = !self.plan.overlap() && self.any(|i| i.role == Role::Old && i.number == number);
            if !taken && !covered && !waits && !beside {
                missing.push(number);
            }
        }
        if missing.is_empty() {
            return;
        }
        if let Some((crashes, until)) = self.budget.exceeded(now, self.plan.settings.rapid_fails_per_minute) {
            if round {
                self.rest(Some(until), true);
                self.actions.push(Action::Down(Down::TooManyCrashes { crashes, retry_after: until - now }));
            }
            return;
        }
        for number in missing {
            self.begin(now, number, self.plan.clone(), Role::Current);
        }
    }

    pub(super) fn begin(&mut self, now: Instant, number: u16, plan: Plan, role: Role) -> u64 {
        self.counters.starts += 1;
        let start = self.counters.starts;
        self.instances.insert(start, Instance::new(start, number, plan, role, now));
        self.actions.push(Action::Attempt(start));
        start
    }

    /// Ends one by force.
    pub(super) fn kill(&mut self, start: u64) {
        let Some(instance) = self.instances.get_mut(&start) else { return };
        instance.role = Role::Old;
        instance.state = InstanceState::Stopping;
        self.actions.push(Action::Kill(start));
    }

    /// Lets one finish its requests and stops it; one that never had any is killed.
    pub(super) fn retire(&mut self, start: u64, limit: Duration) {
        let Some(instance) = self.instances.get_mut(&start) else { return };
        instance.role = Role::Old;
        match instance.state {
            InstanceState::Ready | InstanceState::Draining => {
                instance.state = InstanceState::Draining;
                self.actions.push(Action::Retire(start));
                self.actions.push(Action::Drain { start, limit });
            }
            InstanceState::Starting | InstanceState::Proving => self.kill(start),
            InstanceState::Stopping | InstanceState::Waiting => {}
        }
    }

    pub(super) fn retire_all(&mut self, limit: Duration) {
        for start in self.starts_of(Role::Current) {
            self.retire(start, limit);
        }
    }

    /// Puts other rules in force; operators who do that want a start to be tried.
    pub(super) fn adopt(&mut self, plan: Plan) {
        self.slots = vec![Slot::default(); usize::from(plan.instances())];
        self.plan = plan;
        self.budget.reset();
        self.down = None;
    }

    fn offline(&mut self, there: bool) {
        match (self.phase, there) {
            (Phase::Running, true) => {
                self.phase = Phase::Offline;
                self.actions.push(Action::TellOffline(true));
                self.awake = false;
                self.down = None;
                self.give_way();
                let limit = self.plan.settings.shutdown_limit;
                self.retire_all(limit);
                for start in self.starts_of(Role::Old) {
                    if self.any(|i| i.start == start && i.state == InstanceState::Draining) {
                        self.actions.push(Action::Drain { start, limit });
                    }
                }
            }
            // Its content may have changed.
            (Phase::Offline, true) => self.actions.push(Action::Publish(View::Offline)),
            (Phase::Offline, false) => {
                self.phase = Phase::Running;
                self.actions.push(Action::TellOffline(false));
            }
            _ => {}
        }
    }

    fn stop(&mut self) {
        if self.phase == Phase::Stopping {
            return;
        }
        self.phase = Phase::Stopping;
        if let Some(order) = self.replacement.take().and_then(|r| r.order) {
            self.actions.push(Action::Answer { order, answer: Answer::Stopping });
        }
        for start in self.instances.keys().copied().collect::<Vec<_>>() {
            let Some(instance) = self.instances.get_mut(&start) else { continue };
            instance.role = Role::Old;
            match instance.state {
                InstanceState::Ready | InstanceState::Draining => {
                    instance.state = InstanceState::Stopping;
                    self.actions.push(Action::Retire(start));
                    self.actions.push(Action::Stop(start));
                }
                InstanceState::Starting | InstanceState::Proving => self.kill(start),
                InstanceState::Stopping | InstanceState::Waiting => {}
            }
        }
        if self.instances.is_empty() {
            self.actions.push(Action::Finish);
        }
    }

    /// Publishes what requests find, if that changed, before anything else is done.
    fn publish(&mut self) {
        let view = self.view();
        if view != self.published {
            self.published = view.clone();
            if view != View::Down {
                self.actions.insert(0, Action::Publish(view));
            }
        }
    }

    fn view(&self) -> View {
        match self.phase {
            Phase::Stopping => return View::Draining,
            Phase::Offline => return View::Offline,
            Phase::Running => {}
        }
        let ready = self.instances.values().filter(|i| i.role == Role::Current && i.state == InstanceState::Ready);
        let ready: Vec<u64> = ready.map(|i| i.start).collect();
        if !ready.is_empty() {
            View::Ready(ready)
        } else if self.down.is_some() {
            View::Down
        } else if self.is_awake() || self.replacement.is_some() || self.any_starting() {
            View::Starting
        } else {
            View::Idle
        }
    }
}
