//! A control group (cgroup v2) for each application: the kernel's own list of
//! its processes, which can be killed at one stroke.
//!
//! Only the keeper makes and holds groups; it stays outside of them. A lock on
//! the folder tells that it lives. Where no group can be had, the tree below the
//! keeper is all there is.

use super::confine::{Refusal, Step};
use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, read_dir, read_to_string};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Every group of ours is `gatelodge-<host's pid>-<random>`.
const PREFIX: &str = "gatelodge-";
/// How long a group is tried to be emptied and removed.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at a group that is being emptied.
const END_PAUSE: Duration = Duration::from_millis(1);
/// `cpu.max` counts in periods of so many microseconds.
const PERIOD_US: u64 = 100_000;

/// The folder in which groups can be made.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    parent: PathBuf,
}

impl Groups {
    /// Where the host may make groups: in its own, or beside it where systemd has
    /// handed the level above over (`DelegateSubgroup=`).
    pub(crate) fn find() -> Option<Self> {
        let own =
            own_folder(&read_to_string("/proc/self/mountinfo").ok()?, &read_to_string("/proc/self/cgroup").ok()?)?;
        let above = own.parent().filter(|above| is_delegated(above)).map(Path::to_path_buf);
        let parent = above.unwrap_or(own);
        let writable = |path: &Path| access(path, Access::WRITE_OK).is_ok();
        (writable(&parent) && writable(&parent.join("cgroup.procs"))).then_some(Self { parent })
    }

    /// A name for a new group of this process.
    pub(crate) fn fresh(&self) -> PathBuf {
        let (pid, random) = (std::process::id(), crate::pairing::random());
        self.parent.join(format!("{PREFIX}{pid}-{random:016x}"))
    }

    /// Where a group stands.
    fn beside(group: &Path) -> Option<Self> {
        group.parent().map(|parent| Self { parent: parent.to_path_buf() })
    }

    /// Groups without a keeper whose host's pid is `wanted`.
    fn leftovers(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let Ok(entries) = read_dir(&self.parent) else { return Vec::new() };
        let ours = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            host_of(&name.to_string_lossy()).is_some_and(&wanted)
        });
        ours.map(|entry| entry.path()).filter(|path| lock(path).is_ok()).collect()
    }

    /// Looks whether groups made here have the controller, and asks for it if not.
    ///
    /// # Errors
    /// The system's word.
    pub(super) fn have(&self, controller: &str) -> Result<()> {
        let lists = |file| {
            let text = read_to_string(self.parent.join(file)).unwrap_or_default();
            text.split_ascii_whitespace().any(|word| word == controller)
        };
        if lists("cgroup.subtree_control") {
            return Ok(());
        }
        if !lists("cgroup.controllers") {
            let place = self.parent.display();
            let text = format!("the controller `{controller}` is not available in {place}");
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        write(&self.parent.join("cgroup.subtree_control"), &format!("+{controller}"))
    }
}

/// A group, held by its keeper. Dropping it leaves it to be ended.
pub(super) struct Group {
    path: PathBuf,
    _lock: File,
}

impl Group {
    /// Makes the group.
    pub(super) fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir(path)?;
        Ok(Self { path: path.to_path_buf(), _lock: lock(path)? })
    }

    /// Moves a process into it.
    pub(super) fn admit(&self, pid: u32) -> Result<()> {
        write(&self.path.join("cgroup.procs"), &pid.to_string())
    }

    /// Sets the limits.
    pub(super) fn limit(&self, memory: Option<u64>, cpu_percent: Option<u32>) -> std::result::Result<(), Refusal> {
        let set = |file: &str, text: String, step| {
            let done = write(&self.path.join(file), &text);
            done.map_err(|e| (step, Errno::from_io_error(&e).unwrap_or(Errno::IO)))
        };
        if let Some(bytes) = memory {
            set("memory.max", bytes.to_string(), Step::Memory)?;
        }
        if let Some(percent) = cpu_percent {
            let quota = u64::from(percent) * PERIOD_US / 100;
            set("cpu.max", format!("{quota} {PERIOD_US}"), Step::Cpu)?;
        }
        Ok(())
    }

    /// Kills everyone in it.
    pub(super) fn kill(&self) {
        kill(&self.path);
    }

    /// Kills everyone in it and removes it.
    pub(super) fn end(&self) {
        end(&self.path);
    }
}

/// Kills everyone in the group, and in groups below it.
pub(super) fn kill(path: &Path) {
    match write(&path.join("cgroup.kill"), "1") {
        // Linux before 5.14.
        Err(e) if e.kind() == ErrorKind::NotFound => {
            below(path).iter().for_each(|group| kill_one_by_one(group));
        }
        _ => {}
    }
}

/// Kills everyone in the group and removes it, with the groups below it. Gives up
/// after two seconds: a process that can't die hangs in the kernel.
pub(super) fn end(path: &Path) {
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        kill(path);
        let left = below(path).iter().rev().any(|group| std::fs::remove_dir(group).is_err() && group.exists());
        if !left || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(END_PAUSE);
    }
}

/// Ends the groups beside this one that other hosts left behind: those whose keeper
/// and host are both gone.
pub(super) fn clean(group: &Path) {
    let of_the_dead = |pid: &str| !Path::new("/proc").join(pid).exists();
    let left = Groups::beside(group).map(|groups| groups.leftovers(of_the_dead));
    left.into_iter().flatten().for_each(|group| end(&group));
}

/// Ends the groups of a host that is gone, when a keeper went with it. Keepers
/// that live end their own.
pub(super) fn end_after(host: u32, example: &Path) {
    let Some(groups) = Groups::beside(example) else { return };
    let host = host.to_string();
    let deadline = Instant::now() + END_TIMEOUT;
    let any_left = || {
        read_dir(&groups.parent).is_ok_and(|entries| {
            entries.flatten().any(|entry| host_of(&entry.file_name().to_string_lossy()) == Some(host.as_str()))
        })
    };
    while any_left() && Instant::now() < deadline {
        groups.leftovers(|pid| pid == host).iter().for_each(|group| end(group));
        std::thread::sleep(END_PAUSE);
    }
}

fn kill_one_by_one(group: &Path) {
    for pid in read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself in between, which is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The group and all below it, parents first.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_path_buf()];
    let mut next = 0;
    while let Some(group) = found.get(next) {
        let entries = read_dir(group).into_iter().flatten().flatten();
        let folders: Vec<_> =
            entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect();
        found.extend(folders);
        next += 1;
    }
    found
}

/// Writes to a file that the kernel has made; makes none.
fn write(file: &Path, text: &str) -> Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

fn lock(path: &Path) -> Result<File> {
    let folder = File::open(path)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// The pid in the name of a group of ours.
fn host_of(name: &str) -> Option<&str> {
    let (pid, random) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let digits = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
    (digits && random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit())).then_some(pid)
}

/// Whether systemd has handed the group over to whoever runs in it.
fn is_delegated(group: &Path) -> bool {
    ["trusted.delegate", "user.delegate"].into_iter().any(|name| {
        let mut value = [0; 1];
        rustix::fs::getxattr(group, name, &mut value).is_ok() && value == *b"1"
    })
}

/// The folder of this process's own group, from `/proc/self/mountinfo` and
/// `/proc/self/cgroup`.
fn own_folder(mounts: &str, groups: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        // Fields of the mount, any number of options, a dash, the file system.
        let (mount, system) = line.split_once(" - ")?;
        if system.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let rest = Path::new(own).strip_prefix(root).ok()?;
        let inside = rest.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        inside.then(|| Path::new(point).join(rest))
    })
}

#[cfg(test)]
mod tests;
