//! What this room wants to know: plain values, filled in by the binary.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Which section of `web.config` describes the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `aspNetCore`: `ASPNETCORE_*` variables, paired stop request.
    AspNetCore,
    /// `httpPlatform`: `HTTP_PLATFORM_*` variables, stopped by a signal only.
    HttpPlatform,
}

/// How one backend is started, watched and stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The section it was read from.
    pub section: Section,
    /// The application's root: working directory, and where relative paths start.
    pub root: PathBuf,
    /// `processPath` as written.
    pub process_path: String,
    /// `arguments` as written. Default of the format: empty.
    pub arguments: String,
    /// `environmentVariables`, name and value as written, in order.
    pub variables: Vec<(String, String)>,
    /// `startupTimeLimit`, for all attempts of one start together.
    /// Default of the format: 120 s; 0 gives one look only.
    pub start_limit: Duration,
    /// `shutdownTimeLimit`: after it the whole tree is killed.
    /// Default of the format: 10 s; 0 kills at once.
    pub shutdown_limit: Duration,
    /// `stdoutLogFile` as written, if `stdoutLogEnabled`.
    pub stdout_log: Option<String>,
    /// False with `enableOutOfProcessConsoleRedirection="false"`: the output goes
    /// nowhere, and `stdout_log` has no effect.
    pub console_redirection: bool,
    /// The application's virtual path: `/`, or `/app` without a slash at its end.
    pub app_path: String,
    /// What the application is told about authentication in front of it:
    /// `windows;`, `basic;`, `anonymous;` joined, or `none`.
    pub iis_httpauth: String,
    /// Whether upgrades to WebSocket reach the application.
    pub websockets_supported: bool,
    /// The port of the only https listener; none without or with several.
    pub https_port: Option<u16>,
    /// Names by which IIS would describe the application.
    pub site: Site,
    /// Attempts within one start, at least 1: 2 for `aspNetCore` (as ANCM), one more
    /// than `startupRetryCount` for `httpPlatform`. The start limit holds for all together.
    pub attempts_max: u32,
    /// Instances, 1 to 100 (`processesPerApplication`, `[host.backend] instances`). Default: 1.
    pub instances: u16,
    /// Whether a replacement runs beside what it replaces; false for applications
    /// that must never run twice: those are stopped first. Default: true.
    pub overlap: bool,
    /// When the first start is made. Default: on demand.
    pub start_mode: StartMode,
    /// Without any request for this long all instances are stopped, to be woken by
    /// the next one. It has no effect with [`StartMode::Always`]. Default: none, they stay.
    pub idle_limit: Option<Duration>,
    /// How long a retired instance may finish its requests before it is asked to
    /// stop. Default: 30 s.
    pub drain_limit: Duration,
    /// Whether and how the application is asked about its health. Default: not at all.
    pub health: Option<Health>,
    /// What is asked of an instance before its first request. Default: nothing.
    pub warm_up: WarmUp,
    /// When an instance is replaced by a new one. Default: never.
    pub recycle: Recycle,
    /// As whom and within which limits of the system it runs.
    pub identity: Identity,
    /// What becomes of its output beside the last lines.
    pub output: OutputSettings,
    /// `rapidFailsPerMinute`: after more crashes than this within 60 s no start
    /// is tried until the window has passed. Default of the format: 10.
    pub rapid_fails_per_minute: u32,
    /// False with `disableStartUpErrorPage="true"`.
    pub show_page: bool,
    /// How long to wait between failed starts.
    pub back_off: BackOff,
    /// The host's own environment, which the application inherits.
    pub inherited: Vec<(OsString, OsString)>,
    /// The executable that becomes the keeper; see [`crate::KEEPER_ARGUMENT`].
    /// `/proc/self/exe` survives an upgrade of the file on disk.
    pub keeper: PathBuf,
}

/// When the first start is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartMode {
    /// By the first request; after a crash of the only instance, by the next one.
    #[default]
    OnDemand,
    /// At once, and again after every end (IIS: `startMode="AlwaysRunning"`).
    Always,
}

/// Questions about the application's health: `GET` with the pairing token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Path and query, below the site's root. A 2xx or 3xx answer is a good one.
    pub path: String,
    /// Between two questions. Default: 5 s.
    pub interval: Duration,
    /// For one answer. Default: 2 s.
    pub timeout: Duration,
    /// After so many bad answers in a row the instance gets no request, is replaced
    /// and killed. Default: 3.
    pub failures_max: u32,
}

/// Requests to an instance that listens, before it takes its first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmUp {
    /// Paths with query, asked one after the other; any answer is good enough.
    pub paths: Vec<String>,
    /// For each of them; one that takes longer is told and left. Default: 30 s.
    pub timeout: Duration,
}

