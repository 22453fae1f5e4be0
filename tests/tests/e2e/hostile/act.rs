//! One act, and how it is judged.

use super::beside::{Beside, Times};
use super::page;
use crate::site;
use gatelodge_e2e::wait::{SOON, until};
use gatelodge_e2e::{Host, Launch, Site};
use gatelodge_guests::component;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often each act is done: fewer than the losses after which a plugin is held back.
const TIMES: u32 = 3;
/// Good requests that are measured before anything hostile happens.
const QUIET: u64 = 100;
/// Longest that a good request may take on the worker where a hook is cut: the deadline by
/// processor time, or on a busy machine a second more than it by the clock on the wall, and what
/// a busy machine needs for the rest.
const BESIDE_MAX: Duration = Duration::from_secs(3);
/// Most memory that doing it again may take.
const GROWTH_BYTES_MAX: u64 = 10 << 20;
/// Longest line of the log, its own fields included.
const LINE_BYTES_MAX: usize = 32 * 1024;
/// How long a memory of a plugin lives.
pub(super) const ISOLATIONS: [&str; 2] = ["instance", "request"];

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A whole answer with this status.
    Status(u16),
    /// An answer that visibly broke off.
    Cut,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub(super) struct Act {
    /// The family of acts it belongs to.
    pub(super) row: &'static str,
    /// Name of its test.
    pub(super) name: &'static str,
    /// Who does it.
    pub(super) guest: &'static str,
    /// Further keys of its entry in plugins.toml.
    pub(super) keys: &'static str,
    /// Its settings.
    pub(super) config: &'static str,
    /// Fields of the request that makes it act.
    pub(super) fields: &'static str,
    /// Body of that request.
    pub(super) body: Option<&'static str>,
    /// What the backend answers: a script.
    pub(super) backend: &'static [&'static str],
    /// Fields of a request of which the same guest does nothing; `None`: it always acts.
    pub(super) harmless: Option<&'static str>,
    /// What becomes of the request.
    pub(super) answer: Answer,
    /// The hook that fails and the kind of its fault.
    pub(super) fault: Option<(&'static str, &'static str)>,
    /// What the log says of it.
    pub(super) says: &'static str,
    /// What the request's head says at the backend, in lower case.
    pub(super) arrives: &'static str,
}

impl Act {
    /// An act that costs nothing but itself.
    pub(super) const fn new(row: &'static str, guest: &'static str) -> Self {
        Self {
            row,
            name: "",
            guest,
            keys: "",
            config: "",
            fields: "",
            body: None,
            backend: &[],
            harmless: Some(""),
            answer: Answer::Status(200),
            fault: None,
            says: "",
            arrives: "",
        }
    }

    /// Fields that make the guest act.
    pub(super) const fn asks(self, fields: &'static str) -> Self {
        Self { fields, ..self }
    }

    /// A body, and fields beside it.
    pub(super) const fn sends(self, fields: &'static str, body: &'static str) -> Self {
        Self { fields, body: Some(body), ..self }
    }

    /// The backend answers by this script.
    pub(super) const fn gets(self, backend: &'static [&'static str]) -> Self {
        Self { backend, ..self }
    }

    /// Settings.
    pub(super) const fn set(self, config: &'static str) -> Self {
        Self { config, ..self }
    }

    /// Further keys.
    pub(super) const fn with(self, keys: &'static str) -> Self {
        Self { keys, ..self }
    }

    /// It acts whatever is asked.
    pub(super) const fn always(self) -> Self {
        Self { harmless: None, ..self }
    }

    /// It does nothing for a request with these fields.
    pub(super) const fn spares(self, fields: &'static str) -> Self {
        Self { harmless: Some(fields), ..self }
    }

    /// The request fails with 500, since this hook does in this way.
    pub(super) const fn fails(self, hook: &'static str, kind: &'static str, says: &'static str) -> Self {
        Self { answer: Answer::Status(500), fault: Some((hook, kind)), says, ..self }
    }

    /// The log says so.
    pub(super) const fn tells(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    /// The request's own answer all the same.
    pub(super) const fn answers(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// The backend gets a head with this text.
    pub(super) const fn arrives(self, arrives: &'static str) -> Self {
        Self { arrives, ..self }
    }

    fn plugin(&self, isolation: &str) -> String {
        format!("{}-{isolation}", self.guest)
    }

    /// The entries of one guest: pooled for some paths, fresh for others.
    fn entries(&self, site: &Site) -> String {
        let entries = ISOLATIONS.map(|isolation| {
            let Self { guest, keys, config, .. } = self;
            let name = self.plugin(isolation);
            site.file(&format!("plugins/{guest}.wasm"), component(guest));
            format!(
                "[[plugin]]\nname = \"{name}\"\nmodule = \"plugins/{guest}.wasm\"\n\
                 match = {{ path = [\"*-{isolation}\"] }}\nisolation = \"{isolation}\"\n{keys}\n\
                 [plugin.config]\n{config}\n[plugin.grants]\nlog = true\n"
            )
        });
        entries.concat()
    }

    fn path(&self, isolation: &str) -> String {
        if self.backend.is_empty() { format!("/act-{isolation}") } else { format!("/script/act-{isolation}") }
    }

    /// Does it once, on a connection of its own.
    fn done(&self, host: &Host, isolation: &str) -> Seen {
        let (path, fields) = (self.path(isolation), self.fields);
        let begin = Instant::now();
        let mut client = host.client();
        match self.body {
            None => client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")),
            Some(body) => client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n{body}",
                body.len()
            )),
        };
        let bytes = client.rest();
        Seen { took: begin.elapsed(), answer: judged(&bytes), text: String::from_utf8_lossy(&bytes).into_owned() }
    }
}

