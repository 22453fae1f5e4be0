//! The keeper: two small processes between the host and the application.
//!
//! The first is the *warden*, see there; the second does what stands here. It is the
//! nearest ancestor that adopts orphans (`PR_SET_CHILD_SUBREAPER`), so no descendant
//! gets out of sight, whatever it forks and whichever session it opens. Its only tie
//! to the host is a socket. The end of that stream means that the host is gone,
//! however it went, and then the whole tree is killed; so it is if the warden is gone.
//!
//! The application itself is executed by a second, short stage of the same
//! program, which asks the kernel for `SIGKILL` if the keeper dies. That request
//! belongs to the keeper's main thread, which is this process's whole life.
//!
//! Where it can the keeper puts the stage into a control group before anything
//! else. It stays outside itself, kills the group, and removes it.

use super::cgroup::{self, Group};
use super::frames::{KILL, LAUNCH, Launch, Report, TERM};
use super::stage::{EXECUTE, KEEPING, Stage, WAITING, execute, name};
use super::tree::{descendants, signal};
use super::warden::{KEEP, ward};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process_group, pidfd_open, set_child_subreaper, wait,
};
use std::ffi::{OsStr, OsString};
use std::io::{Error, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A keeper's first argument where it makes a control group; its path follows.
pub(super) const GROUP: &str = "group";
/// The second process's exit code if the host is dying, or dead.
pub(super) const LOST: i32 = 3;
/// Between two looks at a tree that is being killed.
pub(super) const KILL_PAUSE: Duration = Duration::from_millis(1);
/// How long the last breath of a host may take.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a keeper; `arguments` are those behind [`crate::KEEPER_ARGUMENT`].
///
/// Returns the exit code of the process when nothing is left to keep. It must be
/// called from the main thread, before any other thread exists.
#[must_use]
pub fn keeper_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => ward(None).map_or(1, |()| 0),
        (Some(first), Some(path), _) if first == GROUP => ward(Some(Path::new(&path))).map_or(1, |()| 0),
        (Some(first), Some(warden), path) if first == KEEP => keep(&warden, path.as_deref().map(Path::new)),
        (Some(first), Some(keeper), _) if first == EXECUTE => execute(&keeper),
        _ => 2,
    }
}

/// The second process; its exit code.
fn keep(warden: &OsStr, path: Option<&Path>) -> i32 {
    name(WAITING);
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    let control = UnixStream::from(control);
    match prepare(&control, warden, path) {
        Ok(Parted::Done) => 0,
        Ok(Parted::Lost) => LOST,
        Err(e) => {
            // If the host is what is missing, nobody is there to be told.
            let _ = (&control).write_all(&Report::NoProcess(e.raw_os_error().unwrap_or_default()).encode());
            1
        }
    }
}

/// Prepares all it can before the order comes, so that a keeper may be started ahead.
fn prepare(control: &UnixStream, warden: &OsStr, path: Option<&Path>) -> Result<Parted, Error> {
    let ties = Ties { control, warden: watch(warden)? };
    set_child_subreaper(Some(getpid()))?;
    let stage = Stage::begin();
    let group = stage.as_ref().ok().zip(path).and_then(|(stage, path)| grouped(path, stage.pid()));
    let parted = match ties.await_order(stage.as_ref().ok()) {
        Awaited::Order(order) => serve(&ties, &order, stage, group.as_ref(), path)?,
        Awaited::StageGone => {
            // A host that has just sent the order is told; another one does not read it.
            stage.map_or(Ok(()), |stage| ties.tell(stage.lost()))?;
            Parted::Done
        }
        Awaited::Nothing(parted) => {
            drop(stage);
            parted
        }
    };
    if let Some(group) = &group {
        group.end();
    }
    Ok(parted)
}

/// A handle that becomes readable with the warden's end.
fn watch(warden: &OsStr) -> Result<OwnedFd, Error> {
    let parent = getppid().filter(|parent| warden.to_str() == Some(parent.as_raw_nonzero().to_string().as_str()));
    // Another parent has adopted this process: the warden is gone.
    let parent = parent.ok_or(Errno::SRCH)?;
    let handle = pidfd_open(parent, PidfdFlags::empty())?;
    if getppid() == Some(parent) { Ok(handle) } else { Err(Errno::SRCH.into()) }
}

