//! `[host.backend]` and its tables, as `check` prints them.

use super::{Group, Lines, spans, word};
use crate::Document;
use crate::plugins_toml::{BackendExtras, Health, Identity, Recycle, WarmUp};
use crate::source::Spanned;
use std::fmt::Display;

/// What nothing is written for.
const NONE: &str = "none";

pub(super) fn groups(groups: &mut Vec<Group>, path: &str, document: &Document) {
    let extras = &document.plugins_toml.host.backend;
    groups.push(backend(path, document, extras));
    groups.push(health(path, extras.health.as_ref()));
    groups.push(warm_up(path, extras.warm_up.as_ref()));
    groups.push(recycle(path, &extras.recycle));
    groups.push(identity(path, &extras.identity));
    let mut lines = Lines::new(path);
    lines.setting("file_bytes_max", &extras.output.file_bytes_max);
    lines.setting("file_age_ms_max", &extras.output.file_age_ms_max);
    lines.setting("files_max", &extras.output.files_max);
    lines.setting("to_log", &extras.output.to_log);
    groups.push(lines.into_group("[host.backend.output]"));
}

fn backend(path: &str, document: &Document, extras: &BackendExtras) -> Group {
    let mut lines = Lines::new(path);
    spans(&mut lines, "token_headers", &document.plugins_toml.host.token_headers);
    match &extras.instances {
        Some(count) => lines.add("instances", count.value, Some(count.at)),
        None => lines.add("instances", format!("{} (processesPerApplication)", document.instances()), None),
    }
    let fixed = extras.overlap.value && !document.overlap();
    let overlap = if fixed { "false (the port is fixed)".to_owned() } else { extras.overlap.value.to_string() };
    lines.add("overlap", overlap, extras.overlap.at);
    spans(&mut lines, "watch", &extras.watch);
    lines.setting("watch_settle_ms", &extras.watch_settle_ms);
    lines.add("start", word(&extras.start.value), extras.start.at);
    lines.setting("idle_ms_max", &extras.idle_ms_max);
    maybe(&mut lines, "affinity_cookie", extras.affinity_cookie.as_ref(), NONE);
    lines.setting("eject_faults_max", &extras.eject_faults_max);
    lines.setting("eject_ms", &extras.eject_ms);
    lines.into_group("[host.backend]")
}

fn maybe<T: Display>(lines: &mut Lines<'_>, name: &str, value: Option<&Spanned<T>>, unset: &str) {
    match value {
        Some(value) => lines.add(name, &value.value, Some(value.at)),
        None => lines.add(name, unset, None),
    }
}

fn health(path: &str, health: Option<&Health>) -> Group {
    let mut lines = Lines::new(path);
    maybe(&mut lines, "path", health.map(|health| &health.path), "none (the app is not asked)");
    if let Some(health) = health {
        lines.setting("interval_ms", &health.interval_ms);
        lines.setting("timeout_ms", &health.timeout_ms);
        lines.setting("failures_max", &health.failures_max);
    }
    lines.into_group("[host.backend.health]")
}

fn warm_up(path: &str, warm_up: Option<&WarmUp>) -> Group {
    let mut lines = Lines::new(path);
    match warm_up {
        Some(warm_up) => {
            lines.add("paths", warm_up.paths.value.join(", "), warm_up.paths.at);
            lines.setting("timeout_ms", &warm_up.timeout_ms);
        }
        None => lines.add("paths", "none (nothing is asked)", None),
    }
    lines.into_group("[host.backend.warm_up]")
}

fn recycle(path: &str, recycle: &Recycle) -> Group {
    let mut lines = Lines::new(path);
    lines.setting("requests_max", &recycle.requests_max);
    lines.setting("age_ms_max", &recycle.age_ms_max);
    lines.setting("memory_bytes_max", &recycle.memory_bytes_max);
    if recycle.at.is_empty() {
        lines.add("at", NONE, None);
    }
    for time in &recycle.at {
        lines.add("at", format!("{:02}:{:02}", time.value / 60, time.value % 60), Some(time.at));
    }
    lines.setting("jitter_percent", &recycle.jitter_percent);
    lines.into_group("[host.backend.recycle]")
}

fn identity(path: &str, identity: &Identity) -> Group {
    const HOST: &str = "as the host";
    let mut lines = Lines::new(path);
    maybe(&mut lines, "user", identity.user.as_ref(), HOST);
    let group = if identity.user.is_some() { "the user's" } else { HOST };
    maybe(&mut lines, "group", identity.group.as_ref(), group);
    match &identity.umask {
        Some(umask) => lines.add("umask", format!("{:03o}", umask.value), Some(umask.at)),
        None => lines.add("umask", HOST, None),
    }
    maybe(&mut lines, "nice", identity.nice.as_ref(), HOST);
    maybe(&mut lines, "open_files_max", identity.open_files_max.as_ref(), HOST);
    maybe(&mut lines, "processes_max", identity.processes_max.as_ref(), HOST);
    maybe(&mut lines, "address_space_bytes_max", identity.address_space_bytes_max.as_ref(), HOST);
    maybe(&mut lines, "core_bytes_max", identity.core_bytes_max.as_ref(), HOST);
    maybe(&mut lines, "memory_bytes_max", identity.memory_bytes_max.as_ref(), NONE);
    maybe(&mut lines, "cpu_percent_max", identity.cpu_percent_max.as_ref(), NONE);
    lines.into_group("[host.backend.identity]")
}
