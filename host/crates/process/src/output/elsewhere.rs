//! What a log file gets on other systems.

use super::writer::Standing;
use std::fs::File;
use std::path::Path;

/// A lock would keep readers out here, so there is none.
pub(super) fn hold(_file: &File) {}

/// A file that is being written can't be told from others.
pub(super) fn is_held(_path: &Path) -> bool {
    false
}

/// Whether there is still a file at the path.
pub(super) fn standing(file: &File, path: &Path) -> Standing {
    match (path.exists(), file.metadata()) {
        (true, Ok(data)) => Standing::Here(data.len()),
        _ => Standing::Gone,
    }
}
