//! A private folder, held open: what is checked once stays what is used.

use super::{CODE_END, TEMPORARY_BEGIN};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Rights that a file or folder of ours gives to nobody else.
const OTHERS: u32 = 0o077;
/// Age at which a file that somebody began to write was left behind by a crash.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// The folder.
pub(super) struct Folder(OwnedFd);

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        if !path.is_absolute() {
            return Err("its path is not absolute".to_owned());
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("it can't be made: {error}"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => "it is a symbolic link or no folder".to_owned(),
            errno => format!("it can't be opened: {errno}"),
        })?;
        let stat = rustix::fs::fstat(&folder).map_err(|errno| errno.to_string())?;
        private(&stat)?;
        Ok(Self(folder))
    }

    /// A whole file, if it is ours alone and not longer than this.
    pub(super) fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
        // Without NONBLOCK a pipe in the file's place would hold us up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err("it is a symbolic link".to_owned()),
            Err(errno) => return Err(format!("it can't be opened: {errno}")),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| errno.to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("it is no plain file".to_owned());
        }
        private(&stat)?;
        let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if length > bytes_max {
            return Err(format!("it has {length} bytes, more than {bytes_max}"));
        }
        used(&file);
        let mut bytes = Vec::with_capacity(length);
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        File::from(file).take(limit).read_to_end(&mut bytes).map_err(|error| format!("it can't be read: {error}"))?;
        Ok(Some(bytes))
    }

    /// A new file in the place of this name: whole or not at all.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), String> {
        self.fresh(
            |file| parts.iter().try_for_each(|part| file.write_all(part)),
            |temporary| rustix::fs::renameat(&self.0, temporary, &self.0, name),
        )
    }

    /// The same, unless there is one already.
    pub(super) fn write_if_missing(&self, name: &str, parts: &[&[u8]]) -> Result<(), String> {
        self.fresh(
            |file| parts.iter().try_for_each(|part| file.write_all(part)),
            |temporary| {
                let linked = rustix::fs::linkat(&self.0, temporary, &self.0, name, AtFlags::empty());
                self.remove(temporary);
                linked.or_else(|errno| if errno == Errno::EXIST { Ok(()) } else { Err(errno) })
            },
        )
    }

    pub(super) fn fresh(
        &self,
        fill: impl FnOnce(&mut File) -> std::io::Result<()>,
        place: impl FnOnce(&str) -> Result<(), Errno>,
    ) -> Result<(), String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| error.to_string())?;
        let temporary = format!("{TEMPORARY_BEGIN}{:016x}", u64::from_ne_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, &*temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| errno.to_string())?;
        let mut file = File::from(file);
        let done = fill(&mut file)
            .and_then(|()| file.sync_all())
            .and_then(|()| place(&temporary).map_err(std::io::Error::from));
        if done.is_err() {
            self.remove(&temporary);
        }
        done.map_err(|error| error.to_string())
    }

    pub(super) fn remove(&self, name: &str) {
        // What can't be removed is judged anew when it is read.
        let _ = rustix::fs::unlinkat(&self.0, name, AtFlags::empty());
    }

    /// Deletes code that was not used for longest until the rest fits, and what crashes left behind.
    pub(super) fn make_room(&self, bytes_max: u64) {
        let Ok(entries) = Dir::read_from(&self.0) else { return };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(stat) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if name.starts_with(TEMPORARY_BEGIN) {
                if age(&stat) > ABANDONED {
                    self.remove(name);
                }
            } else if name.ends_with(CODE_END) {
                let bytes = u64::try_from(stat.st_size).unwrap_or(0);
                files.push(((stat.st_mtime, stat.st_mtime_nsec), bytes, name.to_owned()));
            }
        }
        files.sort();
        let mut sum: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, name) in files {
            if sum <= bytes_max {
                return;
            }
            self.remove(&name);
            sum -= bytes;
        }
    }
}

/// A file's time is when it was used last.
fn used(file: &OwnedFd) {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    // Without it the file only goes earlier.
    let _ = rustix::fs::futimens(file, &rustix::fs::Timestamps { last_access: now, last_modification: now });
}

fn age(stat: &Stat) -> Duration {
    let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    SystemTime::now().duration_since(modified).unwrap_or_default()
}

/// Ours, and nobody else's to read or write.
fn private(stat: &Stat) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(format!("it belongs to user {}, not to {own}", stat.st_uid));
    }
    if stat.st_mode & OTHERS != 0 {
        return Err(format!("others may use it (mode {:03o}): only its owner may", stat.st_mode & 0o777));
    }
    Ok(())
}

pub(super) fn folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    // systemd's `CacheDirectory=`; of several, separated by colons, the first one.
    let given = variable("CACHE_DIRECTORY").and_then(|list| Some(list.to_str()?.split(':').next()?.into()));
    if let Some(given) = given.filter(|path: &PathBuf| path.is_absolute()) {
        return Some(given);
    }
    let base = if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/cache")
    } else {
        let absolute = |path: &PathBuf| path.is_absolute();
        let home = || variable("HOME").filter(absolute).map(|home| home.join(".cache"));
        variable("XDG_CACHE_HOME").filter(absolute).or_else(home)?
    };
    Some(base.join("gatelodge"))
}
