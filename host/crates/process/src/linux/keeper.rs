//! The keeper: one small process between the host and the application.
//!
//! It is the nearest ancestor that adopts orphans (`PR_SET_CHILD_SUBREAPER`), so
//! no descendant gets out of sight, whatever it forks and whichever session it
//! opens. Its only tie to the host is a socket. The end of that stream means that
//! the host is gone, however it went, and then the whole tree is killed.
//!
//! The application itself is executed by a second, short stage of the same
//! program, which asks the kernel for `SIGKILL` if the keeper dies. That request
//! belongs to the keeper's main thread, which is the keeper's whole life.
//!
//! Where it can the keeper puts the stage into a control group before anything
//! else. It stays outside itself, kills the group, and removes it.

use super::cgroup::{self, Group};
use super::confine::{Confine, Refusal, Step};
use super::frames::{KILL, Launch, Report, TERM};
use super::refusal::is_foreign;
use super::tree::{descendants, signal};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, chdir, getpid, getppid, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use std::ffi::{OsStr, OsString};
use std::io::{Error, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The second stage's first argument; the keeper's number follows.
const EXECUTE: &str = "execute";
/// A keeper's first argument where it makes a control group; its path follows.
pub(super) const GROUP: &str = "group";
/// Size of a refusal from stage to keeper: the step and an `errno`.
const VERDICT_BYTES: usize = 5;
/// Between two looks at a tree that is being killed.
const KILL_PAUSE: Duration = Duration::from_millis(1);

/// Runs a keeper; `arguments` are those behind [`crate::KEEPER_ARGUMENT`].
///
/// Returns the exit code of the process when nothing is left to keep. It must be
/// called from the main thread, before any other thread exists.
#[must_use]
pub fn keeper_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next()) {
        (None, _) => keep(None).map_or(1, |()| 0),
        (Some(stage), Some(keeper)) if stage == EXECUTE => execute(&keeper),
        (Some(stage), Some(path)) if stage == GROUP => keep(Some(Path::new(&path))).map_or(1, |()| 0),
        _ => 2,
    }
}

/// Prepares all it can before the order comes, so that a keeper may be started ahead.
fn keep(path: Option<&Path>) -> Result<(), Error> {
    let host = getppid();
    let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let stage = Stage::begin();
    let group = stage.as_ref().ok().zip(path).and_then(|(stage, path)| grouped(path, stage.pid()));
    let outcome = Launch::read(&control).map(|order| match stage {
        Ok(stage) => stage.execute(&order, group.as_ref()),
        Err(e) => Err(Report::NoProcess(e.raw_os_error().unwrap_or_default())),
    });
    match outcome {
        Ok(Ok(root)) => {
            (&control).write_all(&Report::Started(root).encode())?;
            let reaper = control.try_clone()?;
            std::thread::Builder::new().name("reaper".into()).spawn(move || reap(root, &reaper))?;
            if let Some(path) = path.filter(|_| group.is_some()).map(Path::to_path_buf) {
                std::thread::Builder::new().name("cleaner".into()).spawn(move || cgroup::clean(&path))?;
            }
            obey(&control, root, group.as_ref());
            kill_all(group.as_ref());
        }
        Ok(Err(report)) => (&control).write_all(&report.encode())?,
        // The host is gone, or has no use for this keeper any more.
        Err(_) => {}
    }
    if let Some(group) = &group {
        group.end();
    }
    if let (Some(path), Some(host)) = (path, host)
        && getppid() != Some(host)
    {
        cgroup::end_after(host.as_raw_nonzero().get().unsigned_abs(), path);
    }
    Ok(())
}

/// A group with the stage in it; none where the system doesn't let us.
fn grouped(path: &Path, stage: u32) -> Option<Group> {
    let group = Group::create(path).ok()?;
    if group.admit(stage).is_err() {
        group.end();
        return None;
    }
    Some(group)
}

/// The second stage, waiting for its order.
struct Stage {
    child: Option<Child>,
    control: Option<UnixStream>,
}

impl Stage {
    fn begin() -> Result<Self, Error> {
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

    fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Hands the order over and waits until the stage has become the application.
    fn execute(mut self, order: &[u8], group: Option<&Group>) -> Result<u32, Report> {
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
fn execute(keeper: &OsStr) -> i32 {
    let Some(keeper) = keeper.to_str().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else { return 2 };
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let control = UnixStream::from(control);
    if tie(keeper).is_err() {
        return 1;
    }
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

/// Waits for every child, own or adopted, until there is none.
fn reap(root: u32, control: &UnixStream) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                if u32::try_from(pid.as_raw_nonzero().get()).is_ok_and(|pid| pid == root) {
                    let report = match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Report::Exited(code),
                        (None, Some(signal)) => Report::Signalled(signal),
                        (None, None) => continue,
                    };
                    // A host that is gone is noticed by the main thread.
                    let _ = (&*control).write_all(&report.encode());
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _ = (&*control).write_all(&Report::Gone.encode());
    // Ends the main thread's reading.
    let _ = control.shutdown(Shutdown::Read);
}

/// Follows the host's orders until it is gone, or nothing is left.
fn obey(mut control: &UnixStream, root: u32, group: Option<&Group>) {
    let mut order = [0];
    while control.read_exact(&mut order).is_ok() {
        match order {
            [TERM] => terminate(root),
            [KILL] => kill_all(group),
            _ => break,
        }
    }
}

/// Asks the application's group to end, or whoever is left if the group is empty.
fn terminate(root: u32) {
    let tree = descendants(std::process::id());
    if tree.iter().any(|process| process.group == root) {
        if let Some(group) = i32::try_from(root).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    } else {
        tree.into_iter().for_each(|process| signal(process, Signal::TERM));
    }
}

/// Kills until nobody is left: what is forked meanwhile is met in the next round.
fn kill_all(group: Option<&Group>) {
    loop {
        if let Some(group) = group {
            group.kill();
        }
        let tree = descendants(std::process::id());
        if tree.is_empty() {
            return;
        }
        tree.into_iter().for_each(|process| signal(process, Signal::KILL));
        std::thread::sleep(KILL_PAUSE);
    }
}
