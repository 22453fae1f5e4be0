//! One attempt: a port, a token, a process, and the proof that it listens.

use crate::command::CommandLine;
use crate::environment::{self, Table};
use crate::event::Ended;
use crate::output::{Output, Sink};
use crate::pairing;
use crate::platform::{self, Kept, Launch, Owner, Recipe, Spares};
use crate::port::{self, NoPort, Port};
use crate::report::{self, Failed, News, Sighting};
use crate::settings::Settings;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use wire::{Load, PairingToken, StartFailure};

/// Shortest and longest pause between two looks at the listeners.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// A pause is this part of the waiting time so far, so that a look comes at most
/// about 1.6 % late.
const PAUSE_PART: u32 = 64;
/// A stranger at the port must be seen for this long: a socket that is being
/// handed from one process to another belongs to nobody for a moment.
const FOREIGN_PROOF: Duration = Duration::from_millis(100);
/// How long the end of a killed tree is awaited.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// A backend that listens.
pub(crate) struct Running {
    pub(crate) kept: Kept,
    pub(crate) output: Output,
    pub(crate) addr: SocketAddr,
    pub(crate) token: PairingToken,
    /// What it carries.
    pub(crate) load: Arc<Load>,
    /// By which a client may ask for it again.
    pub(crate) affinity: u64,
    /// The command line.
    pub(crate) command: String,
    /// The started process.
    pub(crate) pid: u32,
    /// The process that listens.
    pub(crate) listening_pid: u32,
    /// How the started process ended, if it did.
    pub(crate) ended: Option<Ended>,
    owner: Option<Owner>,
}

impl Running {
    /// Returns when no process of the tree listens any more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn died(&mut self) {
        loop {
            let Some(owner) = &self.owner else { if self.listens() { continue } else { return } };
            tokio::select! {
                news = self.kept.news() => match news {
                    News::Ended(ended) => self.ended = Some(ended),
                    News::Gone => return,
                    News::Started(_) | News::NoProcess(_) | News::Refused(_) | News::NoProgram(_) => {}
                },
                () = owner.ended() => self.owner = None,
            }
        }
    }

    /// Looks whether a process of the tree still listens, and watches that one.
    pub(crate) fn listens(&mut self) -> bool {
        match platform::look(self.kept.keeper(), likely(self.pid, self.ended), self.addr.port()) {
            Sighting::Ours { pid, .. } => {
                self.owner = Owner::watch(pid);
                self.listening_pid = pid;
                true
            }
            Sighting::Nobody | Sighting::Foreign => false,
        }
    }

    /// Waits for the end of the started process; false if it did not come within
    /// `limit`.
    pub(crate) async fn ends_within(&mut self, limit: Duration) -> bool {
        let ended = async {
            while self.ended.is_none() {
                match self.kept.news().await {
                    News::Ended(ended) => self.ended = Some(ended),
                    News::Gone => return,
                    News::Started(_) | News::NoProcess(_) | News::Refused(_) | News::NoProgram(_) => {}
                }
            }
        };
        timeout(limit, ended).await.is_ok()
    }

    /// Kills whatever is left and waits until it is gone.
    pub(crate) async fn kill(&mut self) {
        self.ended = kill(&mut self.kept).await.or(self.ended);
        self.output.finish().await;
    }
}

/// The started process, as long as it lives.
fn likely(pid: u32, ended: Option<Ended>) -> Option<u32> {
    ended.is_none().then_some(pid)
}

/// Kills the tree; how the started process ended, if that is news.
async fn kill(kept: &mut Kept) -> Option<Ended> {
    let mut how = None;
    kept.kill().await;
    let gone = async {
        loop {
            match kept.news().await {
                News::Ended(ended) => how = Some(ended),
                News::Gone => return,
                News::Started(_) | News::NoProcess(_) | News::Refused(_) | News::NoProgram(_) => {}
            }
        }
    };
    // A process that can't die hangs in the kernel: waiting longer helps nobody.
    let _ = timeout(KILL_TIMEOUT, gone).await;
    how
}

/// Makes one attempt; the deadline is the start's.
///
/// It is given up as soon as `abandoned` is ready; then nothing of it is left when
/// the future ends.
///
/// # Cancel safety
/// Dropping the future kills what was started.
pub(crate) async fn attempt(
    settings: &Settings,
    spares: &Spares,
    deadline: Instant,
    sink: Sink,
    abandoned: impl Future<Output = ()>,
) -> Result<Running, Failed> {
    let (launch, token, port, command) = prepare(settings)?;
    // Until it listens no other host takes the port; afterwards none can.
    let Port { number: port, claim: _claim } = port;
    let system = |summary| Failed::early(StartFailure::System, summary, true).of(&command, port);
    let recipe = Recipe::of(settings);
    let launching = Kept::launch(spares, &recipe, &launch, (token.clone(), port));
    let (kept, pipe) = launching.await.map_err(|e| system(format!("No keeper process could be started: {e}.")))?;
    drop(launch);
    let output = Output::read(pipe, &token, sink);
    let mut trial = Trial { settings, kept, output, port, pid: 0, ended: None, refused: false };
    let waited = tokio::select! {
        biased;
        () = abandoned => Err((StartFailure::Exited, "The start was given up.".to_owned())),
        waited = trial.wait(deadline) => waited,
    };
    match waited {
        Ok((addr, listening_pid)) => Ok(Running {
            kept: trial.kept,
            output: trial.output,
            addr,
            token,
            load: Load::new(std::time::Instant::now()),
            affinity: pairing::random(),
            command,
            pid: trial.pid,
            listening_pid,
            ended: trial.ended,
            owner: Owner::watch(listening_pid),
        }),
        Err((failure, summary)) => {
            let ended_before = trial.ended;
            kill(&mut trial.kept).await;
            trial.output.finish().await;
            let retry = failure != StartFailure::NoProgram && !trial.refused;
            let mut failed = Failed::early(failure, summary, retry).of(&command, port);
            failed.ended = ended_before;
            failed.last_lines = trial.output.lines();
            Err(failed)
        }
    }
}

