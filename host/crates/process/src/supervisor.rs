//! The thin shell around the rules: it runs attempts, watches, publishes.

use crate::attempt::{Running, attempt};
use crate::environment;
use crate::event::{Ended, Event, Events};
use crate::machine::{Action, Happening, Machine, Policy};
use crate::output::{Outlets, Sink};
use crate::pairing;
use crate::report::{Failed, seconds};
use crate::settings::Settings;
use crate::shutdown;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use wire::ports::{BackendSignal, BackendState, Paired};
use wire::{StartFailure, StartReport};

/// How long the last lines of the log file are awaited at the end.
const LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts, watches and stops one backend.
///
/// It needs a tokio runtime with IO and time. It reads [`BackendSignal`]s and
/// writes [`BackendState`]s; what is worth telling goes to [`Events`].
pub struct Supervisor {
    settings: Arc<Settings>,
    state: watch::Sender<BackendState>,
    signals: mpsc::Receiver<BackendSignal>,
    shell: Shell,
}

/// How [`Supervisor::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// What became of the backend.
    pub outcome: StopOutcome,
    /// From the order to stop to the end.
    pub elapsed: Duration,
}

/// What became of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// There was none.
    NothingRan,
    /// It ended in time.
    Ended(Ended),
    /// It was killed: at the limit, or because it was still starting.
    Killed,
}

type Attempting = Pin<Box<dyn Future<Output = Result<Running, Failed>> + Send>>;

/// What the actions work on.
struct Shell {
    settings: Arc<Settings>,
    events: Arc<dyn Events>,
    machine: Machine,
    attempting: Option<Attempting>,
    running: Option<Running>,
    log: Option<Outlets>,
    /// What the last attempt or crash left for the next report.
    last: Failed,
    report: Option<Arc<StartReport>>,
    attempts: u32,
    began: Instant,
    failed_at: Instant,
    wake_at: Option<Instant>,
    outcome: Option<StopOutcome>,
}

impl Supervisor {
    /// Prepares a supervisor; nothing is started before the first
    /// [`BackendSignal::Wake`].
    pub fn new(
        settings: Settings,
        state: watch::Sender<BackendState>,
        signals: mpsc::Receiver<BackendSignal>,
        events: impl Events,
    ) -> Self {
        let settings = Arc::new(settings);
        let machine = Machine::new(Policy {
            start_limit: settings.start_limit,
            crashes_max: settings.rapid_fails_per_minute,
            back_off: settings.back_off,
        });
        let now = Instant::now();
        let shell = Shell {
            settings: Arc::clone(&settings),
            events: Arc::new(events),
            machine,
            attempting: None,
            running: None,
            log: None,
            last: Failed::early(StartFailure::System, String::new(), false),
            report: None,
            attempts: 0,
            began: now,
            failed_at: now,
            wake_at: None,
            outcome: None,
        };
        Self { settings, state, signals, shell }
    }