/// What came of an act.
struct Seen {
    took: Duration,
    answer: Answer,
    text: String,
}

/// Status of a whole answer, or that it broke off: by its own framing.
fn judged(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Answer::Cut };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let chunked = lower.contains("transfer-encoding: chunked");
    let bare = matches!(status, 204 | 304);
    let whole = match length {
        _ if bare => body.is_empty(),
        Some(length) => body.len() == length,
        None => chunked && body.ends_with("0\r\n\r\n"),
    };
    if whole { Answer::Status(status) } else { Answer::Cut }
}

/// A host with one worker, and a plugin for good requests beside these entries.
pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) host: Host,
    door: PathBuf,
}

impl Stage {
    pub(super) fn set(site: Site, entries: &str) -> Self {
        site.file("plugins/order.wasm", component("order"));
        let door = site.app().join("door");
        site.plugins(&format!(
            "[host]\nadmin = \"unix:{}\"\n[[plugin]]\nname = \"healthy\"\nmodule = \"plugins/order.wasm\"\n\
             match = {{ path = [\"/good*\"] }}\n[plugin.config]\nname = \"healthy\"\n[plugin.grants]\nlog = true\n{entries}",
            door.display()
        ));
        let host = Launch::new(&site).args(&["--workers", "1"]).start();
        let stage = Self { site, host, door };
        stage.good();
        stage
    }

    /// A good request through a good plugin.
    pub(super) fn good(&self) {
        let answer = self.host.client().get("/good");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.head.values("x-order"), ["healthy"]);
    }

    /// The metrics page.
    pub(super) fn metrics(&self) -> String {
        self.host.metrics(&self.door)
    }

    /// The number of a series; 0 where it is not there.
    pub(super) fn metric(&self, series: &str) -> u64 {
        let page = self.metrics();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().expect("a whole number"))
    }

    /// Waits until a series has this number.
    pub(super) fn counts(&self, series: &str, number: u64) {
        until(SOON, &format!("{series} {number}"), || (self.metric(series) == number).then_some(()));
    }

    /// A good client on the same worker is served before, meanwhile and after, and nothing has grown.
    pub(super) fn beside(&self, act: impl FnOnce()) -> Times {
        let memory = self.host.memory_bytes("VmRSS");
        let beside = Beside::begin(&self.host);
        beside.wait(5);
        act();
        beside.wait(5);
        let times = beside.end();
        assert!(times.worst < BESIDE_MAX, "{times:?}");
        self.good();
        self.assert_no_growth(memory, 3);
        times
    }

    /// So many faults of a hook, in both of their counts, and a line that tells of one.
    pub(super) fn faults(&self, plugin: &str, hook: &str, kind: &str, number: u64) {
        let labels = format!("{{plugin=\"{plugin}\",hook=\"{hook}\",kind=\"{kind}\"}}");
        self.counts(&format!("gatelodge_wasm_hook_faults_total{labels}"), number);
        self.counts(&format!("gatelodge_plugin_faults_total{{plugin=\"{plugin}\",kind=\"{kind}\"}}"), number);
        let kind = format!("fault={kind}");
        let line = || self.host.lines_with(plugin).into_iter().find(|line| line.contains(&kind));
        until(SOON, &format!("a line of {plugin} with {kind}"), line);
    }

    /// Nobody says that this plugin failed.
    pub(super) fn no_faults(&self, plugin: &str) {
        assert!(!self.metrics().contains(&format!("gatelodge_plugin_faults_total{{plugin=\"{plugin}\"")));
        let line = self.host.lines_with(plugin).into_iter().find(|line| line.contains("fault="));
        assert_eq!(line, None, "no fault");
    }

    /// No instance but those of the plugins that wait for the next request, one generation, and no
    /// more memory than `before`.
    pub(super) fn assert_no_growth(&self, before: u64, plugins: u64) {
        let page = self.metrics();
        let of_each = |line: &&str| line.starts_with("gatelodge_wasm_instance");
        let in_use = "gatelodge_wasm_slots_in_use{size=\"small\"}";
        assert!(page.contains(in_use), "{in_use} is told");
        let settled = || (self.metric(in_use) <= plugins).then_some(());
        let lines: Vec<&str> = page.lines().filter(of_each).collect();
        until(SOON, &format!("no more instances than plugins: {lines:#?}"), settled);
        self.counts("gatelodge_generations_alive", 1);
        let after = self.host.memory_bytes("VmRSS");
        assert!(after < before + GROWTH_BYTES_MAX, "{before} -> {after} bytes");
    }
}

