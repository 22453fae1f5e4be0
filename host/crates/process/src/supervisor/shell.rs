//! What the actions work on: tasks, ways to them, and what they said last.

use crate::control::{LastExit, NotReplaced, Replaced, Status};
use crate::event::{Event, Events, Why};
use crate::instance::{self, End, Facts, Fate, Gone, Own, Report};
use crate::machine::{Action, Answer, Down, Happening, Machine, Measure, Nature, Plan, Role, View};
use crate::output::Outlets;
use crate::pairing;
use crate::platform::{self, Recipe, Spares};
use crate::report::{Failed, Sighting};
use crate::supervisor::StopOutcome;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use wire::ports::{BackendSignal, BackendState, Paired};
use wire::{StartFailure, StartReport};

/// Reports of instances that may wait for the supervising task.
const REPORTS_MAX: usize = 64;
/// How long the last lines of log files are awaited at the end.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

type Done = oneshot::Sender<Result<Replaced, NotReplaced>>;

/// What the actions work on.
pub(super) struct Shell {
    pub(super) machine: Machine,
    pub(super) events: Arc<dyn Events>,
    state: watch::Sender<BackendState>,
    pub(super) bodies: HashMap<u64, Body>,
    tasks: JoinSet<(u64, End)>,
    ids: HashMap<Id, u64>,
    errands: JoinSet<Errand>,
    spares: Arc<Spares>,
    /// Keeps spares there; ends with this.
    tender: JoinSet<()>,
    to_report: mpsc::Sender<(u64, Report)>,
    reports: mpsc::Receiver<(u64, Report)>,
    orders: HashMap<u64, Done>,
    orders_taken: u64,
    page: Bytes,
    /// What the last attempt or crash left for the next report.
    pub(super) last: Failed,
    pub(super) report: Option<Arc<StartReport>>,
    /// The start whose instance could not take over last, and its report.
    pub(super) refused: Option<(u64, Arc<StartReport>)>,
    pub(super) attempts: u32,
    pub(super) began: Instant,
    pub(super) failed_at: Instant,
    pub(super) state_since: Instant,
    pub(super) last_exit: Option<(Instant, LastExit)>,
    pub(super) kills: u64,
    limited: bool,
    stopping: bool,
    outcome: StopOutcome,
    finished: bool,
}

/// One start's task and what is known of it.
pub(super) struct Body {
    fate: watch::Sender<Fate>,
    look: Arc<Notify>,
    outlets: Outlets,
    began: Instant,
    pub(super) facts: Option<Facts>,
    failed: Option<Failed>,
    ended: bool,
}

/// Something that is found out beside the supervising task.
enum Errand {
    Health(u64, Result<(), String>),
    Memory(Vec<(u64, u64)>),
    Look(Vec<Seen>, oneshot::Sender<Arc<Status>>),
    Nothing,
}

/// What was looked at of an instance for its status.
struct Seen {
    start: u64,
    memory: Option<u64>,
    /// One of the processes that listen now; none if it is none of ours.
    listening_pid: Option<u32>,
}

impl Shell {
    pub(super) fn new(plan: Plan, state: watch::Sender<BackendState>, events: Arc<dyn Events>) -> Self {
        let now = Instant::now();
        let (to_report, reports) = mpsc::channel(REPORTS_MAX);
        let spares = Spares::new(Recipe::of(&plan.settings));
        let nature = Nature { dice: || pairing::random_below(1001), wall: jiff::Zoned::now };
        Self {
            machine: Machine::new(plan, nature, now),
            events,
            state,
            bodies: HashMap::new(),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            errands: JoinSet::new(),
            spares,
            tender: JoinSet::new(),
            to_report,
            reports,
            orders: HashMap::new(),
            orders_taken: 0,
            page: Bytes::new(),
            last: Failed::early(StartFailure::System, String::new(), false),
            report: None,
            refused: None,
            attempts: 0,
            began: now,
            failed_at: now,
            state_since: now,
            last_exit: None,
            kills: 0,
            limited: false,
            stopping: false,
            outcome: StopOutcome::NothingRan,
            finished: false,
        }
    }

