//! `[host.plugins]`: what all plugins of the host share.

use super::table::{Keys, Reading};
use crate::source::Setting;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Where compiled code is kept between starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeCache {
    /// In the user's own cache folder, where there is one.
    Auto,
    /// Nowhere: every start compiles anew.
    Off,
    /// In this folder, which belongs to the host's user alone.
    Folder(PathBuf),
}

impl fmt::Display for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Serialize for CodeCache {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `[host.plugins]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedPlugins {
    /// Default auto.
    pub cache: Setting<CodeCache>,
    /// Most bytes of the cache; at the edge what was not used for longest goes. Default 512 MiB.
    pub cache_bytes_max: Setting<u64>,
    /// Longest compilation of one plugin, milliseconds; at the edge it is refused. Default 60,000.
    pub compile_ms_max: Setting<u64>,
    /// Most instances of small plugins alive at once; at the edge a hook fails with the fault `memory`. Default 1,000.
    pub slots_max: Setting<u64>,
    /// The same for plugins above 4 MiB. Default 128.
    pub large_slots_max: Setting<u64>,
}

const CACHE_BYTES: u64 = 512 << 20;
const COMPILE_MS: u64 = 60_000;
const SLOTS: u64 = 1_000;
const LARGE_SLOTS: u64 = 128;

impl Default for SharedPlugins {
    fn default() -> Self {
        Self {
            cache: Setting::default_value(CodeCache::Auto),
            cache_bytes_max: Setting::default_value(CACHE_BYTES),
            compile_ms_max: Setting::default_value(COMPILE_MS),
            slots_max: Setting::default_value(SLOTS),
            large_slots_max: Setting::default_value(LARGE_SLOTS),
        }
    }
}

impl SharedPlugins {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        let known = ["cache", "cache_bytes_max", "compile_ms_max", "slots_max", "large_slots_max"];
        reading.known(keys, &known, &[]);
        Self {
            cache: cache(reading, keys),
            cache_bytes_max: reading.bytes(keys, "cache_bytes_max", &((1 << 20)..=(64 << 30)), CACHE_BYTES),
            compile_ms_max: reading.number(keys, "compile_ms_max", &(100..=600_000), COMPILE_MS),
            slots_max: reading.number(keys, "slots_max", &(1..=100_000), SLOTS),
            large_slots_max: reading.number(keys, "large_slots_max", &(1..=10_000), LARGE_SLOTS),
        }
    }
}

fn cache(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Setting<CodeCache> {
    let Some(text) = reading.string(keys, "cache") else { return Setting::default_value(CodeCache::Auto) };
    let cache = match text.value.as_str() {
        "auto" => CodeCache::Auto,
        "off" => CodeCache::Off,
        path if path.starts_with('/') && !path.split('/').any(|part| part == "..") => CodeCache::Folder(path.into()),
        path => {
            let what =
                format!("\"{}\" is not an absolute path: the cache must lie apart from the site", path.escape_debug());
            let help = "write \"auto\", \"off\" or a folder of the host's own: \"/var/cache/gatelodge\"";
            reading.report.error_at(text.at, what, help);
            CodeCache::Auto
        }
    };
    Setting::set(cache, text.at)
}

#[cfg(test)]
mod tests {
    use crate::source::Source;

    #[test]
    fn numbers_at_their_edges_and_one_beyond() {
        for (key, least, most) in [
            ("cache_bytes_max", 1_u64 << 20, 64 << 30),
            ("compile_ms_max", 100, 600_000),
            ("slots_max", 1, 100_000),
            ("large_slots_max", 1, 10_000),
        ] {
            for (number, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                let text = format!("[host.plugins]\n{key} = {number}\n");
                let (document, problems) = super::super::read(&Source::index("plugins.toml", text));
                assert_eq!(problems.is_empty(), fits, "{key} = {number}: {problems:?}");
                let shared = &document.host.plugins;
                let numbers =
                    [&shared.cache_bytes_max, &shared.compile_ms_max, &shared.slots_max, &shared.large_slots_max];
                let taken = numbers.iter().any(|setting| setting.value == number && setting.at.is_some());
                assert_eq!(taken, fits, "{key} = {number}");
                if let [problem] = problems.as_slice() {
                    assert_eq!((problem.line, problem.what.contains(key)), (2, true), "{problem}");
                }
            }
        }
    }
}
