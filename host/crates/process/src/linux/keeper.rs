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
use super::frames::{KILL, LAUNCH, Launch, Report, TERM};
use super::stage::{EXECUTE, KEEPING, Stage, WAITING, execute, name};
use super::tree::{descendants, signal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process_group, set_child_subreaper, wait};
use std::ffi::OsString;
use std::io::{Error, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A keeper's first argument where it makes a control group; its path follows.
pub(super) const GROUP: &str = "group";
/// Between two looks at a tree that is being killed.
const KILL_PAUSE: Duration = Duration::from_millis(1);
/// How long the last breath of a host may take.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(1);

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
    name(WAITING);
    let host = getppid();
    let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let stage = Stage::begin();
    let group = stage.as_ref().ok().zip(path).and_then(|(stage, path)| grouped(path, stage.pid()));
    let parted = match await_order(&control, stage.as_ref().ok()) {
        Awaited::Order(order) => serve(&control, &order, stage, group.as_ref(), path)?,
        Awaited::StageGone => {
            // A host that has just sent the order is told; another one does not read it.
            stage.map_or(Ok(()), |stage| (&control).write_all(&stage.lost().encode()))?;
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
    if let (Some(path), Some(host)) = (path, host)
        && is_orphan(host, parted)
    {
        cgroup::end_after(host.as_raw_nonzero().get().unsigned_abs(), path);
    }
    Ok(())
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

/// Waits for the order.
fn await_order(control: &UnixStream, stage: Option<&Stage>) -> Awaited {
    let end = stage.and_then(Stage::end);
    let mut watched: Vec<PollFd<'_>> =
        std::iter::once(control.as_fd()).chain(end).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    loop {
        match poll(&mut watched, None) {
            Err(Errno::INTR) => {}
            Err(_) => return Awaited::Nothing(Parted::Done),
            Ok(_) if watched.first().is_some_and(|control| !control.revents().is_empty()) => break,
            Ok(_) => return Awaited::StageGone,
        }
    }
    let mut first = [0];
    match (&*control).read_exact(&mut first) {
        Ok(()) if first == [LAUNCH] => Launch::read(control).map_or(Awaited::Nothing(Parted::Lost), Awaited::Order),
        Ok(()) => Awaited::Nothing(Parted::Done),
        Err(_) => Awaited::Nothing(Parted::Lost),
    }
}

/// Has the stage become the application and stays until that has come to its end.
fn serve(
    control: &UnixStream,
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
    let mut told = control;
    let root = match started {
        Ok(root) => root,
        Err(report) => return told.write_all(&report.encode()).map(|()| Parted::Done),
    };
    told.write_all(&Report::Started(root).encode())?;
    let (reaper, emptied) = (control.try_clone()?, Arc::new(AtomicBool::new(false)));
    let empty = Arc::clone(&emptied);
    std::thread::Builder::new().name("reaper".into()).spawn(move || reap(root, &reaper, &empty))?;
    if let Some(path) = path.filter(|_| group.is_some()).map(Path::to_path_buf) {
        std::thread::Builder::new().name("cleaner".into()).spawn(move || cgroup::clean(&path))?;
    }
    let parted = obey(control, root, group);
    kill_all(group);
    Ok(if emptied.load(Ordering::Acquire) { Parted::Done } else { parted })
}

/// Whether the host is gone. It closes its end of the stream a moment before it
/// hands its children on.
fn is_orphan(host: Pid, parted: Parted) -> bool {
    let deadline = Instant::now() + ORPHAN_TIMEOUT;
    loop {
        let orphan = getppid() != Some(host);
        if orphan || parted == Parted::Done || Instant::now() > deadline {
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

/// Follows the host's orders until it is gone, or nothing is left.
fn obey(mut control: &UnixStream, root: u32, group: Option<&Group>) -> Parted {
    let mut order = [0];
    while control.read_exact(&mut order).is_ok() {
        match order {
            [TERM] => terminate(root),
            [KILL] => kill_all(group),
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
