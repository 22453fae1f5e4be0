//! What holds, as `gatelodge check` prints it: every setting with its value
//! and its place, defaults marked, inheritance resolved.

mod backend;

use crate::Document;
use crate::plugins_toml::{FaultPolicy, LIMITS, Plugin, PluginsToml, Secret, Workers};
use crate::source::{Position, Setting, Spanned};
use crate::web_config::{Backend, Handler, HostingModel, Module, Scope, Section, WebConfig};
use serde::Serialize;
use std::fmt::{self, Display, Write};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Written nowhere.
    Default,
    /// Written here: `path:line`.
    File(String),
}

/// One setting that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its name, as the file calls it.
    pub name: String,
    /// Its value as text.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Settings that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `aspNetCore`, `handlers at /api`, `[host.limits]`.
    pub title: String,
    /// In the order they are best read.
    pub lines: Vec<Line>,
}

/// The whole effective configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Effective(Vec<Group>);

impl Effective {
    /// Collects what holds.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        let mut groups = Vec::new();
        web_config(&mut groups, &document.web_config);
        plugins_toml(&mut groups, document);
        Self(groups)
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.0
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let line = |line: &Line| serde_json::json!({ "name": line.name, "value": line.value, "origin": line.origin });
        let group = |group: &Group| serde_json::json!({ "title": group.title, "lines": group.lines.iter().map(line).collect::<Vec<_>>() });
        serde_json::Value::Array(self.0.iter().map(group).collect())
    }
}

impl Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", group.title)?;
            let name = group.lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0);
            let value = group.lines.iter().map(|line| line.value.chars().count()).max().unwrap_or(0).min(60);
            for line in &group.lines {
                let origin = match &line.origin {
                    Origin::Default => "(default)",
                    Origin::File(place) => place,
                };
                writeln!(f, "  {:name$}  {:value$}  {origin}", line.name, line.value)?;
            }
        }
        Ok(())
    }
}

struct Lines<'p> {
    path: &'p str,
    lines: Vec<Line>,
}

impl<'p> Lines<'p> {
    fn new(path: &'p str) -> Self {
        Self { path, lines: Vec::new() }
    }

