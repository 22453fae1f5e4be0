//! The second stage of the keeper's program: it waits for its order and becomes
//! the application. Both ends of the talk about it stand here.

use super::cgroup::Group;
use super::confine::{Confine, Refusal, Step};
use super::frames::{Launch, Report};
use super::refusal::is_foreign;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, chdir, getppid, set_parent_process_death_signal};
use std::ffi::OsStr;
use std::io::{Error, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// What `ps` shows for a keeper and its stage that wait for a start.
pub(super) const WAITING: &std::ffi::CStr = c"gatelodge-spare";
/// What `ps` shows for a keeper that has an application.
pub(super) const KEEPING: &std::ffi::CStr = c"gatelodge-keep";
/// The second stage's first argument; the keeper's number follows.
pub(super) const EXECUTE: &str = "execute";
/// Size of a refusal from stage to keeper: the step and an `errno`.
const VERDICT_BYTES: usize = 5;

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
        let mut verdict = [0; VERDICT_BYTES];
        let control = self.control.as_ref().ok_or(Report::NoProcess(0))?;
        let mut handed = control;
        if let Err(e) = handed.write_all(order) {
            return Err(system(&e));
        }
        // The stage's end closes by itself when the application takes its place.
        match handed.read_exact(&mut verdict) {
            Ok(()) => {
                let [step, errno @ ..] = verdict;
                let step = Step::of(step).ok_or(Report::NoProcess(0))?;
                Err(Report::Refused(step, i32::from_le_bytes(errno)))
            }
            Err(_) => self.child.take().map(|child| child.id()).ok_or(Report::NoProcess(0)),
        }
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
    let Some(keeper) = keeper.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else { return 2 };
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let control = UnixStream::from(control);
    if tie(keeper).is_err() {
        return 1;
    }
    name(WAITING);
    let Ok(launch) = Launch::read(&control).and_then(|order| Launch::decode(&order)) else { return 0 };
    let (step, errno) = become_application(&launch, keeper);
    let mut verdict = [step as u8; VERDICT_BYTES];
    if let Some(rest) = verdict.get_mut(1..) {
        rest.copy_from_slice(&errno.raw_os_error().to_le_bytes());
    }
    // Nobody to tell it to if this fails: the keeper is gone then.
    let _ = (&control).write_all(&verdict);
    1
}

/// Returns only if it is refused.
fn become_application(launch: &Launch, keeper: Pid) -> Refusal {
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
