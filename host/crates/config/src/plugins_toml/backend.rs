//! `[host.backend]`: what web.config has no word for.

mod identity;
mod life;

pub use identity::{Identity, Output};
pub use life::{Health, Recycle, WarmUp};

use super::table::{Keys, Reading};
use crate::source::{Setting, Spanned};
use serde::Serialize;

/// When the first start is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// By the first request.
    OnDemand,
    /// At once, and again after every end (IIS: `startMode="AlwaysRunning"`).
    Always,
}

/// `[host.backend]` without `token_headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendExtras {
    /// Processes that share the requests (1–100). Not written:
    /// `processesPerApplication` of web.config holds, see [`crate::Document::instances`].
    pub instances: Option<Spanned<u16>>,
    /// Whether a replacement runs beside what it replaces. Default true; see
    /// [`crate::Document::overlap`], a fixed port makes it false.
    pub overlap: Setting<bool>,
    /// Files below the app's folder whose change replaces the app: globs in the
    /// syntax of [`watch_glob`]. Default none.
    pub watch: Vec<Spanned<String>>,
    /// Quiet time after the last change of a file, in ms (50–60,000). Default 500.
    pub watch_settle_ms: Setting<u64>,
    /// Default on demand.
    pub start: Setting<Start>,
    /// Time without any request after which the app is stopped, in ms
    /// (1,000–2,592,000,000); 0 = never. Default 0.
    pub idle_ms_max: Setting<u64>,
    /// Name of the cookie that leads a client back to its instance. Default none.
    pub affinity_cookie: Option<Spanned<String>>,
    /// Faults in a row before an instance is left out of the choice (1–1000). Default 5.
    pub eject_faults_max: Setting<u32>,
    /// How long it is left out, in ms (100–3,600,000). Default 10,000.
    pub eject_ms: Setting<u64>,
    /// `[host.backend.health]`. Default none: the app is not asked.
    pub health: Option<Health>,
    /// `[host.backend.warm_up]`. Default none: nothing is asked.
    pub warm_up: Option<WarmUp>,
    /// `[host.backend.recycle]`. Default: never replaced for its age or size.
    pub recycle: Recycle,
    /// `[host.backend.identity]`. Default: as the host itself.
    pub identity: Identity,
    /// `[host.backend.output]`.
    pub output: Output,
}

impl Default for BackendExtras {
    fn default() -> Self {
        Self {
            instances: None,
            overlap: Setting::default_value(true),
            watch: Vec::new(),
            watch_settle_ms: Setting::default_value(500),
            start: Setting::default_value(Start::OnDemand),
            idle_ms_max: Setting::default_value(0),
            affinity_cookie: None,
            eject_faults_max: Setting::default_value(5),
            eject_ms: Setting::default_value(10_000),
            health: None,
            warm_up: None,
            recycle: Recycle::default(),
            identity: Identity::default(),
            output: Output::default(),
        }
    }
}

/// Longest rest that may be allowed, in ms: 30 days, as `idleTimeout` of IIS.
const IDLE_MS_MAX: u64 = 2_592_000_000;
/// Most globs in `watch`.
const WATCH_MAX: usize = 64;
/// Longest glob, path or name of these tables, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

const KNOWN: [&str; 15] = [
    "token_headers",
    "instances",
    "overlap",
    "watch",
    "watch_settle_ms",
    "start",
    "idle_ms_max",
    "affinity_cookie",
    "eject_faults_max",
    "eject_ms",
    "health",
    "warm_up",
    "recycle",
    "identity",
    "output",
];

/// What other servers call these things.
const NEVER: [(&str, &str); 4] = [
    ("health_path", "write it as a table:\n[host.backend.health]\npath = \"/health\""),
    ("recycling", "write it as a table:\n[host.backend.recycle]\nage_ms_max = 86_400_000"),
    ("rolling_restart", "every replacement is one; `overlap = false` turns that off"),
    ("preload", "write start = \"always\""),
];

impl BackendExtras {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        reading.known_or(keys, &KNOWN, &[], &NEVER);
        let mut extras = Self {
            instances: reading
                .maybe_number(keys, "instances", &(1..=100))
                .map(|count| Spanned::new(u16::try_from(count.value).unwrap_or(u16::MAX), count.at)),
            overlap: reading.boolean_or(keys, "overlap", true),
            watch: watch(reading, keys),
            watch_settle_ms: reading.number(keys, "watch_settle_ms", &(50..=60_000), 500),
            start: reading.word(
                keys,
                "start",
                &[("on-demand", Start::OnDemand), ("always", Start::Always)],
                Start::OnDemand,
            ),
            idle_ms_max: reading.number_or_zero(keys, "idle_ms_max", &(1000..=IDLE_MS_MAX)),
            affinity_cookie: affinity_cookie(reading, keys),
            eject_faults_max: reading.small(keys, "eject_faults_max", &(1..=1000), 5),
            eject_ms: reading.number(keys, "eject_ms", &(100..=3_600_000), 10_000),
            ..Self::default()
        };
        extras.judge_idle(reading);
        extras.health = reading.table(keys, "health").and_then(|table| Health::read(reading, &table));
        extras.warm_up = reading.table(keys, "warm_up").map(|table| WarmUp::read(reading, &table));
        if let Some(table) = reading.table(keys, "recycle") {
            extras.recycle = Recycle::read(reading, &table);
        }
        if let Some(table) = reading.table(keys, "identity") {
            extras.identity = Identity::read(reading, &table);
        }
        if let Some(table) = reading.table(keys, "output") {
            extras.output = Output::read(reading, &table);
        }
        extras.judge_memory(reading);
        extras
    }

    /// An app that always runs is never stopped because nobody asks.
    fn judge_idle(&self, reading: &mut Reading<'_>) {
        let (Some(idle), Some(start)) = (self.idle_ms_max.at, self.start.at) else { return };
        if self.idle_ms_max.value > 0 && self.start.value == Start::Always {
            let what = format!(
                "idle_ms_max contradicts start = \"always\" (line {}): it would be started again at once",
                start.line
            );
            reading.report.error_at(idle, what, "keep one of them: start = \"on-demand\", or no idle_ms_max");
        }
    }

    /// The limit of the system kills before the gentle replacement is due.
    fn judge_memory(&self, reading: &mut Reading<'_>) {
        let (recycle, Some(limit)) = (&self.recycle.memory_bytes_max, &self.identity.memory_bytes_max) else { return };
        if let Some(at) = recycle.at.filter(|_| recycle.value > 0 && recycle.value >= limit.value) {
            let what = format!(
                "the app is replaced at {} bytes, but the limit on line {} already fails it at {}",
                recycle.value, limit.at.line, limit.value
            );
            reading.report.error_at(at, what, "let recycle.memory_bytes_max be smaller than identity.memory_bytes_max");
        }
    }
}

