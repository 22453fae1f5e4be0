//! Exit codes: what a script may rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Asked to stop, and did so cleanly; or had nothing to complain about.
    Clean = 0,
    /// Failed while running.
    Failed = 1,
    /// Wrong usage; nothing was started.
    Usage = 2,
    /// Configuration refused; nothing was started.
    Refused = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
