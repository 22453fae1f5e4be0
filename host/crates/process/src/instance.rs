//! One attempt and what becomes of it, in a task of its own: however long one
//! instance takes, nobody else waits for it.

use crate::ask;
use crate::attempt::{Running, attempt};
use crate::event::{Ended, Event, Events};
use crate::output::{Sink, Tail};
use crate::platform::Spares;
use crate::report::{Failed, seconds};
use crate::settings::{Health, Settings};
use crate::shutdown;
use crate::supervisor::StopOutcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use wire::StartFailure;
use wire::ports::Paired;

/// Shortest and longest pause between two questions about the health at the start.
const PROOF_PAUSE_MIN: Duration = Duration::from_millis(10);
const PROOF_PAUSE_MAX: Duration = Duration::from_millis(100);
/// Shortest and longest pause between two looks at the requests that still run.
const DRAIN_PAUSE_MIN: Duration = Duration::from_millis(5);
const DRAIN_PAUSE_MAX: Duration = Duration::from_millis(50);

/// What an instance is to do. It only ever moves on, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Come up and serve.
    Serve,
    /// Finish its requests until then, and stop.
    Drain(Instant),
    /// Stop, gracefully first.
    Stop,
    /// End at once.
    Kill,
}

/// What an instance tells on its way.
pub(crate) enum Report {
    /// It listens.
    Listening(Box<Facts>),
    /// It is proven.
    Proven,
    /// It ended by itself.
    Died,
    /// It is asked to end.
    Stopping,
}

/// What is known of an instance that listens.
#[derive(Clone)]
pub(crate) struct Facts {
    /// How to reach it.
    pub(crate) paired: Paired,
    /// The started process.
    pub(crate) pid: u32,
    /// The process that listens.
    pub(crate) listening_pid: u32,
    /// Below this process its whole tree is found.
    pub(crate) keeper: u32,
    /// Since when.
    pub(crate) since: Instant,
    /// What it prints.
    pub(crate) tail: Tail,
}

/// How an attempt came to its end. Nothing of it is left then.
pub(crate) enum End {
    /// It never served.
    Failed(Failed),
    /// It listened, and was stopped or ended by itself.
    Gone(Gone),
}

/// The end of an instance.
pub(crate) struct Gone {
    /// What it left, in the words of a report.
    pub(crate) left: Failed,
    /// How it was stopped; none if it ended by itself.
    pub(crate) outcome: Option<StopOutcome>,
}

/// What an attempt is made with.
pub(crate) struct Own {
    pub(crate) start: u64,
    pub(crate) settings: Arc<Settings>,
    /// Where a keeper may wait for it.
    pub(crate) spares: Arc<Spares>,
    /// When the start has taken too long.
    pub(crate) deadline: Instant,
    pub(crate) sink: Sink,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) fate: watch::Receiver<Fate>,
    /// Told when somebody doubts that it still listens.
    pub(crate) look: Arc<Notify>,
    pub(crate) reports: mpsc::Sender<(u64, Report)>,
}

/// Makes the attempt and follows it to its end.
///
/// # Cancel safety
/// Dropping the future kills what was started.
pub(crate) async fn live(mut own: Own) -> End {
    let mut fate = own.fate.clone();
    let sink = std::mem::take(&mut own.sink);
    let attempt = attempt(&own.settings, &own.spares, own.deadline, sink, fated(&mut fate));
    let mut running = match attempt.await {
        Ok(running) => running,
        Err(failed) => return End::Failed(failed),
    };
    own.tell(Report::Listening(Box::new(own.facts(&running)))).await;
    if let Err((failure, summary)) = own.prove(&mut running).await {
        let ended = running.ended;
        running.kill().await;
        let left = left(&mut running, failure, summary);
        return End::Failed(Failed { ended, ..left });
    }
    own.tell(Report::Proven).await;
    End::Gone(own.serve(running).await)
}

/// Returns as soon as it is to do anything else but to serve.
async fn fated(fate: &mut watch::Receiver<Fate>) {
    // A supervisor that is gone drops this task as well.
    let _ = fate.wait_for(|fate| *fate != Fate::Serve).await;
}

fn left(running: &mut Running, failure: StartFailure, summary: String) -> Failed {
    Failed {
        failure,
        summary,
        command: std::mem::take(&mut running.command),
        port: Some(running.addr.port()),
        ended: running.ended,
        last_lines: running.output.lines(),
        retry: true,
    }
}

impl Own {
    async fn tell(&self, report: Report) {
        // Nobody listens only while everything is being dropped.
        let _ = self.reports.send((self.start, report)).await;
    }

    fn facts(&self, running: &Running) -> Facts {
        Facts {
            paired: Paired {
                addr: running.addr,
                token: running.token.clone(),
                start: self.start,
                affinity: running.affinity,
                load: Arc::clone(&running.load),
            },
            pid: running.pid,
            listening_pid: running.listening_pid,
            keeper: running.kept.keeper(),
            since: Instant::now(),
            tail: running.output.tail(),
        }
    }

