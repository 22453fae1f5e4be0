//! What a log file needs of Linux.

use super::writer::Standing;
use rustix::fs::{Mode, OFlags};
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Marks the file as being written, for every process, until it is closed.
pub(super) fn hold(file: &File) {
    // Where the file system has no locks, a removed file is noticed by its writer.
    let _ = file.try_lock();
}

/// Whether somebody writes the file.
pub(super) fn is_held(path: &Path) -> bool {
    // Never through a link, and never waiting for whatever it has become.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    matches!(File::from(file).try_lock(), Err(TryLockError::WouldBlock))
}

/// Whether the open file is still the one at its path.
pub(super) fn standing(file: &File, path: &Path) -> Standing {
    let Ok(ours) = file.metadata() else { return Standing::Gone };
    if ours.nlink() == 0 {
        return Standing::Gone;
    }
    match std::fs::symlink_metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => Standing::Here(ours.len()),
        _ => Standing::Moved,
    }
}
