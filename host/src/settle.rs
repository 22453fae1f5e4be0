//! From the document to each room's own settings: the one place that knows both.

use crate::load::Loaded;
use config::Setting;
use config::plugins_toml::{self, EscapedSlash, Listener, LogFormat, LogLevel, Workers};
use config::web_config::{Backend, HTTP_AUTH, Section};
use edge::{EdgeSettings, ListenHost, ListenUrl};
use forward::ForwardSettings;
use observe::{Format, Level, LogSettings};
use pipeline::Rules;
use process::{BackOff, Identity, OutputSettings, Recycle, StartMode, WarmUp};
use std::path::PathBuf;
use std::time::Duration;
use wire::admit::AdmitRules;
use wire::target::PathRules;

/// Settings of all rooms but `plugin`.
pub(crate) struct Settled {
    /// Where to listen.
    pub(crate) listen: Vec<ListenUrl>,
    /// Worker threads, at least one.
    pub(crate) workers: u16,
    /// Limits of the front door, per worker.
    pub(crate) edge: EdgeSettings,
    /// Settings of forwarding, per worker.
    pub(crate) forward: ForwardSettings,
    /// Settings of the backend process.
    pub(crate) process: process::Settings,
    /// Rules of the pipeline.
    pub(crate) rules: Rules,
    /// Settings of the log.
    pub(crate) log: LogSettings,
    /// Time that running requests have at a stop.
    pub(crate) drain: Duration,
}

/// What the command line says beside the files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overrides {
    /// `--workers`.
    pub(crate) workers: Option<u16>,
    /// `--log-format`.
    pub(crate) log_format: Option<Format>,
    /// `-v`, counted.
    pub(crate) verbose: u8,
}

/// Settles everything. Cores are looked up here, and the environment that the
/// backend inherits is taken once.
#[must_use]
pub(crate) fn settle(loaded: &Loaded, overrides: Overrides) -> Settled {
    let host = &loaded.document.plugins_toml.host;
    let workers = overrides.workers.unwrap_or_else(|| match host.workers.value {
        Workers::Count(count) => count,
        Workers::Auto => cores(),
    });
    let path_base = loaded.path_base.clone().unwrap_or_else(|| host.path_base.value.clone());
    let listeners = if loaded.listen.is_empty() { &host.listen.value } else { &loaded.listen };
    Settled {
        listen: listeners.iter().map(listen_url).collect(),
        workers,
        edge: edge_settings(loaded, workers),
        forward: forward_settings(loaded),
        process: process_settings(loaded, &path_base),
        rules: Rules { path_base: path_base.trim_end_matches('/').into() },
        log: log_settings(loaded, overrides),
        drain: ms(host.limits.drain_ms_max),
    }
}

