//! What is watched, and how eagerly.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Globs;

/// All that one watcher looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The topics; several may share a name (plugin files in several folders).
    pub topics: Vec<Watched>,
    /// Time between two looks that no event hastens. Default 2 s; less than 10 ms counts as 10 ms.
    pub poll: Duration,
    /// False looks by time only, never by the system's events. Default true.
    pub events: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { topics: Vec::new(), poll: Duration::from_secs(2), events: true }
    }
}

/// One topic: files of one folder whose change is told under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The name that a change carries.
    pub name: &'static str,
    /// The folder, absolute. It may be missing, and may be a symbolic link, whose target is followed.
    pub folder: PathBuf,
    /// Which files of it.
    pub what: What,
    /// Quiet time before a change is told; zero tells at once. A change that does
    /// not come to rest is told after ten times this.
    pub settle: Duration,
}

/// Which files of a folder are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Files directly in the folder.
    Names {
        /// Their names.
        names: Vec<OsString>,
        /// True takes ASCII letters of either case.
        any_case: bool,
    },
    /// Files at any depth, by patterns.
    Globs(Globs),
}

impl What {
    /// True if the file at `below` (relative to the folder) is watched.
    pub(crate) fn matches(&self, below: &Path) -> bool {
        match self {
            Self::Names { names, any_case } => names.iter().any(|name| same_name(below.as_os_str(), name, *any_case)),
            Self::Globs(globs) => globs.matches(below),
        }
    }

    /// True if a folder at `below` can hold watched files.
    pub(crate) fn enters(&self, below: &Path) -> bool {
        match self {
            Self::Names { .. } => false,
            Self::Globs(globs) => globs.enters(below),
        }
    }
}

/// Compares names, of either case if asked.
pub(crate) fn same_name(one: &OsStr, other: &OsStr, any_case: bool) -> bool {
    if any_case { one.eq_ignore_ascii_case(other) } else { one == other }
}
