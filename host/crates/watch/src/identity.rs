//! What tells one file from another of the same name.

use std::fs::Metadata;
use std::time::SystemTime;

/// Device and number of a file where the system has them, and its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    number: (u64, u64),
    born: Option<SystemTime>,
}

impl Identity {
    /// The identity of what `metadata` describes.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { number: number(metadata), born: metadata.created().ok() }
    }
}

#[cfg(unix)]
use unix::number;

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;

    pub(super) fn number(metadata: &Metadata) -> (u64, u64) {
        (metadata.dev(), metadata.ino())
    }
}

#[cfg(not(unix))]
use other::number;

#[cfg(not(unix))]
mod other {
    use std::fs::Metadata;

    /// No number by safe means: the birth alone tells files apart.
    pub(super) fn number(_: &Metadata) -> (u64, u64) {
        (0, 0)
    }
}
