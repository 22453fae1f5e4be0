//! `[[plugin]]`.

use super::PLUGINS_MAX;
use super::table::{self, Keys, Reading};
use crate::source::{Position, Setting, Spanned};
use serde::Serialize;
use std::collections::BTreeMap;
use toml_edit::{Item, TableLike};

/// Where a plugin's component comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// Embedded in the host: `builtin:NAME`.
    Builtin(String),
    /// A file, relative to plugins.toml.
    File(String),
}

/// What a fault of a plugin does to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultPolicy {
    /// The request is answered with an error.
    Refuse,
    /// The request goes on as if the plugin were not there.
    Skip,
}

/// `on_fault`, one policy per kind of fault. Default refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnFault {
    /// A panic, a bad memory access.
    pub trap: FaultPolicy,
    /// More CPU time than `deadline_ms`, or more time than `wall_ms_max`.
    pub deadline: FaultPolicy,
    /// More memory than `memory_bytes_max`.
    pub memory: FaultPolicy,
    /// An answer that contract or HTTP do not allow.
    pub bad_output: FaultPolicy,
    /// A replacement instance refuses its configuration.
    pub configure: FaultPolicy,
    /// Where it is written; `None` = default.
    pub at: Option<Position>,
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Pooled, used by one request after the other.
    Instance,
    /// Fresh memory for each request.
    Request,
}

/// Which requests a plugin sees: those that fit one entry of each list that is
/// not empty, and all of `header`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Path patterns over the whole canonical path without the query. `*` stands
    /// for any run of characters, slashes too; there is no other wildcard. ASCII
    /// case does not matter, as on IIS. `/api/*` also matches `/api`.
    pub path: Vec<Spanned<String>>,
    /// Methods, compared with their case (RFC 9110 §9.1).
    pub method: Vec<Spanned<String>>,
    /// Host names without port, in any case; `*.example.com` for all below.
    pub host: Vec<Spanned<String>>,
    /// Request fields of which one line must have exactly this value; `*`: any value.
    /// All of them must be there.
    pub header: Vec<(String, Spanned<String>)>,
}

/// What a plugin may do; nothing by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// Write to the host's log.
    pub log: Setting<bool>,
    /// Count.
    pub metrics: Setting<bool>,
    /// Say who the caller is and which credential goes on.
    pub identity: Setting<bool>,
    /// Stores that it shares; of `[stores.NAME]`.
    pub state: Vec<Spanned<String>>,
    /// Limiters that it asks; of `[limiters.NAME]`.
    pub limits: Vec<Spanned<String>>,
    /// Secrets that it uses without seeing them; of `[secrets.NAME]`.
    pub keys: Vec<Spanned<String>>,
    /// Secrets that it may read; of `[secrets.NAME]`.
    pub secrets: Vec<Spanned<String>>,
    /// Upstreams that it may call.
    pub http: Vec<Spanned<String>>,
    /// The table's place; `None` if there is none.
    pub at: Option<Position>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plugin {
    /// Unique.
    pub name: Spanned<String>,
    /// Its component.
    pub module: Spanned<Module>,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: Option<Spanned<String>>,
    /// Which requests it sees.
    pub matches: Match,
    /// What its faults do.
    pub on_fault: OnFault,
    /// Default instance.
    pub isolation: Setting<Isolation>,
    /// Memory of one instance in bytes. Default 16 MiB.
    pub memory_bytes_max: Setting<u64>,
    /// Bytes of one body that the host holds for it. Default 1 MiB.
    pub body_held_bytes_max: Setting<u64>,
    /// CPU time of one hook in milliseconds. Default 50.
    pub deadline_ms: Setting<u64>,
    /// Its hooks give way to other requests every 2 ms. Default false.
    pub preemptible: Setting<bool>,
    /// Time of one hook with waiting, in milliseconds. Default 2000.
    pub wall_ms_max: Setting<u64>,
    /// Instances per worker. Default 64.
    pub instances_max: Setting<u64>,
    /// Requests after which an instance is replaced. Default 1,000,000.
    pub recycle_requests: Setting<u64>,
    /// `[plugin.config]` as JSON; an empty object if there is none.
    pub config: serde_json::Value,
    /// Its place; `None` if there is none.
    pub config_at: Option<Position>,
    /// Where each setting of it is written, by its JSON pointer (RFC 6901).
    #[serde(skip)]
    pub config_places: BTreeMap<String, Position>,
    /// What it may do.
    pub grants: Grants,
    /// The place of its `[[plugin]]`.
    pub at: Position,
}