fn watch(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Vec<Spanned<String>> {
    let globs = reading.strings(keys, "watch").unwrap_or_default();
    if let Some(beyond) = globs.get(WATCH_MAX) {
        reading.report.error_at(
            beyond.at,
            format!("more than {WATCH_MAX} entries in `watch`"),
            "let wildcards join them",
        );
    }
    let mut kept: Vec<Spanned<String>> = Vec::new();
    for glob in globs.into_iter().take(WATCH_MAX) {
        match watch_glob(&glob.value) {
            Ok(_) if kept.iter().any(|other| other.value == glob.value) => {}
            Ok(_) => kept.push(glob),
            Err((what, help)) => reading.report.error_at(glob.at, what, help),
        }
    }
    kept
}

/// Understands an entry of `[host.backend] watch`: a path below the app's folder
/// with `*`, `?`, `[a-z]` and `{a,b}` within a segment, and `**` for any number
/// of segments. Only `/` separates; a backslash is refused, because it would be
/// a separator on Windows and an escape elsewhere.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn watch_glob(text: &str) -> Result<globset::Glob, (String, String)> {
    const HELP: &str = "name files below the app's folder: \"*.dll\", \"bin/**/*.so\"";
    let wrong = |why: &str, help: &str| Err((format!("\"{}\" {why}", text.escape_debug()), help.to_owned()));
    let mut segments = text.split('/');
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return wrong(&format!("is not a glob of 1 to {TEXT_BYTES_MAX} bytes"), HELP);
    }
    if text.contains('\\') {
        return wrong("holds a backslash", &format!("separate with slashes: \"{}\"", text.replace('\\', "/")));
    }
    if text.starts_with('/') || text.as_bytes().get(1) == Some(&b':') {
        return wrong("is not relative to the app's folder", HELP);
    }
    if text.chars().any(char::is_control) {
        return wrong("holds a control character", HELP);
    }
    if segments.clone().any(|segment| segment == "..") {
        return wrong("leaves the app's folder", HELP);
    }
    if segments.clone().any(|segment| segment.is_empty() || segment == ".") {
        return wrong("has an empty segment or a single dot, which no path has", HELP);
    }
    if segments.any(|segment| segment.contains("**") && segment != "**") {
        return wrong("has `**` beside other characters of a segment", "write `**` between slashes: \"bin/**/*.so\"");
    }
    globset::GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(false)
        .build()
        .map_err(|error| (format!("\"{}\" is not a glob: {}", text.escape_debug(), error.kind()), HELP.to_owned()))
}

fn affinity_cookie(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Option<Spanned<String>> {
    const HELP: &str = "write a name such as \"GatelodgeInstance\", or remove the line";
    let name = reading.string(keys, "affinity_cookie")?;
    // RFC 6265 §4.1.1: the name of a cookie is a token (RFC 9110 §5.6.2).
    if !super::host::is_token(&name.value) {
        let what = format!("\"{}\" can't be the name of a cookie", name.value.escape_debug());
        reading.report.error_at(name.at, what, HELP);
        return None;
    }
    // Clients refuse these names unless the cookie is `Secure`, and listeners have no TLS.
    let lower = name.value.to_ascii_lowercase();
    if let Some(prefix) = ["__host-", "__secure-"].into_iter().find(|prefix| lower.starts_with(prefix)) {
        let what = format!("\"{}\": clients demand TLS for a cookie whose name begins with `{prefix}`", name.value);
        reading.report.error_at(name.at, what, HELP);
        return None;
    }
    Some(name)
}

/// True for the path of a request to the app: it begins with a slash and holds
/// neither blanks nor controls nor a fragment.
fn is_request_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= TEXT_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn request_path(reading: &mut Reading<'_>, path: &Spanned<String>) -> bool {
    let fits = is_request_path(&path.value);
    if !fits {
        let what = format!("\"{}\" is not the path of a request", path.value.escape_debug());
        let help = "begin with a slash, escape what is not visible ASCII, leave out `#`: \"/health?deep=1\"";
        reading.report.error_at(path.at, what, help);
    }
    fits
}

#[cfg(test)]
mod tests;
