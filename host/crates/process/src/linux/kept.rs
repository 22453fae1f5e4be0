//! The host's end of a keeper.

use super::cgroup;
use super::confine::Step;
use super::frames::{BYE, KILL, LAUNCH, Launch, REPORT_BYTES, Report, TERM};
use super::identity::refused;
use super::refusal::explain;
use super::spare::{Parts, Recipe, Spare, Spares, bury};
use super::tree::{self, signal};
use crate::event::Ended;
use crate::report::News;
use crate::settings::Identity;
use rustix::process::Signal;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Child;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use wire::PairingToken;

/// What the application writes to its standard output and error.
type OutputPipe = pipe::Receiver;

/// A running keeper. Dropping it kills the whole tree below the keeper.
pub(crate) struct Kept {
    control: Option<UnixStream>,
    child: Option<Child>,
    keeper: u32,
    group: Option<PathBuf>,
    identity: Identity,
    program: PathBuf,
    partial: [u8; REPORT_BYTES],
    filled: usize,
    token: PairingToken,
    port: u16,
}

impl Kept {
    /// Hands the order to the spare keeper, or to a new one if there is none for it.
    /// Whether the application runs is told by [`Kept::news`].
    ///
    /// # Errors
    /// No keeper could be started; the text is the system's.
    ///
    /// # Cancel safety
    /// Dropping the future kills what has been started.
    pub(crate) async fn launch(
        spares: &Spares,
        recipe: &Recipe,
        launch: &Launch,
        (token, port): (PairingToken, u16),
    ) -> Result<(Self, Option<OutputPipe>), Error> {
        let order = launch.encode()?;
        let fresh = || Spare::begin(recipe);
        let kept = |spare: Spare| Self::of(spare, launch, (token.clone(), port));
        if let Some(spare) = spares.take(recipe) {
            let (mut kept, output) = kept(spare)?;
            if kept.hand(&order).await.is_ok() {
                return Ok((kept, output));
            }
            // It died this very moment.
        }
        let (mut kept, output) = kept(fresh()?)?;
        match kept.hand(&order).await {
            Ok(()) => Ok((kept, output)),
            // One that could not take it has left word why.
            Err(e) => Err(if let News::NoProcess(why) = kept.news().await { why } else { e }),
        }
    }

    fn of(
        spare: Spare,
        launch: &Launch,
        (token, port): (PairingToken, u16),
    ) -> Result<(Self, Option<OutputPipe>), Error> {
        let Parts { child, control, output, group } = spare.take().ok_or(ErrorKind::NotFound)?;
        let mut kept = Self {
            control: None,
            keeper: child.id(),
            child: Some(child),
            group,
            identity: launch.identity.clone(),
            program: launch.program.clone(),
            partial: [0; REPORT_BYTES],
            filled: 0,
            token,
            port,
        };
        let output = output.map(|reader| pipe::Receiver::from_owned_fd(OwnedFd::from(reader))).transpose()?;
        kept.control = Some(UnixStream::from_std(control)?);
        Ok((kept, output))
    }

    async fn hand(&mut self, order: &[u8]) -> Result<(), Error> {
        let control = self.control.as_mut().ok_or(ErrorKind::NotConnected)?;
        control.write_all(&[LAUNCH]).await?;
        control.write_all(order).await
    }

    /// The number of the keeper's first process: the application is below it.
    pub(crate) fn keeper(&self) -> u32 {
        self.keeper
    }

    /// Waits for the next news. After [`News::Gone`] there is no other.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn news(&mut self) -> News {
        let Some(control) = &mut self.control else { return News::Gone };
        loop {
            let room = self.partial.get_mut(self.filled..).unwrap_or_default();
            match control.read(room).await {
                Ok(count) if count > 0 => self.filled += count,
                _ => {
                    self.control = None;
                    // The keeper ended before its work: somebody killed it.
                    self.sweep();
                    return News::Gone;
                }
            }
            if self.filled < REPORT_BYTES {
                continue;
            }
            self.filled = 0;
            match Report::decode(self.partial) {
                Some(Report::Started(pid)) => return News::Started(pid),
                Some(Report::NoProcess(errno)) => return News::NoProcess(Error::from_raw_os_error(errno)),
                Some(Report::NoStage(ended)) => {
                    let text = format!("the process that was to become the program ended with {ended} before it could");
                    return News::NoProcess(Error::other(text));
                }
                Some(Report::Refused(step, errno)) => {
                    let e = Error::from_raw_os_error(errno);
                    return match step {
                        Step::Execute => News::NoProgram(explain(&self.program, e)),
                        Step::Directory | Step::Tie | Step::Order => News::NoProcess(e),
                        _ => News::Refused(refused(&self.identity, step, &e)),
                    };
                }
                Some(Report::Exited(code)) => return News::Ended(Ended::Code(code)),
                Some(Report::Signalled(signal)) => return News::Ended(Ended::Signal(signal)),
                Some(Report::Gone) => {
                    self.control = None;
                    return News::Gone;
                }
                None => {}
            }
        }
    }

    /// Asks the application's process group to end.
    pub(crate) async fn terminate(&mut self) {
        self.order(TERM).await;
    }

    /// Kills the whole tree.
    pub(crate) async fn kill(&mut self) {
        self.order(KILL).await;
    }

    async fn order(&mut self, order: u8) {
        if let Some(control) = &mut self.control {
            // A keeper that is gone is told by `news`.
            let _ = control.write_all(&[order]).await;
        }
    }

    /// Kills what a lost keeper left behind. The kernel has killed the started
    /// process; its descendants are in its control group, or known by the port and
    /// token they inherited.
    fn sweep(&mut self) {
        if let Some(group) = self.group.take() {
            cgroup::kill(&group);
            // The dead leave the group a moment later; nobody waits for its removal.
            let _ = std::thread::Builder::new().name("group-end".into()).spawn(move || cgroup::end(&group));
        }
        let port = self.port.to_string();
        for process in tree::all() {
            let Ok(environment) = std::fs::read(format!("/proc/{}/environ", process.pid)) else { continue };
            let holds = |wanted: &[u8]| {
                environment.split(|b| *b == 0).any(|entry| {
                    entry.iter().position(|b| *b == b'=').and_then(|at| entry.get(at + 1..)) == Some(wanted)
                })
            };
            if holds(self.token.reveal()) && holds(port.as_bytes()) {
                signal(process, Signal::KILL);
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            // One that is gone, or has lost its ear, takes the end of the stream for it.
            let _ = control.try_write(&[BYE]);
        }
        if let Some(child) = self.child.take() {
            bury(child, self.group.take());
        }
    }
}
