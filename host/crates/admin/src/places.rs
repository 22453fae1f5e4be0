//! The private folders in which hosts leave their notes and sockets.

use crate::platform;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a host of this user may leave its note, best first.
#[derive(Clone, Debug)]
pub struct Places {
    folders: Vec<PathBuf>,
}

impl Places {
    /// The folders of the user that this process runs as.
    ///
    /// On Unix: `$XDG_RUNTIME_DIR/gatelodge` if that directory is the user's own,
    /// `/run/gatelodge` for root, and `gatelodge-UID` in `$TMPDIR` or `/tmp`.
    /// Elsewhere: `%LOCALAPPDATA%\gatelodge`.
    #[must_use]
    pub fn of_user(environment: impl Fn(&str) -> Option<OsString>) -> Self {
        Self { folders: platform::folders(&environment) }
    }

    /// This folder only.
    #[must_use]
    pub fn only(folder: PathBuf) -> Self {
        Self { folders: vec![folder] }
    }

    /// The first folder that exists or can be made, is private, and whose path
    /// has at most `bytes_max` bytes.
    ///
    /// # Errors
    /// One sentence for each folder.
    pub(crate) fn make(&self, bytes_max: usize) -> Result<PathBuf, String> {
        let mut problems = Vec::new();
        for folder in &self.folders {
            if folder.as_os_str().len() > bytes_max {
                problems.push(format!("{} has too long a path for a socket", folder.display()));
                continue;
            }
            match platform::make_private(folder) {
                Ok(()) => return Ok(folder.clone()),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            problems.push("no folder of this user is known".to_owned());
        }
        Err(problems.join("; "))
    }

    /// The folders that exist and are private, and one sentence for each that is not.
    pub(crate) fn existing(&self) -> (Vec<&Path>, Vec<String>) {
        let (mut good, mut problems) = (Vec::new(), Vec::new());
        for folder in &self.folders {
            match platform::is_private(folder) {
                Ok(true) => good.push(folder.as_path()),
                Ok(false) => {}
                Err(problem) => problems.push(problem),
            }
        }
        (good, problems)
    }
}

#[cfg(all(test, unix))]
mod tests;