fn cores() -> u16 {
    std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

fn ms(setting: Setting<u64>) -> Duration {
    Duration::from_millis(setting.value)
}

fn size(setting: Setting<u64>) -> usize {
    usize::try_from(setting.value).unwrap_or(usize::MAX)
}

fn listen_url(listener: &Listener) -> ListenUrl {
    let host = match listener.host {
        plugins_toml::ListenHost::Any => ListenHost::Any,
        plugins_toml::ListenHost::Localhost => ListenHost::Localhost,
        plugins_toml::ListenHost::Ip(ip) => ListenHost::Ip(ip),
    };
    ListenUrl::new(host, listener.port)
}

fn edge_settings(loaded: &Loaded, workers: u16) -> EdgeSettings {
    let host = &loaded.document.plugins_toml.host;
    let limits = &host.limits;
    EdgeSettings {
        rules: AdmitRules {
            path: path_rules(loaded),
            target_bytes_max: size(limits.target_bytes_max),
            header_count_max: size(limits.header_count_max),
            ..AdmitRules::default()
        },
        proxies: host.trust_proxies.iter().map(|net| net.value).collect(),
        connections_max: size(limits.connections_max).div_ceil(usize::from(workers.max(1))),
        head_bytes_max: size(limits.head_bytes_max),
        first_byte_ms_max: limits.first_byte_ms_max.value,
        head_ms_max: limits.head_ms_max.value,
        idle_ms_max: limits.keep_alive_ms_max.value,
        body_idle_ms_max: limits.body_idle_ms_max.value,
        // 0 in the file: no limit.
        body_total_ms_max: if limits.body_total_ms_max.value == 0 { u64::MAX } else { limits.body_total_ms_max.value },
        write_idle_ms_max: limits.write_idle_ms_max.value,
        ..EdgeSettings::default()
    }
}

/// How paths are judged, for admission and for a plugin's edits.
#[must_use]
pub(crate) fn path_rules(loaded: &Loaded) -> PathRules {
    let double = |scope: &config::web_config::Scope| scope.filtering.allow_double_escaping.value;
    let web_config = &loaded.document.web_config;
    PathRules {
        escaped_slash: match loaded.document.plugins_toml.host.escaped_slash.value {
            EscapedSlash::Pass => wire::target::EscapedSlash::Pass,
            EscapedSlash::Refuse => wire::target::EscapedSlash::Refuse,
        },
        // Where a single location allows double escapes, the decision is left to
        // request filtering, which knows the location.
        allow_double_escaping: double(&web_config.root)
            || web_config.locations.iter().any(|location| double(&location.scope)),
    }
}

fn forward_settings(loaded: &Loaded) -> ForwardSettings {
    let host = &loaded.document.plugins_toml.host;
    let limits = &host.limits;
    let backend = &loaded.document.web_config.backend;
    let start_ms = u64::from(backend.startup_time_limit_s.value).saturating_mul(1000);
    ForwardSettings {
        connect_ms_max: limits.connect_ms_max.value,
        idle_ms_max: backend.request_timeout_s.value.saturating_mul(1000),
        first_byte_ms_max: limits.backend_first_byte_ms_max.value,
        waiting_ms_max: start_ms.saturating_add(5000),
        waiting_requests_max: size(limits.waiting_requests_max),
        head_bytes_max: size(limits.backend_head_bytes_max),
        header_count_max: size(limits.backend_header_count_max),
        idle_connections_max: size(limits.backend_idle_connections_max),
        idle_connection_ms_max: limits.backend_keep_alive_ms_max.value,
        token_headers: host.token_headers.iter().filter_map(|name| name.value.parse().ok()).collect(),
        ..ForwardSettings::default()
    }
}

fn process_settings(loaded: &Loaded, path_base: &str) -> process::Settings {
    let backend = &loaded.document.web_config.backend;
    let console = |name: &str| {
        backend
            .handler_settings
            .iter()
            .find(|setting| setting.name.eq_ignore_ascii_case(name))
            .map(|setting| &setting.value)
    };
    let (process_path, arguments) = launched(backend);
    process::Settings {
        section: match backend.section.value {
            Section::AspNetCore => process::Section::AspNetCore,
            Section::HttpPlatform => process::Section::HttpPlatform,
        },
        root: loaded.root.clone(),
        process_path,
        arguments,
        variables: backend.environment.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect(),
        start_limit: Duration::from_secs(backend.startup_time_limit_s.value.into()),
        shutdown_limit: Duration::from_secs(backend.shutdown_time_limit_s.value.into()),
        stdout_log: backend.stdout_log_enabled.value.then(|| backend.stdout_log_file.value.clone()),
        console_redirection: console("enableOutOfProcessConsoleRedirection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
        app_path: path_base.to_owned(),
        iis_httpauth: HTTP_AUTH.to_owned(),
        // Upgrades are not carried yet, so the app is told not to offer them.
        websockets_supported: false,
        https_port: None,
        site: process::Site { name: "Default Web Site".to_owned(), id: 1, pool: "DefaultAppPool".to_owned() },
        attempts_max: 2,
        instances: 1,
        overlap: true,
        start_mode: StartMode::OnDemand,
        idle_limit: None,
        drain_limit: ms(loaded.document.plugins_toml.host.limits.drain_ms_max),
        health: None,
        warm_up: WarmUp::default(),
        recycle: Recycle::default(),
        identity: Identity::default(),
        output: OutputSettings::default(),
        rapid_fails_per_minute: backend.rapid_fails_per_minute.value,
        show_page: !backend.disable_start_up_error_page.value,
        back_off: BackOff::default(),
        inherited: std::env::vars_os().collect(),
        keeper: own_executable(),
    }
}

/// The command line, with what the environment puts in the place of an
/// unpublished one (ANCM: `ANCM_LAUNCHER_PATH`, `ANCM_LAUNCHER_ARGS`).
fn launched(backend: &Backend) -> (String, String) {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let either =
        |first: &str, second: &str| set(first).or_else(|| if backend.uses_launcher { set(second) } else { None });
    (
        either("ANCM_LAUNCHER_PATH", "LAUNCHER_PATH").unwrap_or_else(|| backend.process_path.value.clone()),
        either("ANCM_LAUNCHER_ARGS", "LAUNCHER_ARGS").unwrap_or_else(|| backend.arguments.value.clone()),
    )
}

/// This program's own file: what becomes the keeper, and the compiler. The link survives an
/// upgrade of the file on disk.
pub(crate) fn own_executable() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or(link) }
}

fn log_settings(loaded: &Loaded, overrides: Overrides) -> LogSettings {
    let log = &loaded.document.plugins_toml.host.log;
    let format = overrides.log_format.unwrap_or(match log.format.value {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    });
    let written = match log.level.value {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warn,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
        LogLevel::Trace => Level::Trace,
    };
    // A flag that asks for more never gives less.
    let level = match overrides.verbose {
        0 => written,
        1 => written.min(Level::Debug),
        _ => Level::Trace,
    };
    LogSettings { format, level }
}

#[cfg(test)]
mod tests;
