//! The keeper's first process: it watches the second, and outlives it.
//!
//! It stands above the keeper's second process, which does all the work, and adopts
//! what that one leaves if it is killed. So the tree has somebody who knows it when
//! the host and the one that keeps it die at the same moment. It holds the stream to
//! the host open until nothing is left, so that the host hears of the end at the end.

use super::cgroup;
use super::frames::Report;
use super::keeper::{KILL_PAUSE, LOST, is_orphan, kill_all};
use super::stage::name;
use rustix::io::Errno;
use rustix::process::{WaitOptions, getpid, getppid, set_child_subreaper, wait};
use std::io::{Error, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The second process's first argument; the first one's number follows, and then the
/// path of the control group if there is to be one.
pub(super) const KEEP: &str = "keep";
/// What `ps` shows for it.
const NAME: &std::ffi::CStr = c"gatelodge-ward";

/// Starts the keeper's second process and ends whatever that one did not.
pub(super) fn ward(path: Option<&Path>) -> Result<(), Error> {
    name(NAME);
    let host = getppid();
    set_child_subreaper(Some(getpid()))?;
    let started = Command::new("/proc/self/exe")
        .arg(crate::KEEPER_ARGUMENT)
        .arg(KEEP)
        .arg(std::process::id().to_string())
        .args(path)
        .env_clear()
        .process_group(0)
        .spawn();
    let mut keeper = match started {
        Ok(keeper) => keeper,
        Err(e) => {
            let control = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            let report = Report::NoProcess(e.raw_os_error().unwrap_or_default());
            return (&control).write_all(&report.encode());
        }
    };
    let ended = keeper.wait()?;
    let group = path.filter(|path| path.exists());
    if let Some(group) = group {
        cgroup::kill(group);
    }
    end_orphans();
    if let Some(group) = group {
        cgroup::end(group);
    }
    if let (Some(path), Some(host)) = (path, host)
        && is_orphan(host, ended.code() == Some(LOST))
    {
        cgroup::end_after(host.as_raw_nonzero().get().unsigned_abs(), path);
    }
    Ok(())
}

/// Kills and awaits whoever was left to this process.
fn end_orphans() {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => {
                kill_all(None);
                std::thread::sleep(KILL_PAUSE);
            }
            Err(_) => return,
        }
    }
}