    /// Runs until `stop` is ready, then stops the backend: gracefully within
    /// `shutdown_limit`, else by force. The state is `Draining` from then on.
    ///
    /// # Cancel safety
    /// Dropping the future kills the backend and everything it started.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> StopReport {
        let mut stop = pin!(stop);
        let mut stopped_at = None;
        let mut signals_open = true;
        loop {
            let shell = &mut self.shell;
            let happening = tokio::select! {
                biased;
                () = &mut stop => {
                    stopped_at = Some(Instant::now());
                    Happening::Stop
                }
                result = finished(&mut shell.attempting) => shell.conclude(result),
                () = died(&mut shell.running) => Happening::Died,
                () = due(shell.wake_at) => {
                    shell.wake_at = None;
                    Happening::Due
                }
                signal = self.signals.recv(), if signals_open => match signal {
                    Some(BackendSignal::Wake) => Happening::Wake,
                    Some(BackendSignal::Suspect { start }) => Happening::Suspect(start),
                    None => {
                        signals_open = false;
                        continue;
                    }
                },
            };
            self.follow(happening).await;
            if let (Some(at), Some(outcome)) = (stopped_at, self.shell.outcome) {
                if let Some(log) = self.shell.log.take() {
                    // A disk that hangs must not hold the host.
                    let _ = timeout(LOG_TIMEOUT, log.finish()).await;
                }
                return StopReport { outcome, elapsed: at.elapsed() };
            }
        }
    }

    /// Steps the rules and does what they say, until they say no more.
    async fn follow(&mut self, happening: Happening) {
        let mut actions: VecDeque<Action> = self.shell.machine.step(Instant::now(), happening).into();
        while let Some(action) = actions.pop_front() {
            if matches!(action, Action::SayFailed { .. }) {
                // Whoever asked for this start gets its report, not another start.
                while self.signals.try_recv().is_ok() {}
            }
            if let Some(state) = self.shell.say(action) {
                self.state.send_replace(state);
            }
            if let Some(more) = self.shell.act(action, &self.settings).await {
                actions.extend(self.shell.machine.step(Instant::now(), more));
            }
        }
    }
}

impl Shell {
    /// The state that an action publishes, if it does.
    fn say(&mut self, action: Action) -> Option<BackendState> {
        Some(match action {
            Action::SayIdle => BackendState::Idle,
            Action::SayStarting => {
                self.began = Instant::now();
                BackendState::Starting
            }
            Action::SayDraining => BackendState::Draining,
            Action::SayReady => BackendState::Ready([self.paired()?].into()),
            Action::SayFailed { retry_after } => {
                let report = self.failed(retry_after);
                self.events.tell(Event::StartFailed { report: Arc::clone(&report) });
                BackendState::Down(report)
            }
            Action::SayBackingOff { retry_after } => BackendState::Down(self.backing_off(retry_after)),
            Action::SayTooManyCrashes { crashes, retry_after } => {
                self.events.tell(Event::TooManyCrashes { crashes, retry_after });
                BackendState::Down(self.too_many_crashes(crashes, retry_after))
            }
            Action::SayRetryNow => {
                let report = self.report.as_deref()?;
                BackendState::Down(Arc::new(StartReport { retry_after: None, ..report.clone() }))
            }
            _ => return None,
        })
    }

    /// Does what an action says; may lead to the next happening.
    async fn act(&mut self, action: Action, settings: &Arc<Settings>) -> Option<Happening> {
        match action {
            Action::Attempt { start, attempt: number, deadline } => self.begin(settings, start, number, deadline),
            Action::Look => {
                let listens = self.running.as_mut().is_none_or(Running::listens);
                return (!listens).then_some(Happening::Died);
            }
            Action::CleanUp => self.clean_up().await,
            Action::WakeAt(at) => self.wake_at = Some(at),
            Action::Abandon => {
                self.attempting = None;
                self.outcome = Some(StopOutcome::Killed);
            }
            Action::StopBackend => {
                if let Some(running) = self.running.take() {
                    self.outcome = Some(shutdown::stop(running, settings, self.events.as_ref()).await);
                }
            }
            Action::Finish => {
                self.outcome.get_or_insert(StopOutcome::NothingRan);
            }
            _ => {}
        }
        None
    }

    fn begin(&mut self, settings: &Arc<Settings>, start: u64, number: u32, deadline: Instant) {
        if number == 1 {
            self.wake_at = None;
            self.log = Some(Outlets::open(settings, &self.events, start, 1));
        }
        self.attempts = number;
        self.events.tell(Event::Starting { start, attempt: number });
        let sink = self.log.as_ref().map_or_else(Sink::default, Outlets::sink);
        let settings = Arc::clone(settings);
        self.attempting = Some(Box::pin(async move { attempt(&settings, deadline, sink).await }));
    }