    fn add(&mut self, name: impl Into<String>, value: impl Display, at: Option<Position>) {
        let origin = match at {
            None => Origin::Default,
            Some(at) => Origin::File(format!("{}:{}", self.path, at.line)),
        };
        // Control characters of a value must not reach a terminal.
        let mut shown = String::new();
        for character in value.to_string().chars() {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        self.lines.push(Line { name: name.into(), value: shown, origin });
    }

    fn setting(&mut self, name: &str, setting: &Setting<impl Display>) {
        self.add(name, &setting.value, setting.at);
    }

    fn text(&mut self, name: &str, setting: &Setting<String>) {
        self.add(name, format!("\"{}\"", setting.value), setting.at);
    }

    fn into_group(self, title: impl Into<String>) -> Group {
        Group { title: title.into(), lines: self.lines }
    }
}

fn web_config(groups: &mut Vec<Group>, document: &WebConfig) {
    groups.push(section(&document.path, &document.backend));
    let variables = &document.backend.environment;
    if !variables.is_empty() {
        let mut lines = Lines::new(&document.path);
        for variable in variables {
            // Values are often secrets: their names tell enough.
            lines.add(&*variable.name, format!("{} characters", variable.value.chars().count()), Some(variable.at));
        }
        groups.push(lines.into_group("environmentVariables"));
    }
    scope(groups, &document.path, "", &document.root);
    for location in &document.locations {
        scope(groups, &document.path, &format!(" at /{}", location.path.value), &location.scope);
    }
}

fn section(path: &str, backend: &Backend) -> Group {
    let mut lines = Lines::new(path);
    lines.add("processPath", format!("\"{}\"", backend.process_path.value), Some(backend.process_path.at));
    lines.text("arguments", &backend.arguments);
    lines.setting("startupTimeLimit", &backend.startup_time_limit_s);
    if backend.section.value == Section::HttpPlatform {
        lines.setting("startupRetryCount", &backend.startup_retry_count);
    }
    lines.setting("shutdownTimeLimit", &backend.shutdown_time_limit_s);
    lines.setting("rapidFailsPerMinute", &backend.rapid_fails_per_minute);
    let timeout = match backend.request_timeout_s.value {
        0 => "none".to_owned(),
        seconds => format!("{seconds} s"),
    };
    lines.add("requestTimeout", timeout, backend.request_timeout_s.at);
    lines.setting("stdoutLogEnabled", &backend.stdout_log_enabled);
    lines.text("stdoutLogFile", &backend.stdout_log_file);
    lines.setting("processesPerApplication", &backend.processes_per_application);
    lines.setting("forwardWindowsAuthToken", &backend.forward_windows_auth_token);
    lines.setting("disableStartUpErrorPage", &backend.disable_start_up_error_page);
    let model = match backend.hosting_model.value {
        HostingModel::OutOfProcess => "outofprocess",
        HostingModel::InProcess => "inprocess (runs out of process)",
    };
    lines.add("hostingModel", model, backend.hosting_model.at);
    handler_settings(&mut lines, backend);
    for file in &backend.recycle_files {
        lines.add("recycleOnFileChange", &file.value, Some(file.at));
    }
    lines.into_group(backend.section.value.as_str())
}

/// Those that are applied with what holds, the others as written.
fn handler_settings(lines: &mut Lines<'_>, backend: &Backend) {
    const APPLIED: [&str; 3] =
        ["enableOutOfProcessConsoleRedirection", "disallowRotationOnConfigChange", "shutdownDelay"];
    let [console, rotation, delay] = APPLIED.map(|name| format!("handlerSetting {name}"));
    lines.setting(&console, &backend.console_redirection);
    lines.setting(&rotation, &backend.disallow_rotation_on_config_change);
    lines.setting(&delay, &backend.shutdown_delay_ms);
    for setting in backend.handler_settings.iter().filter(|setting| !APPLIED.contains(&&*setting.name)) {
        lines.add(format!("handlerSetting {}", setting.name), &setting.value, Some(setting.at));
    }
}

fn scope(groups: &mut Vec<Group>, path: &str, place: &str, scope: &Scope) {
    let mut lines = Lines::new(path);
    let policy = &scope.handlers.access_policy;
    let granted: Vec<&str> = policy.value.iter().map(|access| access.as_str()).collect();
    lines.add("accessPolicy", if granted.is_empty() { "None".to_owned() } else { granted.join(", ") }, policy.at);
    for handler in &scope.handlers.list {
        lines.add(&*handler.name, shown(handler), handler.at);
    }
    groups.push(lines.into_group(format!("handlers{place}")));
    let filtering = &scope.filtering;
    let mut lines = Lines::new(path);
    lines.setting("maxAllowedContentLength", &filtering.limits.body_bytes_max);
    lines.setting("maxUrl", &filtering.limits.path_bytes_max);
    lines.setting("maxQueryString", &filtering.limits.query_bytes_max);
    lines.setting("allowDoubleEscaping", &filtering.allow_double_escaping);
    lines.setting("removeServerHeader", &filtering.remove_server_header);
    lines.setting("verbs allowUnlisted", &filtering.verbs_allow_unlisted);
    for rule in &filtering.verbs {
        lines.add(format!("verb {}", rule.verb), if rule.allowed { "allowed" } else { "denied" }, Some(rule.at));
    }
    for hidden in &filtering.hidden_segments {
        lines.add("hiddenSegment", &hidden.segment, hidden.at);
    }
    groups.push(lines.into_group(format!("requestFiltering{place}")));
}

fn shown(handler: &Handler) -> String {
    let verbs = if handler.verbs.is_empty() { "*".to_owned() } else { handler.verbs.join(",") };
    let target = match &handler.module {
        Module::Backend => "the app",
        Module::Static => "files (none are served)",
        Module::Protocol => "the host",
        Module::Foreign(_) => "404",
    };
    let mut text = format!("{} {verbs} -> {target}", handler.path);
    if !handler.active {
        text.push_str(" (skipped: preCondition)");
    }
    text
}

fn plugins_toml(groups: &mut Vec<Group>, both: &Document) {
    let document = &both.plugins_toml;
    let path = document.path.as_deref().unwrap_or("plugins.toml");
    let host = &document.host;
    let mut lines = Lines::new(path);
    let urls: Vec<&str> = host.listen.value.iter().map(|listener| listener.url.as_str()).collect();
    lines.add("listen", urls.join(", "), host.listen.at);
    match host.workers.value {
        Workers::Auto => lines.add("workers", "auto", host.workers.at),
        Workers::Count(count) => lines.add("workers", count, host.workers.at),
    }
    lines.setting("path_base", &host.path_base);
    lines.add("escaped_slash", word(&host.escaped_slash.value), host.escaped_slash.at);
    lines.setting("admin", &host.admin);
    lines.setting("watch", &host.watch);
    if let Some(name) = &host.trace_key {
        lines.add("trace_key", format!("\"{}\"", name.value), Some(name.at));
    }
    spans(&mut lines, "accept_unapplied", &host.accept_unapplied);
    spans(&mut lines, "trust.proxies", &host.trust_proxies);
    lines.add("log.format", word(&host.log.format.value), host.log.format.at);
    lines.add("log.level", word(&host.log.level.value), host.log.level.at);
    groups.push(lines.into_group("[host]"));
    let mut lines = Lines::new(path);
    for (doc, value) in LIMITS.iter().zip(host.limits.values()) {
        lines.add(doc.name, value.value, value.at);
    }
    groups.push(lines.into_group("[host.limits]"));
    let mut lines = Lines::new(path);
    lines.setting("cache", &host.plugins.cache);
    lines.setting("cache_bytes_max", &host.plugins.cache_bytes_max);
    lines.setting("compile_ms_max", &host.plugins.compile_ms_max);
    lines.setting("slots_max", &host.plugins.slots_max);
    lines.setting("large_slots_max", &host.plugins.large_slots_max);
    groups.push(lines.into_group("[host.plugins]"));
    backend::groups(groups, path, both);
    for (name, set) in &document.key_sets {
        let mut lines = Lines::new(path);
        lines.add("file", &set.file.value, Some(set.file.at));
        groups.push(lines.into_group(format!("[key_sets.{name}]")));
    }
    named(groups, path, document);
    groups.extend(document.plugins.iter().map(|entry| plugin(path, entry)));
}

fn named(groups: &mut Vec<Group>, path: &str, document: &PluginsToml) {
    for (name, store) in &document.stores {
        let mut lines = Lines::new(path);
        lines.setting("bytes_max", &store.bytes_max);
        lines.add("when_full", word(&store.when_full.value), store.when_full.at);
        if let Some(path) = &store.path {
            lines.add("path", &path.value, Some(path.at));
            lines.setting("flush_ms", &store.flush_ms);
        }
        groups.push(lines.into_group(format!("[stores.{name}]")));
    }
    for (name, limiter) in &document.limiters {
        let mut lines = Lines::new(path);
        lines.add("rate", limiter.rate.value, Some(limiter.rate.at));
        lines.setting("per_ms", &limiter.per_ms);
        lines.setting("burst", &limiter.burst);
        lines.setting("keys_max", &limiter.keys_max);
        groups.push(lines.into_group(format!("[limiters.{name}]")));
    }
    for (name, secret) in &document.secrets {
        let mut lines = Lines::new(path);
        let (kind, place) = match secret {
            Secret::Env(place) => ("env", place),
            Secret::File(place) => ("file", place),
        };
        lines.add(kind, &place.value, Some(place.at));
        groups.push(lines.into_group(format!("[secrets.{name}]")));
    }
}

fn spans<T: Display>(lines: &mut Lines<'_>, name: &str, values: &[Spanned<T>]) {
    if values.is_empty() {
        lines.add(name, "none", None);
    }
    for value in values {
        lines.add(name, &value.value, Some(value.at));
    }
}

fn plugin(path: &str, plugin: &Plugin) -> Group {
    let mut lines = Lines::new(path);
    let module = match &plugin.module.value {
        crate::plugins_toml::Module::Builtin(name) => format!("builtin:{name}"),
        crate::plugins_toml::Module::File(file) => file.clone(),
    };
    lines.add("module", module, Some(plugin.module.at));
    if let Some(digest) = &plugin.sha256 {
        lines.add("sha256", &digest.value, Some(digest.at));
    }
    let fault = &plugin.on_fault;
    let kinds = [
        ("trap", fault.trap),
        ("deadline", fault.deadline),
        ("memory", fault.memory),
        ("bad_output", fault.bad_output),
        ("configure", fault.configure),
    ];
    for (kind, policy) in kinds {
        let policy = if policy == FaultPolicy::Refuse { "refuse" } else { "skip" };
        lines.add(format!("on_fault.{kind}"), policy, fault.at);
    }
    spans_if(&mut lines, "match.path", &plugin.matches.path);
    spans_if(&mut lines, "match.method", &plugin.matches.method);
    spans_if(&mut lines, "match.host", &plugin.matches.host);
    for (name, value) in &plugin.matches.header {
        lines.add(format!("match.header.{name}"), &value.value, Some(value.at));
    }
    lines.add("isolation", word(&plugin.isolation.value), plugin.isolation.at);
    lines.setting("memory_bytes_max", &plugin.memory_bytes_max);
    lines.setting("body_held_bytes_max", &plugin.body_held_bytes_max);
    lines.setting("deadline_ms", &plugin.deadline_ms);
    lines.setting("preemptible", &plugin.preemptible);
    lines.setting("wall_ms_max", &plugin.wall_ms_max);
    lines.setting("instances_max", &plugin.instances_max);
    lines.setting("recycle_requests", &plugin.recycle_requests);
    let grants = &plugin.grants;
    lines.setting("grants.log", &grants.log);
    lines.setting("grants.metrics", &grants.metrics);
    lines.setting("grants.identity", &grants.identity);
    spans_if(&mut lines, "grants.state", &grants.state);
    spans_if(&mut lines, "grants.limits", &grants.limits);
    spans_if(&mut lines, "grants.keys", &grants.keys);
    spans_if(&mut lines, "grants.secrets", &grants.secrets);
    if let Some(at) = plugin.config_at {
        let keys = plugin.config.as_object().map_or(0, serde_json::Map::len);
        // The values may be secrets.
        lines.add("config", format!("{keys} keys"), Some(at));
    }
    lines.into_group(format!("[[plugin]] {}", plugin.name.value))
}

fn spans_if(lines: &mut Lines<'_>, name: &str, values: &[Spanned<String>]) {
    if !values.is_empty() {
        spans(lines, name, values);
    }
}

/// The word that stands for a value in the file.
fn word(value: &impl Serialize) -> String {
    let mut out = String::new();
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => out = text,
        Ok(other) => {
            let _infallible = write!(out, "{other}");
        }
        Err(_) => {}
    }
    out
}

#[cfg(test)]
mod tests;
