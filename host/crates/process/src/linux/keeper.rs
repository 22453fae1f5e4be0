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

use super::frames::{KILL, Launch, Report, TERM};
use super::tree::{descendants, signal};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use std::ffi::OsString;
use std::io::{Error, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The second stage's first argument.
const EXECUTE: &str = "execute";
/// Between two looks at a tree that is being killed.
const KILL_PAUSE: Duration = Duration::from_millis(1);

/// Runs a keeper; `arguments` are those behind [`crate::KEEPER_ARGUMENT`].
///
/// Returns the exit code of the process when nothing is left to keep. It must be
/// called from the main thread, before any other thread exists.
#[must_use]
pub fn keeper_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    match arguments.next() {
        None => keep().map_or(1, |()| 0),
        Some(stage) if stage == EXECUTE => execute(arguments),
        Some(_) => 2,
    }
}

fn keep() -> Result<(), Error> {
    let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let launch = Launch::decode(&control)?;
    let started = start(&launch);
    drop(launch);
    match started {
        Ok(root) => {
            (&control).write_all(&Report::Started(root).encode())?;
            let reaper = control.try_clone()?;
            std::thread::Builder::new().name("reaper".into()).spawn(move || reap(root, &reaper))?;
            obey(&control, root);
            kill_all();
        }
        Err(report) => (&control).write_all(&report.encode())?,
    }
    Ok(())
}

/// Starts the second stage and waits until it has become the application.
fn start(launch: &Launch) -> Result<u32, Report> {
    let refused = |e: Error| Report::NoProcess(e.raw_os_error().unwrap_or_default());
    let (verdict, stage_end) = UnixStream::pair().map_err(refused)?;
    let child = Command::new("/proc/self/exe")
        .arg(crate::KEEPER_ARGUMENT)
        .arg(EXECUTE)
        .arg(std::process::id().to_string())
        .arg(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&launch.directory)
        .stdin(Stdio::from(OwnedFd::from(stage_end)))
        .process_group(0)
        .spawn()
        .map_err(refused)?;
    let mut errno = [0; 4];
    // The stage's end closes by itself when the application takes its place.
    match (&verdict).read_exact(&mut errno) {
        Ok(()) => Err(Report::NoProgram(i32::from_le_bytes(errno))),
        Err(_) => Ok(child.id()),
    }
}

/// The second stage: from here on this process is the application.
fn execute(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let keeper = arguments.next().and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let (Some(keeper), Some(program)) = (keeper, arguments.next()) else { return 2 };
    let Ok(verdict) = std::io::stdin().as_fd().try_clone_to_owned() else { return 1 };
    if set_parent_process_death_signal(Some(Signal::KILL)).is_err() || getppid() != Some(keeper) {
        return 1;
    }
    let error = Command::new(program).args(arguments).stdin(Stdio::null()).exec();
    // Nobody to tell it to if this fails: the keeper is gone then.
    let _ = UnixStream::from(verdict).write_all(&error.raw_os_error().unwrap_or_default().to_le_bytes());
    1
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
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _ = (&*control).write_all(&Report::Gone.encode());
    // Ends the main thread's reading.
    let _ = control.shutdown(Shutdown::Read);
}

/// Follows the host's orders until it is gone, or nothing is left.
fn obey(mut control: &UnixStream, root: u32) {
    let mut order = [0];
    while control.read_exact(&mut order).is_ok() {
        match order {
            [TERM] => terminate(root),
            [KILL] => kill_all(),
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
fn kill_all() {
    loop {
        let tree = descendants(std::process::id());
        if tree.is_empty() {
            return;
        }
        tree.into_iter().for_each(|process| signal(process, Signal::KILL));
        std::thread::sleep(KILL_PAUSE);
    }
}