    /// Begins to keep spare keepers for the next starts.
    pub(super) fn begin(&mut self) {
        self.tender.spawn(platform::tend(Arc::clone(&self.spares)));
    }

    /// When there is something to do without anybody's word.
    pub(super) fn due(&self) -> Option<Instant> {
        self.machine.due(Instant::now())
    }

    /// How everything ended, once it has.
    pub(super) fn finished(&self) -> Option<StopOutcome> {
        self.finished.then_some(self.outcome)
    }

    /// Waits for what instances and errands have to say. Never ends by itself.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn hear(&mut self) -> Option<Happening> {
        tokio::select! {
            // What an instance said comes before its end.
            biased;
            report = self.reports.recv() => report.and_then(|(start, report)| self.reported(start, report)),
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            Some(errand) = self.errands.join_next() => self.returned(errand.unwrap_or(Errand::Nothing)),
        }
    }

    fn reported(&mut self, start: u64, report: Report) -> Option<Happening> {
        let body = self.bodies.get_mut(&start)?;
        Some(match report {
            Report::Listening(facts) => {
                body.facts = Some(*facts);
                Happening::Listening(start)
            }
            Report::Proven => {
                let facts = body.facts.as_ref()?;
                self.events.tell(Event::Ready {
                    start,
                    pid: facts.pid,
                    listening_pid: facts.listening_pid,
                    port: facts.paired.addr.port(),
                    elapsed: body.began.elapsed(),
                });
                Happening::Proven(start)
            }
            Report::Died => Happening::Died(start),
            Report::Stopping => Happening::Stopping(start),
        })
    }

    fn ended(&mut self, ended: Result<(Id, (u64, End)), JoinError>) -> Option<Happening> {
        let (start, end) = match ended {
            Ok((id, (start, end))) => {
                self.ids.remove(&id);
                (start, end)
            }
            // A bug of ours must not leave a start hanging: its process is gone with the task.
            Err(error) => {
                let start = self.ids.remove(&error.id())?;
                let text = "Supervision of this start broke off; see the host's log.".to_owned();
                (start, End::Failed(Failed::early(StartFailure::System, text, true)))
            }
        };
        if let Some(body) = self.bodies.get_mut(&start) {
            body.ended = true;
        }
        match end {
            End::Failed(failed) => Some(self.attempt_failed(start, failed)),
            End::Gone(gone) => Some(self.gone(start, gone)),
        }
    }

    fn attempt_failed(&mut self, start: u64, failed: Failed) -> Happening {
        if self.stopping {
            self.outcome = self.outcome.worse(StopOutcome::Killed);
        }
        let Some(instance) = self.machine.instance(start) else { return Happening::Gone(start) };
        if instance.role == Role::Old {
            return Happening::Gone(start);
        }
        let retry = self.machine.tries_again(start, Instant::now(), failed.retry);
        self.attempts = instance.attempt;
        self.events.tell(Event::AttemptFailed {
            start,
            attempt: instance.attempt,
            failure: failed.failure,
            summary: failed.summary.clone(),
            command: failed.command.clone(),
            port: failed.port,
            ended: failed.ended,
            last_lines: failed.last_lines.clone(),
            retry,
        });
        if let Some(body) = self.bodies.get_mut(&start) {
            body.facts = None;
            body.failed = Some(failed);
        }
        Happening::AttemptFailed { start, retry }
    }

    fn gone(&mut self, start: u64, gone: Gone) -> Happening {
        let asked = gone.outcome.is_some();
        let exit = LastExit { start, ended: gone.left.ended, asked, ago: Duration::ZERO };
        self.last_exit = Some((Instant::now(), exit));
        if gone.outcome == Some(StopOutcome::Killed) {
            self.kills += 1;
        }
        if let (true, Some(outcome)) = (self.stopping, gone.outcome) {
            self.outcome = self.outcome.worse(outcome);
        }
        if !asked {
            self.last = gone.left;
        }
        Happening::Gone(start)
    }

    fn returned(&mut self, errand: Errand) -> Option<Happening> {
        match errand {
            Errand::Nothing => None,
            Errand::Health(start, result) => {
                let instance = self.machine.instance(start)?;
                let good = result.is_ok();
                if let (Err(detail), Some(facts)) = (result, self.bodies.get(&start)?.facts.as_ref()) {
                    let failures = instance.health_failures.saturating_add(1);
                    self.events.tell(Event::Unhealthy { start, pid: facts.pid, failures, detail });
                }
                Some(Happening::Health { start, good })
            }
            Errand::Memory(memory) => Some(Happening::Memory(memory)),
            Errand::Look(seen, answer) => {
                seen.iter().for_each(|seen| self.follow_listener(seen));
                let memory: Vec<(u64, u64)> = seen.iter().filter_map(|seen| Some((seen.start, seen.memory?))).collect();
                // Nobody waits any more if this fails.
                let _ = answer.send(Arc::new(self.status(&memory)));
                Some(Happening::Memory(memory))
            }
        }
    }

    /// Takes an order to replace all instances.
    pub(super) fn replace(&mut self, plan: Option<Plan>, why: Why, done: Done) -> Happening {
        self.orders_taken += 1;
        self.orders.insert(self.orders_taken, done);
        Happening::Replace { order: self.orders_taken, plan, why }
    }

    /// Takes the page in, or its end.
    pub(super) fn offline(&mut self, page: Option<Bytes>) -> Happening {
        let there = page.is_some();
        self.page = page.unwrap_or_default();
        Happening::Offline(there)
    }

    /// Answers with the state, once it has been looked at who listens, and at the memory.
    pub(super) fn look(&mut self, answer: oneshot::Sender<Arc<Status>>) {
        let facts = self.bodies.iter().filter_map(|(start, body)| Some((*start, body.facts.as_ref()?)));
        let known = facts.map(|(start, facts)| (start, facts.keeper, facts.listening_pid, facts.paired.addr.port()));
        let known: Vec<_> = known.collect();
        self.errands.spawn_blocking(move || {
            let seen = known.into_iter().map(|(start, keeper, listening_pid, port)| Seen {
                start,
                memory: platform::memory_bytes(keeper),
                listening_pid: match platform::look(keeper, Some(listening_pid), port) {
                    Sighting::Ours { pid, .. } => Some(pid),
                    Sighting::Nobody | Sighting::Foreign => None,
                },
            });
            Errand::Look(seen.collect(), answer)
        });
    }

    /// Takes in that another process of the tree listens now, and has its end watched.
    fn follow_listener(&mut self, seen: &Seen) {
        let Some(body) = self.bodies.get_mut(&seen.start) else { return };
        let (Some(facts), Some(pid)) = (body.facts.as_mut(), seen.listening_pid) else { return };
        if std::mem::replace(&mut facts.listening_pid, pid) != pid {
            body.look.notify_one();
        }
    }

    fn measure_memory(&mut self) {
        let known = self.bodies.iter().filter_map(|(start, body)| Some((*start, body.facts.as_ref()?.keeper)));
        let known: Vec<(u64, u32)> = known.collect();
        self.errands.spawn_blocking(move || {
            let measured =
                known.into_iter().filter_map(|(start, keeper)| Some((start, platform::memory_bytes(keeper)?)));
            Errand::Memory(measured.collect())
        });
    }

    /// Steps the rules and does what they say, until they say no more. Nothing in
    /// it waits.
    pub(super) fn follow(&mut self, happening: Happening, signals: &mut mpsc::Receiver<BackendSignal>) {
        let mut next = Some(happening);
        while let Some(happening) = next.take() {
            self.stopping |= matches!(happening, Happening::Stop);
            let before = self.machine.state();
            let actions = self.machine.step(Instant::now(), happening);
            if self.machine.state() != before {
                self.state_since = Instant::now();
            }
            for action in actions {
                if let Action::Down(why) = action {
                    if why == Down::Failed {
                        // Whoever asked for this start gets its report, not another start.
                        while signals.try_recv().is_ok() {}
                    }
                    let down = self.down(why);
                    self.state.send_replace(down);
                } else {
                    next = self.act(action).or(next);
                }
            }
        }
        self.forget();
        self.spares.want(self.starts_ahead());
    }

    /// How many starts may come at once: all instances' while none is there, else one.
    fn starts_ahead(&self) -> usize {
        let none = !self.stopping && self.machine.instances().next().is_none();
        if none { self.machine.plan().instances().into() } else { 1 }
    }

    /// Does what an action says; may lead to the next happening.
    fn act(&mut self, action: Action) -> Option<Happening> {
        match action {
            Action::Publish(view) => self.publish(&view),
            Action::Down(_) => {}
            Action::Report { start, retry_after } => self.failed(start, retry_after),
            Action::Attempt(start) => self.attempt(start),
            Action::Retire(start) => self.with(start, |facts| facts.paired.load.retire()),
            Action::Drain { start, limit } => self.fate(start, Fate::Drain(Instant::now() + limit)),
            Action::Stop(start) => self.fate(start, Fate::Stop),
            Action::Kill(start) => self.fate(start, Fate::Kill),
            Action::Look(start) => {
                if let Some(body) = self.bodies.get(&start) {
                    body.look.notify_one();
                }
            }
            Action::AskHealth(start) => self.ask_health(start),
            Action::Measure => return Some(Happening::Measured(self.measure())),
            Action::MeasureMemory => self.measure_memory(),
            Action::TellReplacing(why) => {
                self.tell_limits();
                self.events.tell(Event::Replacing { why });
            }
            Action::TellReplaced { why, instances, elapsed } => {
                self.events.tell(Event::Replaced { why, instances, elapsed });
            }
            Action::TellNotReplaced { why, start } => {
                let report = self.candidate_report(start);
                self.events.tell(Event::NotReplaced { why, report });
            }
            Action::Answer { order, answer } => self.answer(order, answer),
            Action::TellOffline(true) => self.events.tell(Event::Offline),
            Action::TellOffline(false) => self.events.tell(Event::Online),
            Action::TellIdle(limit) => self.events.tell(Event::IdleStop { limit }),
            Action::TellHealthy(start) => {
                self.with(start, |facts| self.events.tell(Event::Healthy { start, pid: facts.pid }));
            }
            Action::Finish => self.finished = true,
        }
        None
    }

    fn with(&self, start: u64, act: impl FnOnce(&Facts)) {
        if let Some(facts) = self.bodies.get(&start).and_then(|body| body.facts.as_ref()) {
            act(facts);
        }
    }

    /// Moves an instance's fate on; never back, and never to a later end.
    fn fate(&self, start: u64, fate: Fate) {
        let Some(body) = self.bodies.get(&start) else { return };
        body.fate.send_if_modified(|old| {
            let moves = match (*old, fate) {
                (Fate::Drain(old), Fate::Drain(new)) => new < old,
                (old, new) => new > old,
            };
            if moves {
                *old = fate;
            }
            moves
        });
    }

    fn publish(&self, view: &View) {
        let state = match view {
            View::Idle => BackendState::Idle,
            View::Starting => BackendState::Starting,
            View::Ready(starts) => {
                let paired = |start| Some(self.bodies.get(start)?.facts.as_ref()?.paired.clone());
                BackendState::Ready(starts.iter().filter_map(paired).collect::<Vec<Paired>>().into())
            }
            View::Offline => BackendState::Offline(self.page.clone()),
            View::Draining => BackendState::Draining,
            // The action that led to it has published its report.
            View::Down => return,
        };
        self.state.send_replace(state);
    }

    fn attempt(&mut self, start: u64) {
        let Some(instance) = self.machine.instance(start) else { return };
        let (number, attempt, deadline) = (instance.number, instance.attempt, instance.deadline);
        let settings = Arc::clone(&instance.plan.settings);
        self.tell_limits();
        let now = Instant::now();
        if attempt == 1 {
            self.began = now;
        }
        let (fate, fate_rx) = watch::channel(Fate::Serve);
        let look = Arc::new(Notify::new());
        let old = self.bodies.remove(&start);
        let began = old.as_ref().map_or(now, |old| old.began);
        let outlets = match old {
            Some(old) => old.outlets,
            None => Outlets::open(&settings, &self.events, start, number),
        };
        self.events.tell(Event::Starting { start, attempt });
        let own = Own {
            start,
            settings,
            spares: Arc::clone(&self.spares),
            deadline,
            sink: outlets.sink(),
            events: Arc::clone(&self.events),
            fate: fate_rx,
            look: Arc::clone(&look),
            reports: self.to_report.clone(),
        };
        let task = self.tasks.spawn(async move { (start, instance::live(own).await) });
        self.ids.insert(task.id(), start);
        self.bodies.insert(start, Body { fate, look, outlets, began, facts: None, failed: None, ended: false });
    }

    /// Says once what the configuration rules out.
    fn tell_limits(&mut self) {
        let plan = self.machine.plan();
        if plan.fixed_port && !std::mem::replace(&mut self.limited, true) {
            let what = "The port is set in environmentVariables, so that two instances can't run at once: \
                        there is one instance, and it is stopped before its replacement starts.";
            self.events.tell(Event::Limited { what: what.to_owned() });
        }
    }

    fn ask_health(&mut self, start: u64) {
        let health = self.machine.instance(start).and_then(|i| i.plan.settings.health.clone());
        let paired = self.bodies.get(&start).and_then(|body| Some(body.facts.as_ref()?.paired.clone()));
        let (Some(health), Some(paired)) = (health, paired) else { return };
        self.errands.spawn(async move { Errand::Health(start, instance::check(&paired, &health).await) });
    }

    fn measure(&self) -> Vec<Measure> {
        let loads = self.bodies.iter().filter_map(|(start, body)| Some((*start, &body.facts.as_ref()?.paired.load)));
        loads
            .map(|(start, load)| Measure { start, requests: load.requests(), outstanding: load.outstanding() })
            .collect()
    }

    fn answer(&mut self, order: u64, answer: Answer) {
        let Some(done) = self.orders.remove(&order) else { return };
        // Whoever gave the order may be gone.
        let _ = done.send(match answer {
            Answer::Replaced(instances, elapsed) => Ok(Replaced { instances, elapsed }),
            Answer::Failed(start) => Err(NotReplaced::Failed(self.candidate_report(start))),
            Answer::Superseded => Err(NotReplaced::Superseded),
            Answer::Stopping => Err(NotReplaced::Stopping),
        });
    }

    /// What a failed attempt or start left; none of an instance that served.
    pub(super) fn take_failed(&mut self, start: u64) -> Option<Failed> {
        self.bodies.get_mut(&start)?.failed.take()
    }

    /// Forgets whatever the rules have forgotten.
    fn forget(&mut self) {
        let over: Vec<u64> = self
            .bodies
            .iter()
            .filter(|(start, body)| body.ended && self.machine.instance(**start).is_none())
            .map(|(start, _)| *start)
            .collect();
        for start in over {
            if let Some(Body { outlets, .. }) = self.bodies.remove(&start) {
                self.errands.spawn(async move {
                    // A disk that hangs must not hold anything.
                    let _ = timeout(LOG_TIMEOUT, outlets.finish()).await;
                    Errand::Nothing
                });
            }
        }
    }

    /// Ends the spare keeper, and waits until the log files are written, for at most 2 s.
    pub(super) async fn finish(&mut self) {
        self.tender.shutdown().await;
        let written = async { while self.errands.join_next().await.is_some() {} };
        let _ = timeout(LOG_TIMEOUT, written).await;
    }
}
