//! The schema of `GET /status`, shared by host and client.
//!
//! Times are seconds with at most three decimals ([`seconds`]). A field that a
//! newer host adds is skipped by an older client, and one that an older host
//! does not send has its empty value, so both may differ in age.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everything that `gatelodge status` shows. Never holds a token or a secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusPage {
    /// The host process.
    pub host: HostPart,
    /// The application as a whole.
    pub app: AppPart,
    /// All instances, also those that drain or start, by number and start.
    pub instances: Vec<InstancePart>,
    /// The plugins of the configuration in use, in the order of the chain.
    pub plugins: Vec<PluginPart>,
    /// What plugins run on; none before the first one needed it.
    pub engine: Option<EnginePart>,
    /// Counters of the host by name, each since its start.
    pub counters: BTreeMap<String, u64>,
}

/// One plugin. Counts are since the host's start, all workers and configurations together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginPart {
    /// Its name.
    pub name: String,
    /// Where its code came from.
    pub module: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// Hooks that it has.
    pub hooks: Vec<String>,
    /// `instance` or `request`.
    pub isolation: String,
    /// `small` or `large`.
    pub slots: String,
    /// True if its hooks may wait.
    pub waits: bool,
    /// Calls of its hooks, `configure` left out.
    pub calls: u64,
    /// Faults of all kinds.
    pub faults: u64,
    /// Pauses for its faults.
    pub pauses: u64,
    /// Calls not made during such pauses.
    pub held_back: u64,
    /// Instances alive.
    pub instances: u64,
    /// Their linear memory.
    pub memory_bytes: u64,
}

/// What plugins run on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnginePart {
    /// Slots of plugins of at most 4 MiB.
    pub small_slots: SlotsPart,
    /// Slots of larger ones; none before one needs them.
    pub large_slots: Option<SlotsPart>,
    /// `pagemap-scan`, `give-back` or `unmap`.
    pub reset: String,
    /// Component-model concurrency, which would make each call three times as dear: always off.
    pub concurrency: bool,
    /// Folder that compiled code is kept in.
    pub code_cache: Option<String>,
    /// Why there is none.
    pub code_cache_off: Option<String>,
    /// Components compiled.
    pub compiled: u64,
    /// Components whose code came from that folder.
    pub from_cache: u64,
    /// Files of that folder that were refused.
    pub cache_rejected: u64,
}

/// Slots of one size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlotsPart {
    /// How many were reserved; none: memory is mapped for each instance anew.
    pub reserved: Option<u32>,
    /// Instances alive in them.
    pub in_use: Option<u64>,
}

/// The host process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostPart {
    /// Version of the program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Since it serves, seconds.
    pub uptime_s: f64,
    /// The application's folder.
    pub app_dir: String,
    /// Where it listens, as URLs.
    pub listen: Vec<String>,
    /// Worker threads.
    pub workers: u32,
    /// Number of the configuration in use, from 1; a reload makes the next.
    pub generation: u64,
    /// The last reload, if there was one.
    pub last_reload: Option<ReloadPart>,
}

/// The last reload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReloadPart {
    /// Whether the new world took over.
    pub ok: bool,
    /// Since then, seconds.
    pub ago_s: f64,
    /// Why not; empty if `ok`.
    pub problems: Vec<String>,
}

/// The application as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppPart {
    /// `idle`, `starting`, `ready`, `down`, `offline` or `stopping`.
    pub state: String,
    /// For how long, seconds.
    pub since_s: f64,
    /// When the next start may be made, seconds from now, if one is held back.
    pub next_start_in_s: Option<f64>,
    /// Crashes within the last minute.
    pub crashes_in_window: u32,
    /// How many of them `rapidFailsPerMinute` allows.
    pub crashes_allowed: u32,
    /// Starts made, ever.
    pub starts: u64,
    /// Starts that failed, ever.
    pub start_failures: u64,
    /// Instances that ended by themselves, ever.
    pub crashes: u64,
    /// Replacements done, ever, recycling included.
    pub replacements: u64,
    /// Replacements that failed, ever.
    pub replacement_failures: u64,
    /// Stops that needed force, ever.
    pub kills: u64,
    /// Answers about health that were not good, ever.
    pub health_failures: u64,
    /// The last end of an instance.
    pub last_exit: Option<ExitPart>,
    /// What the last failed start said.
    pub report: Option<ReportPart>,
    /// The last lines of the newest instance's output, oldest first.
    pub last_lines: Vec<String>,
}

/// The last end of an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExitPart {
    /// Number of its start.
    pub start: u64,
    /// How, in words: `exit code 3`, `signal 11 (SIGSEGV)`; none if unknown.
    pub how: Option<String>,
    /// Whether the host asked for it.
    pub asked: bool,
    /// Since then, seconds.
    pub ago_s: f64,
}

/// A failed start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReportPart {
    /// Reason class, one word.
    pub reason: String,
    /// One sentence: what failed and what to look at.
    pub summary: String,
    /// The command line as it was started.
    pub command: String,
    /// How the process ended, in words, if it did.
    pub ended: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// One instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstancePart {
    /// Its number, from 1; a replacement takes over the number.
    pub number: u16,
    /// Number of its start.
    pub start: u64,
    /// `starting`, `proving`, `ready`, `draining`, `stopping` or `waiting`.
    pub state: String,
    /// The started process; none before there is one.
    pub pid: Option<u32>,
    /// The process that listens; none before it does.
    pub listening_pid: Option<u32>,
    /// Its port; none before it has one.
    pub port: Option<u16>,
    /// Since it listened, seconds.
    pub uptime_s: f64,
    /// Requests taken on.
    pub requests: u64,
    /// Requests that run on it.
    pub outstanding: u64,
    /// Out of the choice for a while, because it failed requests.
    pub ejected: bool,
    /// Bad answers about its health in a row.
    pub health_failures: u32,
    /// Resident memory of its process tree, bytes, where it is known.
    pub memory_bytes: Option<u64>,
}

/// A time as this schema writes it: seconds, cut to milliseconds.
#[must_use]
pub fn seconds(time: Duration) -> f64 {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::{StatusPage, seconds};
    use std::time::Duration;

    #[test]
    fn hosts_and_clients_of_different_age_understand_each_other() {
        let page: StatusPage = serde_json::from_str(r#"{"app":{"state":"ready","new":1},"newer":{}}"#).unwrap();
        assert_eq!(page.app.state, "ready");
        assert_eq!(page, StatusPage { app: page.app.clone(), ..StatusPage::default() });
    }

    #[test]
    fn nothing_is_lost_between_writing_and_reading() {
        let page = crate::table::sample();
        let text = serde_json::to_string(&page).unwrap();
        assert_eq!(serde_json::from_str::<StatusPage>(&text).unwrap(), page);
    }

    #[test]
    fn times_have_three_decimals() {
        assert_eq!(seconds(Duration::from_micros(1_234_567)).to_string(), "1.234");
        assert_eq!(seconds(Duration::ZERO).to_string(), "0");
        assert!(seconds(Duration::MAX).is_finite());
    }
}
