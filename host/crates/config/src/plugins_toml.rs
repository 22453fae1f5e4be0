//! `plugins.toml` -> what it says about the host and its plugins.
//!
//! Keys whose machinery does not exist are refused as "not yet": a setting
//! that is read and does nothing would be a lie.

mod admin;
mod backend;
mod host;
mod limits;
mod named;
mod plugin;
mod recipe;
mod shared;
mod table;
mod upstreams;

pub use admin::{Admin, parse_admin};
pub use backend::{BackendExtras, Health, Identity, Output, Recycle, Start, WarmUp, watch_glob};
pub use host::{
    EscapedSlash, Host, ListenHost, Listener, Log, LogFormat, LogLevel, Workers, parse_listener, parse_path_base,
};
pub use limits::{LIMITS, LimitDoc, Limits, Unit, limits_table};
pub use named::{Limiter, Secret, Store, WhenFull};
pub use plugin::{FaultPolicy, Grants, Isolation, Match, Module, OnFault, Plugin};
pub use recipe::{RECIPE, Recipe};
pub use shared::{CodeCache, SharedPlugins};
pub use upstreams::Upstream;

use crate::error::{Problem, Report};
use crate::source::{Source, Spanned};
use serde::Serialize;
use std::collections::BTreeMap;
use table::{Keys, Reading};
use toml_edit::Document;

/// A `plugins.toml`, understood. Without a file: all defaults, no plugins.
#[derive(Clone, Debug, Serialize)]
pub struct PluginsToml {
    /// The path as messages show it; `None` if there is no file.
    pub path: Option<String>,
    /// The tables `[host]` and below.
    pub host: Host,
    /// `[key_sets.NAME]`.
    pub key_sets: BTreeMap<String, KeySet>,
    /// `[stores.NAME]`.
    pub stores: BTreeMap<String, Store>,
    /// `[limiters.NAME]`.
    pub limiters: BTreeMap<String, Limiter>,
    /// `[secrets.NAME]`: where they come from, never what they are.
    pub secrets: BTreeMap<String, Secret>,
    /// `[upstreams.NAME]`.
    pub upstreams: BTreeMap<String, Upstream>,
    /// `[[plugin]]`, in the order of the file: the order on the way in.
    pub plugins: Vec<Plugin>,
}

/// Keys by which tokens are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySet {
    /// A JSON Web Key Set, relative to the file.
    pub file: Spanned<String>,
}

/// Most `[[plugin]]` entries: one bit each in what an exchange remembers.
pub const PLUGINS_MAX: usize = 64;

impl PluginsToml {
    /// What holds without a file.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            path: None,
            host: Host::default(),
            key_sets: BTreeMap::new(),
            stores: BTreeMap::new(),
            limiters: BTreeMap::new(),
            secrets: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            plugins: Vec::new(),
        }
    }
}

/// Tables of later issues: name, and what to do until then.
const LATER: [(&str, &str); 0] = [];
/// Tables of this version.
const KNOWN: [&str; 7] = ["host", "plugin", "key_sets", "stores", "limiters", "secrets", "upstreams"];

/// Reads a `plugins.toml`: the document, which holds defaults where something
/// was refused, and all problems.
#[must_use]
pub fn read(source: &Source) -> (PluginsToml, Vec<Problem>) {
    let mut reading = Reading { report: Report::new(source) };
    let mut out = PluginsToml::absent();
    out.path = Some(source.path().to_owned());
    match Document::parse(source.text()) {
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            reading.report.error(at, format!("this is not TOML: {message}"), "");
        }
        Ok(document) => {
            let root = Keys::root(document.as_table());
            reading.known(&root, &KNOWN, &LATER);
            if let Some(host) = reading.table(&root, "host") {
                out.host = Host::read(&mut reading, &host);
            }
            out.key_sets = key_sets(&mut reading, &root);
            out.stores = named::stores(&mut reading, &root);
            out.limiters = named::limiters(&mut reading, &root);
            out.secrets = named::secrets(&mut reading, &root);
            out.upstreams = upstreams::read(&mut reading, &root);
            out.plugins = plugin::read(&mut reading, &root);
            named::judge(&mut reading, &root, &out.plugins, out.host.trace_key.as_ref());
        }
    }
    (out, reading.report.finish())
}

fn key_sets(reading: &mut Reading<'_>, root: &Keys<'_>) -> BTreeMap<String, KeySet> {
    let mut sets = BTreeMap::new();
    let Some(tables) = reading.table(root, "key_sets") else { return sets };
    for name in tables.names() {
        let Some(table) = reading.table(&tables, &name) else { continue };
        reading.name(tables.key_at(&name), "key set", &name);
        reading.known(&table, &["file"], &[("jwks", "fetch the key set beforehand and name it: file = \"keys.json\"")]);
        match reading.string(&table, "file") {
            Some(file) => {
                table::path_within(reading, &file);
                sets.insert(name, KeySet { file });
            }
            None if table.has("file") || table.has("jwks") => {}
            None => {
                reading.report.error(table.at, format!("[key_sets.{name}] names no keys"), "write file = \"keys.json\"")
            }
        }
    }
    sets
}

#[cfg(test)]
mod tests;