    /// Takes an attempt's result in.
    fn conclude(&mut self, result: Result<Running, Failed>) -> Happening {
        self.attempting = None;
        let start = self.machine.start();
        match result {
            Ok(running) => {
                self.events.tell(Event::Ready {
                    start,
                    pid: running.pid,
                    listening_pid: running.listening_pid,
                    port: running.addr.port(),
                    elapsed: self.began.elapsed(),
                });
                self.running = Some(running);
                Happening::Listening
            }
            Err(failed) => {
                let retry = self.machine.tries_again(Instant::now(), failed.retry);
                self.events.tell(Event::AttemptFailed {
                    start,
                    attempt: self.attempts,
                    failure: failed.failure,
                    summary: failed.summary.clone(),
                    command: failed.command.clone(),
                    port: failed.port,
                    retry,
                });
                self.last = failed;
                Happening::AttemptFailed { retry, jitter: pairing::random_below(1001) }
            }
        }
    }

    /// Removes a crashed backend and keeps what it said for a report.
    async fn clean_up(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        running.kill().await;
        let (pid, port) = (running.pid, running.addr.port());
        self.events.tell(Event::Ended { pid, port, ended: running.ended, asked: false });
        self.last = Failed {
            failure: StartFailure::BackingOff,
            summary: String::new(),
            command: std::mem::take(&mut running.command),
            port: Some(port),
            ended: running.ended,
            last_lines: running.output.lines(),
            retry: true,
        };
    }

    fn paired(&self) -> Option<Paired> {
        let running = self.running.as_ref()?;
        Some(Paired {
            addr: running.addr,
            token: running.token.clone(),
            start: self.machine.start(),
            affinity: running.affinity,
            load: Arc::clone(&running.load),
        })
    }

    fn failed(&mut self, retry_after: Option<Duration>) -> Arc<StartReport> {
        self.failed_at = Instant::now();
        let report = self.describe(self.last.failure, self.last.summary.clone(), retry_after);
        Arc::clone(self.report.insert(Arc::new(report)))
    }

    fn backing_off(&self, retry_after: Duration) -> Arc<StartReport> {
        let ago = seconds(self.failed_at.elapsed());
        let wait = seconds(retry_after);
        let cause = self.report.as_ref().map_or("", |report| &report.summary);
        let summary = format!(
            "No start was tried: the last one failed {ago} ago, the next is tried on a request in {wait} or later. {cause}"
        );
        Arc::new(self.describe(StartFailure::BackingOff, summary, Some(retry_after)))
    }

    fn too_many_crashes(&mut self, crashes: u32, retry_after: Duration) -> Arc<StartReport> {
        let allowed = self.settings.rapid_fails_per_minute;
        let wait = seconds(retry_after);
        let summary = format!(
            "No start was tried: the backend crashed {crashes} times within a minute, and rapidFailsPerMinute \
             allows {allowed}; the next start is tried on a request in {wait} or later."
        );
        let report = self.describe(StartFailure::BackingOff, summary, Some(retry_after));
        Arc::clone(self.report.insert(Arc::new(report)))
    }

    fn describe(&self, failure: StartFailure, summary: String, retry_after: Option<Duration>) -> StartReport {
        StartReport {
            failure,
            summary,
            command: self.last.command.clone(),
            directory: self.settings.root.display().to_string(),
            ended: self.last.ended.map(|ended| ended.to_string()),
            port: self.last.port,
            attempts: self.attempts,
            elapsed: self.began.elapsed(),
            last_lines: self.last.last_lines.clone(),
            retry_after,
            development: environment::development(&self.settings),
            show_page: self.settings.show_page,
        }
    }
}

/// The result of the attempt that is being made; never without one.
async fn finished(attempting: &mut Option<Attempting>) -> Result<Running, Failed> {
    match attempting {
        Some(attempting) => attempting.await,
        None => std::future::pending().await,
    }
}

/// The death of the backend that runs; never without one.
async fn died(running: &mut Option<Running>) {
    match running {
        Some(running) => running.died().await,
        None => std::future::pending().await,
    }
}

/// The time to be woken at; never without one.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