/// Everything that is decided before a process exists.
fn prepare(settings: &Settings) -> Result<(Launch, PairingToken, Port, String), Failed> {
    let system = |summary| Failed::early(StartFailure::System, summary, false);
    let table = Table::new(settings).map_err(system)?;
    let port = port::choose(table.port()).map_err(|no_port| match no_port {
        NoPort::Configured(summary) => Failed::early(StartFailure::NoPort, summary, false),
        NoPort::AllBusy(summary) => Failed::early(StartFailure::NoPort, summary, true),
    })?;
    let token = pairing::token(table.token()).map_err(system)?;
    let line = CommandLine::resolve(settings, port.number).map_err(|summary| {
        let command = format!("{} {}", settings.process_path, settings.arguments);
        Failed::early(StartFailure::NoProgram, summary, false).of(command.trim_end(), port.number)
    })?;
    let mut command = line.to_string();
    if let Ok(secret) = std::str::from_utf8(token.reveal()) {
        // Somebody may have written a configured token into the arguments too.
        command = command.replace(secret, "[pairing token]");
    }
    let identity = platform::resolve_identity(&settings.identity).map_err(system)?;
    let mut environment = table.finish(settings, port.number, &token);
    environment::become_user(&mut environment, settings, &identity.variables);
    let launch = Launch {
        program: line.program,
        arguments: line.arguments.into_iter().map(Into::into).collect(),
        directory: settings.root.clone(),
        environment,
        capture: settings.console_redirection,
        confine: identity.confine,
        identity: settings.identity.clone(),
    };
    Ok((launch, token, port, command))
}

/// A process on its way to listening.
struct Trial<'a> {
    settings: &'a Settings,
    kept: Kept,
    output: Output,
    port: u16,
    pid: u32,
    ended: Option<Ended>,
    /// The system refuses what was asked for, and always will.
    refused: bool,
}

impl Trial<'_> {
    /// Waits until a process of the tree listens on the port.
    async fn wait(&mut self, deadline: Instant) -> Result<(SocketAddr, u32), (StartFailure, String)> {
        let began = Instant::now();
        let mut foreign_since = None;
        let mut next = began;
        loop {
            tokio::select! {
                biased;
                news = self.kept.news() => {
                    self.hear(news)?;
                    next = Instant::now();
                }
                () = sleep_until(next.min(deadline)) => {
                    let now = Instant::now();
                    // Before the process is there, every listener is a stranger.
                    let sighting = if self.pid == 0 {
                        Sighting::Nobody
                    } else {
                        platform::look(self.kept.keeper(), likely(self.pid, self.ended), self.port)
                    };
                    match sighting {
                        Sighting::Ours { addr, pid } => return Ok((addr, pid)),
                        Sighting::Foreign => {
                            if now - *foreign_since.get_or_insert(now) >= FOREIGN_PROOF {
                                return Err((StartFailure::ForeignListener, report::foreign(self.port)));
                            }
                        }
                        Sighting::Nobody => foreign_since = None,
                    }
                    if now >= deadline {
                        return Err(self.too_late());
                    }
                    next = now + ((now - began) / PAUSE_PART).clamp(PAUSE_MIN, PAUSE_MAX);
                }
            }
        }
    }

    fn hear(&mut self, news: News) -> Result<(), (StartFailure, String)> {
        match news {
            News::Started(pid) => self.pid = pid,
            // Success may mean that it went into the background and left a child.
            News::Ended(Ended::Code(0)) => self.ended = Some(Ended::Code(0)),
            News::Ended(ended) => {
                self.ended = Some(ended);
                return Err(self.gone());
            }
            News::Gone => return Err(self.gone()),
            News::Refused(summary) => {
                self.refused = true;
                return Err((StartFailure::System, summary));
            }
            News::NoProgram(e) => return Err(self.no_program(&e)),
            News::NoProcess(e) => {
                let root = self.settings.root.display();
                return Err((StartFailure::System, format!("No process could be started in {root}: {e}.")));
            }
        }
        Ok(())
    }

    fn gone(&self) -> (StartFailure, String) {
        let mut summary = report::ended_early(self.ended, self.port);
        if platform::is_listening(self.port) {
            summary.push_str(" Another program listens on that port.");
        }
        (StartFailure::Exited, summary)
    }

    fn no_program(&self, e: &std::io::Error) -> (StartFailure, String) {
        let path = &self.settings.process_path;
        let hint = match e.kind() {
            std::io::ErrorKind::NotFound => " Either the file or the interpreter or loader that it names is missing.",
            std::io::ErrorKind::ArgumentListTooLong => {
                " Arguments and environment together are too long for the system."
            }
            _ => "",
        };
        let summary = format!("The program {path:?} can't be executed: {e}.{hint}");
        (StartFailure::NoProgram, summary)
    }

    fn too_late(&self) -> (StartFailure, String) {
        let limit = self.settings.start_limit;
        let others = platform::other_ports(self.kept.keeper(), self.port);
        if others.is_empty() {
            (StartFailure::TimedOut, report::timed_out(limit, self.port))
        } else {
            (StartFailure::WrongPort, report::wrong_port(limit, self.port, &others))
        }
    }
}
