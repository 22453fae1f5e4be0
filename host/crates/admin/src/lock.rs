//! A file that says who owns a place: locked while its owner lives.
//!
//! The system lets go of a lock however its owner dies, so a file that a dead
//! host left is as good as none.

use crate::platform;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock is tried for: a client that looks, or a child of a dead host
/// on its way to its program, holds it for a moment.
const TRIES_MAX: usize = 10;
/// Between two tries.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// A locked file, removed when it is dropped.
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Makes and locks the file; none if another process has it locked.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES_MAX {
            let file = platform::private_file().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) if platform::is_same(&file, path) => return Ok(Some(Self { file, path: path.to_owned() })),
                // Its last owner has just removed it.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY_AFTER),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether a living owner holds the file.
    pub(crate) fn is_held(path: &Path) -> bool {
        // A shared lock is refused only while an owner holds its own.
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is locked: whoever opened it before finds that it is not the same.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