/// Shows all of an act.
pub(super) fn show(act: &Act) {
    let site = site();
    let entries = act.entries(&site);
    for isolation in ISOLATIONS {
        if !act.backend.is_empty() {
            site.probe().script(&format!("act-{isolation}"), act.backend);
        }
    }
    let stage = Stage::set(site, &entries);
    let quiet = Beside::begin(&stage.host);
    quiet.wait(QUIET);
    let quiet = quiet.end();
    for isolation in ISOLATIONS {
        // Whoever is first pays for what is set up once.
        let first = act.done(&stage.host, isolation);
        assert_eq!(first.answer, act.answer, "{isolation}: {}", first.text);
        let memory = stage.host.memory_bytes("VmRSS");
        let beside = Beside::begin(&stage.host);
        beside.wait(5);
        let mut took = Duration::MAX;
        for _ in 1..TIMES {
            let seen = act.done(&stage.host, isolation);
            assert_eq!(seen.answer, act.answer, "{isolation}: {}", seen.text);
            assert!(
                act.answer != Answer::Status(500) || seen.text.contains(&act.plugin(isolation)),
                "loopback clients are told who failed: {}",
                seen.text
            );
            took = took.min(seen.took);
            beside.wait(5);
            harmless(act, &stage.host, isolation);
        }
        let beside = beside.end();
        assert!(beside.worst < BESIDE_MAX, "{isolation}: {beside:?}");
        stage.good();
        told(act, &stage, isolation);
        stage.assert_no_growth(memory, 3);
        page::row(act, isolation, took, quiet.p99, beside.p99);
    }
    stage.host.stop(&stage.site);
}

/// The same plugin serves others.
fn harmless(act: &Act, host: &Host, isolation: &str) {
    if let Some(fields) = act.harmless {
        let request = format!("GET /good-{isolation} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let answer = host.client().send(request).response();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{isolation}: the next is served");
    }
}

/// The metric of the fault, and its line.
fn told(act: &Act, stage: &Stage, isolation: &str) {
    let plugin = act.plugin(isolation);
    match act.fault {
        Some((hook, kind)) => stage.faults(&plugin, hook, kind, TIMES.into()),
        None => stage.no_faults(&plugin),
    }
    let kind = act.fault.map_or(String::new(), |(_, kind)| format!("fault={kind}"));
    let line = || {
        let lines = stage.host.lines_with(&plugin);
        lines.into_iter().find(|line| line.contains(act.says) && line.contains(&kind))
    };
    if !act.says.is_empty() || act.fault.is_some() {
        until(SOON, &format!("a line of {plugin} with {kind:?} and {:?}", act.says), line);
    }
    let unsafe_for_terminals = |line: &String| line.chars().any(char::is_control) || line.len() > LINE_BYTES_MAX;
    assert_eq!(stage.host.lines_with("").into_iter().find(unsafe_for_terminals), None, "escaped and cut");
    if !act.arrives.is_empty() {
        let head = stage.site.probe().head_of(&act.path(isolation)).to_lowercase();
        assert!(head.contains(act.arrives), "{head}");
    }
}
