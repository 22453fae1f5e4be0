//! The second stage of the keeper's program: it waits for its order and becomes
//! the application. Both ends of the talk about it stand here.

use super::cgroup::Group;
use super::confine::{Confine, Refusal, Step};
use super::frames::{Launch, Report};
use super::refusal::is_foreign;
use crate::event::Ended;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, chdir, getppid, set_parent_process_death_signal};
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::{Error, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

/// What `ps` shows for a keeper and its stage that wait for a start.
pub(super) const WAITING: &std::ffi::CStr = c"gatelodge-spare";
/// What `ps` shows for a keeper that has an application.
pub(super) const KEEPING: &std::ffi::CStr = c"gatelodge-keep";
/// The second stage's first argument; the keeper's number follows.
pub(super) const EXECUTE: &str = "execute";
/// Size of a refusal from stage to keeper: the step and an `errno`.
const VERDICT_BYTES: usize = 5;
/// A stage's word that all is done but the last step. The end of the stream behind
/// it is the application's beginning; without it, it is the end of the stage.
const READY: u8 = b'E';

/// The second stage, waiting for its order.
pub(super) struct Stage {
    child: Option<Child>,
    control: Option<UnixStream>,
}

impl Stage {
    pub(super) fn begin() -> Result<Self, Error> {
        let (control, end) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg(crate::KEEPER_ARGUMENT)
            .arg(EXECUTE)
            .arg(std::process::id().to_string())
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(end)))
            .process_group(0)
            .spawn()?;
        Ok(Self { child: Some(child), control: Some(control) })
    }

    /// Readable when the stage is gone.
    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.control.as_ref().map(|control| control.as_fd())
    }

    pub(super) fn is_gone(&self) -> bool {
        let mut end = self.end().map(|end| PollFd::from_borrowed_fd(end, PollFlags::IN));
        end.as_mut().is_none_or(|end| poll(std::slice::from_mut(end), Some(&Timespec::default())) != Ok(0))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Hands the order over and waits until the stage has become the application.
    pub(super) fn execute(mut self, order: &[u8], group: Option<&Group>) -> Result<u32, Report> {
        let refused = |(step, e): Refusal| Report::Refused(step, e.raw_os_error());
        let system = |e: &Error| Report::NoProcess(e.raw_os_error().unwrap_or_default());
        let Confine { memory, cpu_percent, .. } = Launch::decode(order).map_err(|e| system(&e))?.confine;
        match group {
            Some(group) => group.limit(memory, cpu_percent).map_err(refused)?,
            None if memory.is_some() || cpu_percent.is_some() => return Err(refused((Step::Cgroup, Errno::ACCESS))),
            None => {}
        }
        let mut handed = self.control.as_ref().ok_or(Report::NoProcess(0))?;
        // One that is gone has left its word behind.
        let _ = handed.write_all(order);
        match self.verdict() {
            (true, None) => self.child.take().map(|child| child.id()).ok_or(Report::NoProcess(0)),
            (_, refusal) => Err(refusal.unwrap_or_else(|| self.end_of())),
        }
    }

    /// Why there is no application: this stage is gone before its order came.
    pub(super) fn lost(mut self) -> Report {
        self.verdict().1.unwrap_or_else(|| self.end_of())
    }

    /// Reads until the stage's end of the stream closes, which it does by itself when
    /// the application takes its place: whether it was ready, and what was refused.
    fn verdict(&self) -> (bool, Option<Report>) {
        let mut said = Vec::new();
        if let Some(control) = &self.control {
            // A stage that ends before it has read all breaks the stream: what it said is there.
            let _ = control.take(1 + VERDICT_BYTES as u64).read_to_end(&mut said);
        }
        let (ready, verdict) = match said.split_first() {
            Some((&READY, rest)) => (true, rest),
            _ => (false, said.as_slice()),
        };
        let Ok([step, errno @ ..]) = <[u8; VERDICT_BYTES]>::try_from(verdict) else { return (ready, None) };
        (ready, Step::of(step).map(|step| Report::Refused(step, i32::from_le_bytes(errno))))
    }

    /// How a stage ended that did not become the application.
    fn end_of(&mut self) -> Report {
        let Some(Ok(status)) = self.child.take().map(|mut child| child.wait()) else { return Report::NoProcess(0) };
        Report::NoStage(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Code(code),
            (None, signal) => Ended::Signal(signal.unwrap_or_default()),
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The stage takes the end of the stream for the end.
        self.control = None;
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

/// The second stage: once the order is there this process becomes the application.
pub(super) fn execute(keeper: &OsStr) -> i32 {
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else { return 2 };
    let control = UnixStream::from(control);
    let (step, errno) = match wait_and_become(&control, keeper) {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    };
    let mut verdict = [step as u8; VERDICT_BYTES];
    if let Some(rest) = verdict.get_mut(1..) {
        rest.copy_from_slice(&errno.raw_os_error().to_le_bytes());
    }
    // Nobody to tell it to if this fails: the keeper is gone then.
    let _ = (&control).write_all(&verdict);
    1
}

/// Returns only if it is refused, or not wanted.
fn wait_and_become(control: &UnixStream, keeper: &OsStr) -> Result<Infallible, Refusal> {
    let keeper = keeper.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    let keeper = keeper.ok_or((Step::Tie, Errno::INVAL))?;
    tie(keeper).map_err(|e| (Step::Tie, e))?;
    name(WAITING);
    let order = |e: Error| (Step::Order, Errno::from_io_error(&e).unwrap_or(Errno::BADMSG));
    let launch = Launch::read(control).and_then(|order| Launch::decode(&order)).map_err(order)?;
    Err(become_application(&launch, keeper, control))
}

/// Returns only if it is refused.
fn become_application(launch: &Launch, keeper: Pid, mut control: &UnixStream) -> Refusal {
    let ready = launch.confine.apply().and_then(|()| {
        // A change of user takes the tie away.
        tie(keeper).map_err(|e| (Step::Tie, e))?;
        chdir(&launch.directory).map_err(|e| (Step::Directory, e))
    });
    if let Err(refusal) = ready {
        return refusal;
    }
    if is_foreign(&launch.program) {
        return (Step::Execute, Errno::NOEXEC);
    }
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).env_clear().stdin(Stdio::null());
    command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
    if !launch.capture {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    if let Err(e) = control.write_all(&[READY]) {
        return (Step::Tie, Errno::from_io_error(&e).unwrap_or(Errno::PIPE));
    }
    let error = command.exec();
    (Step::Execute, Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

/// Asks for this process's end with its parent's, and sees that it was not too late.
fn tie(keeper: Pid) -> Result<(), Errno> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(keeper) { Ok(()) } else { Err(Errno::SRCH) }
}

/// Names the process for people; a name that can't be given is no harm.
pub(super) fn name(name: &std::ffi::CStr) {
    let _ = rustix::thread::set_name(name);
}