const KEYS: [&str; 15] = [
    "name",
    "module",
    "sha256",
    "match",
    "on_fault",
    "isolation",
    "memory_bytes_max",
    "body_held_bytes_max",
    "deadline_ms",
    "preemptible",
    "wall_ms_max",
    "instances_max",
    "recycle_requests",
    "config",
    "grants",
];
const GRANTS: [&str; 8] = ["log", "metrics", "identity", "state", "limits", "keys", "secrets", "http"];
const GRANTS_LATER: [(&str, &str); 0] = [];
const GRANTS_NEEDLESS: [(&str, &str); 1] =
    [("key_sets", "any plugin may check tokens against a declared key set; no grant is needed")];
const POLICIES: [(&str, FaultPolicy); 2] = [("refuse", FaultPolicy::Refuse), ("skip", FaultPolicy::Skip)];

/// Reads all `[[plugin]]` entries.
pub(super) fn read(reading: &mut Reading<'_>, root: &Keys<'_>) -> Vec<Plugin> {
    let mut plugins: Vec<Plugin> = Vec::new();
    for (table, at) in entries(reading, root) {
        let keys = Keys::new(table, "plugin", at);
        if plugins.len() >= PLUGINS_MAX {
            reading.report.error(at, format!("more than {PLUGINS_MAX} plugins"), "");
            break;
        }
        let Some(plugin) = one(reading, &keys) else { continue };
        if let Some(other) = plugins.iter().find(|other| other.name.value == plugin.name.value) {
            let what = format!("a plugin named `{}` is in line {} already", plugin.name.value, other.name.at.line);
            reading.report.error_at(plugin.name.at, what, "give it another name");
        }
        plugins.push(plugin);
    }
    plugins
}

fn entries<'t>(reading: &mut Reading<'_>, root: &Keys<'t>) -> Vec<(&'t dyn TableLike, usize)> {
    match root.item("plugin") {
        None => Vec::new(),
        Some(Item::ArrayOfTables(tables)) => tables
            .iter()
            .map(|table| {
                (table as &dyn TableLike, table.span().map_or_else(|| root.key_at("plugin"), |span| span.start))
            })
            .collect(),
        Some(other) => {
            let at = root.key_at("plugin");
            if other.is_table_like() {
                reading.report.error(
                    at,
                    "[plugin] is one table; plugins are a list",
                    "write [[plugin]] with two brackets",
                );
            } else {
                reading.report.error(at, "`plugin` is not a list of tables", "begin each plugin with [[plugin]]");
            }
            Vec::new()
        }
    }
}