/// When an instance is replaced; every number is spread by the jitter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recycle {
    /// After so many requests.
    pub requests_max: Option<u64>,
    /// After this time.
    pub age_max: Option<Duration>,
    /// When its tree holds more resident memory than this, bytes.
    pub memory_bytes_max: Option<u64>,
    /// Every day at these minutes since midnight, in the system's time zone.
    pub minutes_of_day: Vec<u16>,
    /// At most this much is added to (times) or taken from (requests, memory) each
    /// number at random, so that instances do not move in step. Default: 10 %.
    pub jitter_percent: u32,
}

/// As whom and within which limits of the system an application runs (Linux).
/// Nothing set: as the host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Name or number of the user.
    pub user: Option<String>,
    /// Name or number of the group; default: the user's own.
    pub group: Option<String>,
    /// File mode bits that are taken from files it creates.
    pub umask: Option<u32>,
    /// Added to its niceness, -20 to 19.
    pub nice: Option<i32>,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files_max: Option<u64>,
    /// Processes and threads of the user (`RLIMIT_NPROC`).
    pub processes_max: Option<u64>,
    /// Address space of one process, bytes (`RLIMIT_AS`).
    pub address_space_bytes_max: Option<u64>,
    /// Size of a core file, bytes (`RLIMIT_CORE`).
    pub core_bytes_max: Option<u64>,
    /// Memory of the whole tree, bytes: cgroup v2 `memory.max`.
    pub memory_bytes_max: Option<u64>,
    /// Processor time of the whole tree, percent of one core: cgroup v2 `cpu.max`.
    pub cpu_percent_max: Option<u32>,
}

/// A setting of [`Identity`] that the system will not grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// The field's name.
    pub setting: &'static str,
    /// A sentence that says what was asked, why the system won't, and what to write instead.
    pub what: String,
}

/// What becomes of the application's output beside the last lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// A log file is closed and the next one opened at this size, bytes. Default: 10 MiB.
    pub file_bytes_max: u64,
    /// And at this age. Default: none.
    pub file_age_max: Option<Duration>,
    /// Log files that are kept, the one being written included; older ones of the
    /// same prefix are removed. Default: 10.
    pub files_max: u32,
    /// Whether each line is told as an [`crate::Event::OutputLine`] too. Default: false.
    pub to_log: bool,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self { file_bytes_max: 10 * 1024 * 1024, file_age_max: None, files_max: 10, to_log: false }
    }
}

/// How IIS would name the application: the values of `ASPNETCORE_IIS_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Name of the site.
    pub name: String,
    /// Number of the site.
    pub id: u32,
    /// Name of the application pool.
    pub pool: String,
}

/// Waiting time between failed starts.
///
/// The first failure costs nothing: the next request tries again at once. The
/// second one costs `first`, each further one twice as much, up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// After the second failure in a row. Default: 1 s.
    pub first: Duration,
    /// Never longer than this, jitter apart. Default: 60 s.
    pub max: Duration,
    /// At most this much is added at random, so that hosts do not move in step.
    /// Default: 25 %.
    pub jitter_percent: u32,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(60), jitter_percent: 25 }
    }
}

impl Site {
    /// `/LM/W3SVC/<id>/ROOT[/app]`.
    pub(crate) fn application_id(&self, app_path: &str) -> String {
        format!("/LM/W3SVC/{}/ROOT{}", self.id, below(app_path))
    }

    /// `MACHINE/WEBROOT/APPHOST/<site>[/app]`.
    pub(crate) fn config_path(&self, app_path: &str) -> String {
        format!("MACHINE/WEBROOT/APPHOST/{}{}", self.name, below(app_path))
    }
}

/// The virtual path as a suffix: nothing for the site's root.
pub(crate) fn below(app_path: &str) -> &str {
    app_path.trim_end_matches('/')
}

impl Settings {
    /// A backend with the defaults of `aspNetCore` in `root`, started by `process_path`.
    #[must_use]
    pub fn new(root: PathBuf, process_path: String) -> Self {
        Self {
            section: Section::AspNetCore,
            root,
            process_path,
            arguments: String::new(),
            variables: Vec::new(),
            start_limit: Duration::from_secs(120),
            shutdown_limit: Duration::from_secs(10),
            stdout_log: None,
            console_redirection: true,
            app_path: "/".into(),
            iis_httpauth: "anonymous;".into(),
            websockets_supported: true,
            https_port: None,
            site: Site { name: "Default Web Site".into(), id: 1, pool: "DefaultAppPool".into() },
            attempts_max: 2,
            instances: 1,
            overlap: true,
            start_mode: StartMode::OnDemand,
            idle_limit: None,
            drain_limit: Duration::from_secs(30),
            health: None,
            warm_up: WarmUp::default(),
            recycle: Recycle::default(),
            identity: Identity::default(),
            output: OutputSettings::default(),
            rapid_fails_per_minute: 10,
            show_page: true,
            back_off: BackOff::default(),
            inherited: Vec::new(),
            keeper: PathBuf::from("/proc/self/exe"),
        }
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Settings {
    Settings { arguments: r".\App.dll".into(), ..Settings::new(PathBuf::from("/srv/app"), "dotnet".into()) }
}
