//! From the document to each room's own settings: the one place that knows both.

use crate::load::Loaded;
use config::Setting;
use config::plugins_toml::{self, Admin, EscapedSlash, Listener, LogFormat, LogLevel, Start, Workers};
use config::web_config::{Backend, HTTP_AUTH, Section};
use edge::{EdgeSettings, ListenHost, ListenUrl};
use forward::{Affinity, ForwardSettings};
use observe::{Format, Level, LogSettings};
use pipeline::Rules;
use process::{BackOff, StartMode};
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
    /// Time between an order to stop and the drain, in which all goes on (`shutdownDelay`).
    pub(crate) shutdown_delay: Duration,
    /// Where the host is asked and told things.
    pub(crate) admin: Admin,
    /// Whether changed files are taken up by themselves.
    pub(crate) watch: bool,
    /// The app runs on when its files of configuration change (`disallowRotationOnConfigChange`).
    pub(crate) keeps_app_on_change: bool,
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
    /// `--no-watch`.
    pub(crate) no_watch: bool,
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
        forward: forward_settings(loaded, &path_base),
        process: process_settings(loaded, &path_base),
        rules: Rules { path_base: path_base.trim_end_matches('/').into(), trace_key: None },
        log: log_settings(loaded, overrides),
        drain: ms(host.limits.drain_ms_max),
        shutdown_delay: ms(loaded.document.web_config.backend.shutdown_delay_ms),
        admin: loaded.admin.clone().unwrap_or_else(|| host.admin.value.clone()),
        watch: host.watch.value && !overrides.no_watch,
        keeps_app_on_change: loaded.document.web_config.backend.disallow_rotation_on_config_change.value,
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

fn forward_settings(loaded: &Loaded, path_base: &str) -> ForwardSettings {
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
        affinity_cookie: host
            .backend
            .affinity_cookie
            .as_ref()
            .map(|name| Affinity { name: name.value.as_str().into(), path: path_base.into() }),
        eject_faults_max: host.backend.eject_faults_max.value,
        eject_ms: host.backend.eject_ms.value,
        token_headers: host.token_headers.iter().filter_map(|name| name.value.parse().ok()).collect(),
        ..ForwardSettings::default()
    }
}

fn process_settings(loaded: &Loaded, path_base: &str) -> process::Settings {
    let backend = &loaded.document.web_config.backend;
    let extras = &loaded.document.plugins_toml.host.backend;
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
        console_redirection: backend.console_redirection.value,
        app_path: path_base.to_owned(),
        iis_httpauth: HTTP_AUTH.to_owned(),
        // Upgrades are not carried yet, so the app is told not to offer them.
        websockets_supported: false,
        https_port: None,
        site: process::Site { name: "Default Web Site".to_owned(), id: 1, pool: "DefaultAppPool".to_owned() },
        attempts_max: backend.attempts_max(),
        instances: loaded.document.instances(),
        overlap: loaded.document.overlap(),
        start_mode: match extras.start.value {
            Start::OnDemand => StartMode::OnDemand,
            Start::Always => StartMode::Always,
        },
        idle_limit: unless_zero(extras.idle_ms_max.value).map(Duration::from_millis),
        drain_limit: ms(loaded.document.plugins_toml.host.limits.drain_ms_max),
        health: extras.health.as_ref().map(health),
        warm_up: extras.warm_up.as_ref().map(warm_up).unwrap_or_default(),
        recycle: recycle(&extras.recycle),
        identity: identity(&extras.identity),
        output: process::OutputSettings {
            file_bytes_max: extras.output.file_bytes_max.value,
            file_age_max: unless_zero(extras.output.file_age_ms_max.value).map(Duration::from_millis),
            files_max: extras.output.files_max.value,
            to_log: extras.output.to_log.value,
        },
        rapid_fails_per_minute: backend.rapid_fails_per_minute.value,
        show_page: !backend.disable_start_up_error_page.value,
        back_off: BackOff::default(),
        inherited: std::env::vars_os().collect(),
        keeper: own_executable(),
    }
}

/// 0 in the file: no limit.
fn unless_zero(value: u64) -> Option<u64> {
    (value > 0).then_some(value)
}

fn health(health: &plugins_toml::Health) -> process::Health {
    process::Health {
        path: health.path.value.clone(),
        interval: ms(health.interval_ms),
        timeout: ms(health.timeout_ms),
        failures_max: health.failures_max.value,
    }
}

fn warm_up(warm_up: &plugins_toml::WarmUp) -> process::WarmUp {
    process::WarmUp { paths: warm_up.paths.value.clone(), timeout: ms(warm_up.timeout_ms) }
}

fn recycle(recycle: &plugins_toml::Recycle) -> process::Recycle {
    process::Recycle {
        requests_max: unless_zero(recycle.requests_max.value),
        age_max: unless_zero(recycle.age_ms_max.value).map(Duration::from_millis),
        memory_bytes_max: unless_zero(recycle.memory_bytes_max.value),
        minutes_of_day: recycle.at.iter().map(|minute| minute.value).collect(),
        jitter_percent: recycle.jitter_percent.value,
    }
}

fn identity(identity: &plugins_toml::Identity) -> process::Identity {
    process::Identity {
        user: identity.user.as_ref().map(|name| name.value.clone()),
        group: identity.group.as_ref().map(|name| name.value.clone()),
        umask: identity.umask.as_ref().map(|mode| mode.value),
        nice: identity.nice.as_ref().map(|nice| nice.value),
        open_files_max: identity.open_files_max.as_ref().map(|limit| limit.value),
        processes_max: identity.processes_max.as_ref().map(|limit| limit.value),
        address_space_bytes_max: identity.address_space_bytes_max.as_ref().map(|limit| limit.value),
        core_bytes_max: identity.core_bytes_max.as_ref().map(|limit| limit.value),
        memory_bytes_max: identity.memory_bytes_max.as_ref().map(|limit| limit.value),
        cpu_percent_max: identity.cpu_percent_max.as_ref().map(|limit| limit.value),
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