    /// Asks about its health, if that is wanted, and warms it up.
    async fn prove(&mut self, running: &mut Running) -> Result<(), (StartFailure, String)> {
        let settings = Arc::clone(&self.settings);
        if settings.health.is_none() && settings.warm_up.paths.is_empty() {
            return Ok(());
        }
        let (addr, token, start) = (running.addr, running.token.clone(), self.start);
        let (deadline, events) = (self.deadline, Arc::clone(&self.events));
        let proof = async {
            if let Some(health) = &settings.health {
                healthy(health, deadline, settings.start_limit, || ask::status_of(addr, &health.path, &token)).await?;
            }
            for path in &settings.warm_up.paths {
                let detail = match timeout(settings.warm_up.timeout, ask::whole(addr, path, &token)).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(e)) => e.to_string(),
                    Err(_) => format!("no answer within {}", seconds(settings.warm_up.timeout)),
                };
                events.tell(Event::WarmUpFailed { start, path: path.clone(), detail });
            }
            Ok(())
        };
        tokio::select! {
            biased;
            () = fated(&mut self.fate) => Err((StartFailure::Exited, "The start was given up.".to_owned())),
            () = running.died() => {
                let how = running.ended.map_or_else(String::new, |ended| format!(" ({ended})"));
                Err((StartFailure::Exited, format!("The process listened, but was gone before its first request{how}.")))
            }
            proven = proof => proven,
        }
    }

    /// Serves until it dies or is told otherwise.
    async fn serve(mut self, mut running: Running) -> Gone {
        let mut draining = false;
        loop {
            let fate = *self.fate.borrow_and_update();
            match fate {
                Fate::Serve => tokio::select! {
                    biased;
                    changed = self.fate.changed() => {
                        if changed.is_err() {
                            return self.kill(running).await;
                        }
                    }
                    () = running.died() => return self.bury(running).await,
                    () = self.look.notified() => {
                        if !running.listens() {
                            return self.bury(running).await;
                        }
                    }
                },
                Fate::Drain(until) => {
                    if !std::mem::replace(&mut draining, true) {
                        let outstanding = running.load.outstanding();
                        self.events.tell(Event::Draining { start: self.start, pid: running.pid, outstanding });
                    }
                    let load = Arc::clone(&running.load);
                    tokio::select! {
                        biased;
                        () = drained(&load, until) => return self.stop(running).await,
                        _ = self.fate.changed() => {}
                        () = running.died() => return self.bury(running).await,
                    }
                }
                Fate::Stop => return self.stop(running).await,
                Fate::Kill => return self.kill(running).await,
            }
        }
    }

    async fn stop(self, mut running: Running) -> Gone {
        let outstanding = running.load.outstanding();
        if outstanding > 0 {
            self.events.tell(Event::DrainCut { start: self.start, pid: running.pid, outstanding });
        }
        self.tell(Report::Stopping).await;
        let outcome = shutdown::stop(&mut running, &self.settings, self.events.as_ref()).await;
        Gone { left: left(&mut running, StartFailure::Exited, String::new()), outcome: Some(outcome) }
    }

    async fn kill(self, mut running: Running) -> Gone {
        running.kill().await;
        self.ended(&running, true);
        Gone { left: left(&mut running, StartFailure::Exited, String::new()), outcome: Some(StopOutcome::Killed) }
    }

    /// Removes what is left of one that ended by itself.
    async fn bury(self, mut running: Running) -> Gone {
        self.tell(Report::Died).await;
        running.kill().await;
        self.ended(&running, false);
        Gone { left: left(&mut running, StartFailure::BackingOff, String::new()), outcome: None }
    }

    fn ended(&self, running: &Running, asked: bool) {
        let (pid, port, ended): (u32, u16, Option<Ended>) = (running.pid, running.addr.port(), running.ended);
        self.events.tell(Event::Ended { pid, port, ended, asked });
    }
}

/// Returns when no request runs any more, or at `until`.
async fn drained(load: &wire::Load, until: Instant) {
    let mut pause = DRAIN_PAUSE_MIN;
    while load.outstanding() > 0 && Instant::now() < until {
        sleep(pause.min(until - Instant::now())).await;
        pause = (pause * 2).min(DRAIN_PAUSE_MAX);
    }
}

/// Asks until the answer is a good one. One question is asked in any event.
async fn healthy<A: Future<Output = std::io::Result<u16>>>(
    health: &Health,
    deadline: Instant,
    limit: Duration,
    mut question: impl FnMut() -> A,
) -> Result<(), (StartFailure, String)> {
    let mut pause = PROOF_PAUSE_MIN;
    let mut last = None;
    loop {
        let now = Instant::now();
        let answer_by = (now + health.timeout).min(deadline).max(now + PROOF_PAUSE_MAX);
        match timeout_at(answer_by, question()).await {
            Ok(answer) => match judge(answer) {
                Ok(()) => return Ok(()),
                Err(bad) => last = Some(bad),
            },
            // A question that the limit cut short says less than the answer before it.
            Err(_) if answer_by < now + health.timeout && last.is_some() => {}
            Err(_) => last = Some("no answer in time".to_owned()),
        }
        if Instant::now() + pause >= deadline {
            let last = last.unwrap_or_default();
            let summary = format!(
                "The process listens, but GET {} was not answered well within {}, the startupTimeLimit. Last: {last}.",
                health.path,
                seconds(limit)
            );
            return Err((StartFailure::TimedOut, summary));
        }
        sleep(pause).await;
        pause = (pause * 2).min(PROOF_PAUSE_MAX);
    }
}

/// A 2xx or 3xx answer is a good one; else what was wrong with it.
fn judge(answer: std::io::Result<u16>) -> Result<(), String> {
    match answer {
        Ok(200..=399) => Ok(()),
        Ok(status) => Err(format!("status {status}")),
        Err(e) => Err(e.to_string()),
    }
}

/// One question about the health of an instance that serves.
///
/// # Errors
/// What it answered, or did not.
pub(crate) async fn check(paired: &Paired, health: &Health) -> Result<(), String> {
    match timeout(health.timeout, ask::status_of(paired.addr, &health.path, &paired.token)).await {
        Ok(answer) => judge(answer),
        Err(_) => Err(format!("no answer within {}", seconds(health.timeout))),
    }
}
