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
#[derive(Clone, Debug)]
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

/// How IIS would name the application: the values of `ASPNETCORE_IIS_*`.
#[derive(Clone, Debug)]
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
#[derive(Clone, Copy, Debug)]
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

#[cfg(test)]
pub(crate) fn sample() -> Settings {
    Settings {
        section: Section::AspNetCore,
        root: PathBuf::from("/srv/app"),
        process_path: "dotnet".into(),
        arguments: r".\App.dll".into(),
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
        rapid_fails_per_minute: 10,
        show_page: true,
        back_off: BackOff::default(),
        inherited: Vec::new(),
        keeper: PathBuf::from("/proc/self/exe"),
    }
}