fn one(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Option<Plugin> {
    reading.known(keys, &KEYS, &[]);
    let name = required(reading, keys, "name", "write name = \"auth\"");
    if let Some(name) = &name {
        reading.name(keys.value_at("name"), "plugin", &name.value);
    }
    let module =
        required(reading, keys, "module", "write module = \"builtin:auth-forward\" or module = \"plugins/auth.wasm\"");
    let module = module.and_then(|text| module_of(reading, text));
    let sha256 = sha256(reading, keys, module.as_ref());
    let (config, config_at) = config(reading, keys);
    let config_places = config_places(reading, keys);
    let matches = reading.table(keys, "match").map(|table| matches(reading, &table)).unwrap_or_default();
    let isolation = [("instance", Isolation::Instance), ("request", Isolation::Request)];
    let on_fault = on_fault(reading, keys);
    let isolation = reading.word(keys, "isolation", &isolation, Isolation::Instance);
    let memory_bytes_max = reading.bytes(keys, "memory_bytes_max", &(65_536..=4_294_967_296), 16 << 20);
    let body_held_bytes_max = reading.bytes(keys, "body_held_bytes_max", &(65_536..=268_435_456), 1 << 20);
    let deadline_ms = reading.number(keys, "deadline_ms", &(1..=60_000), 50);
    let preemptible = reading.boolean(keys, "preemptible");
    let wall_ms_max = reading.number(keys, "wall_ms_max", &(1..=600_000), 2000);
    let instances_max = reading.number(keys, "instances_max", &(1..=10_000), 64);
    let recycle_requests = reading.number(keys, "recycle_requests", &(1..=1_000_000_000_000), 1_000_000);
    let grants = grants(reading, keys);
    let at = reading.report.at(keys.at);
    Some(Plugin {
        name: name?,
        module: module?,
        sha256,
        matches,
        on_fault,
        isolation,
        memory_bytes_max,
        body_held_bytes_max,
        deadline_ms,
        preemptible,
        wall_ms_max,
        instances_max,
        recycle_requests,
        config,
        config_at,
        config_places,
        grants,
        at,
    })
}

fn required(reading: &mut Reading<'_>, keys: &Keys<'_>, name: &str, help: &str) -> Option<Spanned<String>> {
    if !keys.has(name) {
        reading.report.error(keys.at, format!("this plugin has no `{name}`"), help);
    }
    reading.string(keys, name)
}

fn module_of(reading: &mut Reading<'_>, text: Spanned<String>) -> Option<Spanned<Module>> {
    if let Some(name) = text.value.strip_prefix("builtin:") {
        if name.is_empty() {
            reading.report.error_at(
                text.at,
                "`builtin:` names no plugin",
                "write \"builtin:auth-forward\" or \"builtin:request-log\"",
            );
            return None;
        }
        return Some(Spanned::new(Module::Builtin(name.to_owned()), text.at));
    }
    if text.value.starts_with("oci://") {
        reading.report.error_at(
            text.at,
            "not yet: modules from a registry",
            "fetch it and name the file: module = \"plugins/auth.wasm\"",
        );
        return None;
    }
    table::path_within(reading, &text);
    Some(Spanned::new(Module::File(text.value), text.at))
}

fn sha256(reading: &mut Reading<'_>, keys: &Keys<'_>, module: Option<&Spanned<Module>>) -> Option<Spanned<String>> {
    let mut digest = reading.string(keys, "sha256")?;
    if digest.value.len() != 64 || !digest.value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        reading.report.error_at(
            digest.at,
            "`sha256` is not 64 hex digits",
            "write what `sha256sum` prints for the file",
        );
        return None;
    }
    if module.is_some_and(|module| matches!(module.value, Module::Builtin(_))) {
        reading.report.error_at(digest.at, "`sha256` pins a file; a builtin plugin is part of the host", "remove it");
    }
    digest.value.make_ascii_lowercase();
    Some(digest)
}

fn config(reading: &mut Reading<'_>, keys: &Keys<'_>) -> (serde_json::Value, Option<Position>) {
    let empty = || serde_json::Value::Object(serde_json::Map::new());
    let Some(item) = keys.item("config") else { return (empty(), None) };
    let at = reading.report.at(keys.key_at("config"));
    if reading.table(keys, "config").is_none() {
        return (empty(), Some(at));
    }
    match table::json(item) {
        Ok(value) => (value, Some(at)),
        Err((offset, what)) => {
            reading.report.error(offset, what, "write a number");
            (empty(), Some(at))
        }
    }
}

fn config_places(reading: &Reading<'_>, keys: &Keys<'_>) -> BTreeMap<String, Position> {
    let offsets = keys.item("config").map(|item| table::places(item, keys.key_at("config"))).unwrap_or_default();
    offsets.into_iter().map(|(pointer, offset)| (pointer, reading.report.at(offset))).collect()
}

