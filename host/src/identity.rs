//! Whether the system grants what `[host.backend.identity]` asks for, and where it does not.

use crate::load::Loaded;
use config::plugins_toml::Identity;
use config::{Position, Problem, Severity};

/// Every setting of the app's identity that the system would refuse at its start.
pub(crate) fn ungranted(loaded: &Loaded, asked: &process::Identity) -> Vec<Problem> {
    let toml = &loaded.document.plugins_toml;
    let refused = process::check_identity(asked).err().unwrap_or_default();
    let file = toml.path.clone().unwrap_or_default();
    let problem = |ungranted: process::Ungranted| {
        let Position { line, column } = place(&toml.host.backend.identity, ungranted.setting);
        let (severity, file) = (Severity::Error, file.clone());
        Problem { severity, file, line, column, what: ungranted.what, help: None }
    };
    refused.into_iter().map(problem).collect()
}

/// Where a setting stands. It does: nothing is asked of the system but what is written.
fn place(identity: &Identity, setting: &str) -> Position {
    let Identity { user, group, umask, nice, open_files_max, processes_max, .. } = identity;
    let Identity { address_space_bytes_max, core_bytes_max, memory_bytes_max, cpu_percent_max, .. } = identity;
    let places = [
        ("user", user.as_ref().map(|value| value.at)),
        ("group", group.as_ref().map(|value| value.at)),
        ("umask", umask.as_ref().map(|value| value.at)),
        ("nice", nice.as_ref().map(|value| value.at)),
        ("open_files_max", open_files_max.as_ref().map(|value| value.at)),
        ("processes_max", processes_max.as_ref().map(|value| value.at)),
        ("address_space_bytes_max", address_space_bytes_max.as_ref().map(|value| value.at)),
        ("core_bytes_max", core_bytes_max.as_ref().map(|value| value.at)),
        ("memory_bytes_max", memory_bytes_max.as_ref().map(|value| value.at)),
        ("cpu_percent_max", cpu_percent_max.as_ref().map(|value| value.at)),
    ];
    let named = places.into_iter().find_map(|(name, at)| at.filter(|_| name == setting));
    named.unwrap_or(Position { line: 0, column: 0 })
}
