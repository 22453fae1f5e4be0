//! `[stores.NAME]`, `[limiters.NAME]` and `[secrets.NAME]`: what plugins are granted by name.

use super::plugin::Plugin;
use super::table::{self, Keys, Reading};
use crate::error::did_you_mean;
use crate::source::{Setting, Spanned};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a write to a store does where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// Entries that were not used for the longest time go.
    Evict,
    /// The write fails.
    Refuse,
}

/// A store that plugins share, in memory or on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Bytes of all entries (64 KiB–64 GiB); each counts its key, its value and 320. Default 64 MiB.
    pub bytes_max: Setting<u64>,
    /// Default evict.
    pub when_full: Setting<WhenFull>,
    /// Its file where it is on disk (`kind = "disk"`), relative to plugins.toml.
    pub path: Option<Spanned<String>>,
    /// Longest time from a change to its writing, milliseconds (10–60,000). Default 1000.
    pub flush_ms: Setting<u32>,
}

/// A rate limiter that plugins share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limiter {
    /// Tokens that a bucket gets back in each period (1–1,000,000,000). Required.
    pub rate: Spanned<u32>,
    /// The period in milliseconds (1–86,400,000). Default 1000.
    pub per_ms: Setting<u32>,
    /// Tokens of a full bucket (1–1,000,000,000). Default: the rate.
    pub burst: Setting<u32>,
    /// Keys whose buckets are not full (16–16,777,216). Default 65,536.
    pub keys_max: Setting<u32>,
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// A variable of the host's environment.
    Env(Spanned<String>),
    /// A file, relative to plugins.toml.
    File(Spanned<String>),
}

pub(super) fn stores(reading: &mut Reading<'_>, root: &Keys<'_>) -> BTreeMap<String, Store> {
    let words = [("evict", WhenFull::Evict), ("refuse", WhenFull::Refuse)];
    let mut files: Vec<String> = Vec::new();
    each(reading, root, "stores", "store", |reading, keys, name| {
        reading.known(keys, &["kind", "bytes_max", "when_full", "path", "flush_ms"], &[]);
        let path = place(reading, keys, name);
        if let Some(Some(path)) = &path {
            if files.contains(&path.value) {
                let what = format!("another store has `{}` already", path.value);
                reading.report.error_at(path.at, what, "give each store a file of its own");
            }
            files.push(path.value.clone());
        }
        Some(Store {
            bytes_max: reading.bytes(keys, "bytes_max", &(65_536..=64 << 30), 64 << 20),
            when_full: reading.word(keys, "when_full", &words, WhenFull::Evict),
            path: path?,
            flush_ms: reading.small(keys, "flush_ms", &(10..=60_000), 1000),
        })
    })
}

/// The file of a store on disk; `None` inside where it is in memory, and outside where that is not told rightly.
fn place(reading: &mut Reading<'_>, keys: &Keys<'_>, name: &str) -> Option<Option<Spanned<String>>> {
    const HELP: &str = "write kind = \"disk\" with path = \"state/NAME.redb\", or kind = \"memory\"";
    let kind = reading.string(keys, "kind");
    let path = reading.string(keys, "path");
    if let Some(path) = &path {
        table::path_within(reading, path);
    }
    match (kind.as_ref().map_or("memory", |kind| kind.value.as_str()), path) {
        ("memory", None) if !keys.has("path") => {
            if !keys.has("flush_ms") {
                return Some(None);
            }
            let what = format!("[stores.{name}] is in memory, and `flush_ms` is for one on disk");
            reading.report.error(keys.at, what, HELP);
        }
        ("memory", Some(path)) => {
            let what = format!("[stores.{name}] is in memory, and `path` is for one on disk");
            reading.report.error_at(path.at, what, HELP);
        }
        ("disk", Some(path)) => return Some(Some(path)),
        ("disk", None) if !keys.has("path") => {
            reading.report.error(keys.at, format!("[stores.{name}] is on disk, but has no `path`"), HELP);
        }
        ("memory" | "disk", None) => {}
        (other, _) => {
            let at = kind.as_ref().map(|kind| kind.at);
            let what = format!("\"{}\" is no kind of store", other.escape_debug());
            if let Some(at) = at {
                reading.report.error_at(at, what, HELP);
            }
        }
    }
    None
}

