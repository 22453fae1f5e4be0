//! Processes and sockets as Linux shows them.

mod frames;
mod keeper;
mod kept;
mod listener;
mod tree;

pub(crate) use frames::Launch;
pub use keeper::keeper_main;
pub(crate) use kept::Kept;
pub(crate) use listener::{Owner, is_listening, look, other_ports};

use std::path::Path;

/// Whether the path is a file that somebody may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Ports that the system's owner keeps for others, as a list such as `8080,9148-9150`.
pub(crate) fn reserved_ports() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default()
}