/// How a keeper's work came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parted {
    /// The host has no use for it any more, or nothing is left to keep.
    Done,
    /// The stream ended without a word: the host is dying, or dead.
    Lost,
}

/// What a keeper's waiting led to.
enum Awaited {
    Order(Vec<u8>),
    /// Without its stage a keeper is of no use: the host gets another one.
    StageGone,
    Nothing(Parted),
}

/// By what the second process hangs.
struct Ties<'a> {
    /// The stream to the host.
    control: &'a UnixStream,
    /// Readable when the warden is gone.
    warden: OwnedFd,
}

impl Ties<'_> {
    fn tell(&self, report: Report) -> Result<(), Error> {
        let mut control = self.control;
        control.write_all(&report.encode())
    }

    /// Waits for the order.
    fn await_order(&self, stage: Option<&Stage>) -> Awaited {
        match self.hear(stage) {
            Some(LAUNCH) => Launch::read(self.control).map_or(Awaited::Nothing(Parted::Lost), Awaited::Order),
            Some(_) => Awaited::Nothing(Parted::Done),
            None if stage.is_some_and(Stage::is_gone) => Awaited::StageGone,
            None => Awaited::Nothing(Parted::Lost),
        }
    }

    /// The host's next word; none if it, the warden or the stage is gone.
    fn hear(&self, stage: Option<&Stage>) -> Option<u8> {
        let end = stage.and_then(Stage::end);
        let ends = [self.control.as_fd(), self.warden.as_fd()].into_iter().chain(end);
        let mut watched: Vec<PollFd<'_>> = ends.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        loop {
            match poll(&mut watched, None) {
                Err(Errno::INTR) => {}
                // A host that has spoken is heard before anything else.
                Ok(_) if watched.first().is_some_and(|control| !control.revents().is_empty()) => break,
                _ => return None,
            }
        }
        let (mut control, mut word) = (self.control, [0]);
        control.read_exact(&mut word).ok().map(|()| u8::from_ne_bytes(word))
    }
}

/// Has the stage become the application and stays until that has come to its end.
fn serve(
    ties: &Ties<'_>,
    order: &[u8],
    stage: Result<Stage, Error>,
    group: Option<&Group>,
    path: Option<&Path>,
) -> Result<Parted, Error> {
    name(KEEPING);
    let started = match stage {
        Ok(stage) => stage.execute(order, group),
        Err(e) => Err(Report::NoProcess(e.raw_os_error().unwrap_or_default())),
    };
    let root = match started {
        Ok(root) => root,
        Err(report) => return ties.tell(report).map(|()| Parted::Done),
    };
    ties.tell(Report::Started(root))?;
    let (reaper, emptied) = (ties.control.try_clone()?, Arc::new(AtomicBool::new(false)));
    let empty = Arc::clone(&emptied);
    std::thread::Builder::new().name("reaper".into()).spawn(move || reap(root, &reaper, &empty))?;
    if let Some(path) = path.filter(|_| group.is_some()).map(Path::to_path_buf) {
        std::thread::Builder::new().name("cleaner".into()).spawn(move || cgroup::clean(&path))?;
    }
    let parted = obey(ties, root, group);
    kill_all(group);
    Ok(if emptied.load(Ordering::Acquire) { Parted::Done } else { parted })
}

/// Whether the host is gone. It closes its end of the stream a moment before it
/// hands its children on; `lost` tells that it has.
pub(super) fn is_orphan(host: Pid, lost: bool) -> bool {
    let deadline = Instant::now() + ORPHAN_TIMEOUT;
    loop {
        let orphan = getppid() != Some(host);
        if orphan || !lost || Instant::now() > deadline {
            return orphan;
        }
        std::thread::sleep(KILL_PAUSE);
    }
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

/// Waits for every child, own or adopted, until there is none.
fn reap(root: u32, control: &UnixStream, emptied: &AtomicBool) {
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
    emptied.store(true, Ordering::Release);
    // Ends the main thread's reading.
    let _ = control.shutdown(Shutdown::Read);
}

/// Follows the host's orders until it or the warden is gone, or nothing is left.
fn obey(ties: &Ties<'_>, root: u32, group: Option<&Group>) -> Parted {
    while let Some(order) = ties.hear(None) {
        match order {
            TERM => terminate(root),
            KILL => kill_all(group),
            _ => return Parted::Done,
        }
    }
    Parted::Lost
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
pub(super) fn kill_all(group: Option<&Group>) {
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