fn on_fault(reading: &mut Reading<'_>, keys: &Keys<'_>) -> OnFault {
    let all = |policy, at| OnFault {
        trap: policy,
        deadline: policy,
        memory: policy,
        bad_output: policy,
        configure: policy,
        at,
    };
    if keys.item("on_fault").is_none_or(|item| item.is_str()) {
        let policy = reading.word(keys, "on_fault", &POLICIES, FaultPolicy::Refuse);
        return all(policy.value, policy.at);
    }
    let Some(table) = reading.table(keys, "on_fault") else { return all(FaultPolicy::Refuse, None) };
    reading.known(&table, &["trap", "deadline", "memory", "bad_output", "configure"], &[]);
    let mut kind = |name: &str| reading.word(&table, name, &POLICIES, FaultPolicy::Refuse).value;
    let policies = OnFault {
        trap: kind("trap"),
        deadline: kind("deadline"),
        memory: kind("memory"),
        bad_output: kind("bad_output"),
        configure: kind("configure"),
        at: None,
    };
    OnFault { at: Some(reading.report.at(table.at)), ..policies }
}

fn matches(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Match {
    reading.known(keys, &["path", "method", "host", "header"], &[]);
    let path = reading.strings(keys, "path").unwrap_or_default();
    for pattern in path.iter().filter(|pattern| !pattern.value.starts_with(['/', '*'])) {
        let what = format!("path pattern \"{}\" matches nothing: every path begins with a slash", pattern.value);
        reading.report.error_at(pattern.at, what, format!("write \"/{}\"", pattern.value));
    }
    for pattern in path.iter().filter(|pattern| pattern.value.contains('?')) {
        let what = format!("path pattern \"{}\" holds a `?`, which is no wildcard and in no path", pattern.value);
        reading.report.error_at(pattern.at, what, "`*` stands for any run of characters; the query is not matched");
    }
    let method = reading.strings(keys, "method").unwrap_or_default();
    for name in &method {
        let token = !name.value.is_empty()
            && name.value.bytes().all(|byte| byte.is_ascii_graphic() && !b"(),/:;<=>?@[\\]{}\"".contains(&byte));
        if !token {
            reading.report.error_at(name.at, format!("\"{}\" is not a method", name.value), "write \"GET\"");
        } else if name.value.bytes().any(|byte| byte.is_ascii_lowercase())
            && is_known_method(&name.value.to_ascii_uppercase())
        {
            let help = format!("write \"{}\": methods are case-sensitive", name.value.to_ascii_uppercase());
            reading.report.error_at(name.at, format!("\"{}\" is not what clients send", name.value), help);
        }
    }
    let host = reading.strings(keys, "host").unwrap_or_default();
    for name in host.iter().filter(|name| name.value.is_empty() || name.value.contains(['/', ' '])) {
        reading.report.error_at(
            name.at,
            format!("\"{}\" is not a host name", name.value),
            "write \"example.com\" or \"*.example.com\"",
        );
    }
    let mut header = Vec::new();
    if let Some(table) = reading.table(keys, "header") {
        for name in table.names() {
            header.extend(reading.string(&table, &name).map(|value| (name.to_ascii_lowercase(), value)));
        }
    }
    Match { path, method, host, header }
}

fn is_known_method(name: &str) -> bool {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].contains(&name)
}

impl Grants {
    fn none() -> Self {
        let off = Setting::default_value(false);
        let [state, limits, keys, secrets, http] = [const { Vec::new() }; 5];
        Self { log: off, metrics: off, identity: off, state, limits, keys, secrets, http, at: None }
    }
}

fn grants(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Grants {
    let Some(table) = reading.table(keys, "grants") else { return Grants::none() };
    reading.known_or(&table, &GRANTS, &GRANTS_LATER, &GRANTS_NEEDLESS);
    Grants {
        log: reading.boolean(&table, "log"),
        metrics: reading.boolean(&table, "metrics"),
        identity: reading.boolean(&table, "identity"),
        state: reading.strings(&table, "state").unwrap_or_default(),
        limits: reading.strings(&table, "limits").unwrap_or_default(),
        keys: reading.strings(&table, "keys").unwrap_or_default(),
        secrets: reading.strings(&table, "secrets").unwrap_or_default(),
        http: reading.strings(&table, "http").unwrap_or_default(),
        at: Some(reading.report.at(table.at)),
    }
}