pub(super) fn limiters(reading: &mut Reading<'_>, root: &Keys<'_>) -> BTreeMap<String, Limiter> {
    each(reading, root, "limiters", "limiter", |reading, keys, name| {
        reading.known(keys, &["rate", "per_ms", "burst", "keys_max"], &[]);
        if !keys.has("rate") {
            let what = format!("[limiters.{name}] has no `rate`");
            reading.report.error(keys.at, what, "write rate = 100, the requests of a second");
        }
        let rate = reading.maybe_number(keys, "rate", &(1..=1_000_000_000));
        let rate = rate.map(|rate| Spanned::new(u32::try_from(rate.value).unwrap_or(u32::MAX), rate.at));
        let default = rate.as_ref().map_or(1, |rate| rate.value);
        let per_ms = reading.small(keys, "per_ms", &(1..=86_400_000), 1000);
        let burst = reading.small(keys, "burst", &(1..=1_000_000_000), default);
        let keys_max = reading.small(keys, "keys_max", &(16..=16_777_216), 65_536);
        Some(Limiter { rate: rate?, per_ms, burst, keys_max })
    })
}

pub(super) fn secrets(reading: &mut Reading<'_>, root: &Keys<'_>) -> BTreeMap<String, Secret> {
    const HELP: &str = "write env = \"SIGNING_KEY\" or file = \"secrets/signing\"";
    each(reading, root, "secrets", "secret", |reading, keys, name| {
        let never = [("value", "a secret is not written into a file that is read by many: name where it comes from")];
        reading.known_or(keys, &["env", "file"], &[], &never);
        let (env, file) = (reading.string(keys, "env"), reading.string(keys, "file"));
        if let Some(file) = &file {
            table::path_within(reading, file);
        }
        if let Some(env) = env.as_ref().filter(|env| env.value.is_empty() || env.value.contains('=')) {
            let what = format!("\"{}\" can't be the name of a variable", env.value.escape_debug());
            reading.report.error_at(env.at, what, HELP);
        }
        match (env, file) {
            (Some(_), Some(file)) => {
                reading.report.error_at(file.at, format!("[secrets.{name}] comes from two places"), "keep one of them");
                None
            }
            (Some(env), None) => Some(Secret::Env(env)),
            (None, Some(file)) => Some(Secret::File(file)),
            (None, None) => {
                if !keys.has("env") && !keys.has("file") {
                    reading.report.error(keys.at, format!("[secrets.{name}] comes from nowhere"), HELP);
                }
                None
            }
        }
    })
}

/// All tables below `table`, by name.
pub(super) fn each<T>(
    reading: &mut Reading<'_>,
    root: &Keys<'_>,
    table: &str,
    what: &str,
    mut read: impl FnMut(&mut Reading<'_>, &Keys<'_>, &str) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    let Some(tables) = reading.table(root, table) else { return found };
    for name in tables.names() {
        let Some(keys) = reading.table(&tables, &name) else { continue };
        reading.name(tables.key_at(&name), what, &name);
        if let Some(value) = read(reading, &keys, &name) {
            found.insert(name, value);
        }
    }
    found
}

/// Refuses grants of names that are not declared, and such a `trace_key`. One that is declared, and wrongly,
/// is told once, where it stands.
pub(super) fn judge(
    reading: &mut Reading<'_>,
    root: &Keys<'_>,
    plugins: &[Plugin],
    trace_key: Option<&Spanned<String>>,
) {
    let (stores, limiters, secrets) = (root.below("stores"), root.below("limiters"), root.below("secrets"));
    let upstreams = root.below("upstreams");
    for plugin in plugins {
        let grants = &plugin.grants;
        for (grant, names, table, known) in [
            ("state", &grants.state, "stores", &stores),
            ("limits", &grants.limits, "limiters", &limiters),
            ("keys", &grants.keys, "secrets", &secrets),
            ("secrets", &grants.secrets, "secrets", &secrets),
            ("http", &grants.http, "upstreams", &upstreams),
        ] {
            for name in names.iter().filter(|name| !known.contains(&name.value)) {
                undeclared(reading, grant, name, table, known);
            }
        }
    }
    if let Some(name) = trace_key.filter(|name| !secrets.contains(&name.value)) {
        undeclared(reading, "trace_key", name, "secrets", &secrets);
    }
}

/// `key` names something that no `[table.NAME]` declares.
fn undeclared(reading: &mut Reading<'_>, key: &str, name: &Spanned<String>, table: &str, known: &[String]) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let what =
        format!("`{key}` names a thing that is not declared: there is no [{table}.{}]", name.value.escape_debug());
    let help = match known.is_empty() {
        true => format!("declare it: [{table}.NAME]"),
        false => did_you_mean(&name.value, &known),
    };
    reading.report.error_at(name.at, what, help);
}
