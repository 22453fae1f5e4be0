//! What the two files say together.

use crate::error::{Problem, Severity};
use crate::plugins_toml::watch_glob;
use crate::source::{Position, Setting};
use crate::{Document, PluginsToml, WebConfig};

impl Document {
    /// Processes that share the requests: `[host.backend] instances`, or else
    /// `processesPerApplication`.
    #[must_use]
    pub fn instances(&self) -> u16 {
        instances(&self.web_config, &self.plugins_toml).0
    }

    /// Whether a replacement runs beside what it replaces: as written, and else where no
    /// port is fixed, which two processes could not share.
    #[must_use]
    pub fn overlap(&self) -> bool {
        let overlap = self.plugins_toml.host.backend.overlap;
        overlap.value && (overlap.at.is_some() || self.web_config.backend.fixed_port().is_none())
    }
}

/// The number, its place, and the name of the setting.
fn instances(site: &WebConfig, plugins: &PluginsToml) -> (u16, Option<(String, Position)>, &'static str) {
    if let Some(written) = &plugins.host.backend.instances {
        let file = plugins.path.clone().unwrap_or_default();
        return (written.value, Some((file, written.at)), "instances");
    }
    let Setting { value, at } = site.backend.processes_per_application;
    let place = at.map(|at| (site.path.clone(), at));
    (u16::try_from(value).unwrap_or(u16::MAX), place, "processesPerApplication")
}

/// What is wrong only because both files say what they say.
pub(crate) fn check(site: &WebConfig, plugins: &PluginsToml) -> Vec<Problem> {
    let mut problems = fixed_port(site, plugins);
    problems.extend(own_logs(site, plugins));
    problems
}

/// An app whose own log files are watched would be replaced for every one of them.
fn own_logs(site: &WebConfig, plugins: &PluginsToml) -> Vec<Problem> {
    let (Some(file), true) = (&plugins.path, site.backend.stdout_log_enabled.value) else { return Vec::new() };
    let log = site.backend.stdout_log_file.value.replace('\\', "/");
    let log = format!("{}_20260101000000_1.log", log.trim_start_matches("./"));
    let matches = |glob: &str| watch_glob(glob).is_ok_and(|glob| glob.compile_matcher().is_match(&log));
    let watched = plugins.host.backend.watch.iter().filter(|glob| matches(&glob.value));
    watched
        .map(|glob| Problem {
            severity: Severity::Error,
            file: file.clone(),
            line: glob.at.line,
            column: glob.at.column,
            what: format!(
                "\"{}\" also watches the app's own log files, such as {log}: it would be replaced for each line",
                glob.value
            ),
            help: Some(
                "name what a deploy changes: \"*.dll\", \"bin/**/*.so\"; or let stdoutLogFile name another folder"
                    .to_owned(),
            ),
        })
        .collect()
}

fn fixed_port(site: &WebConfig, plugins: &PluginsToml) -> Vec<Problem> {
    let Some(port) = site.backend.fixed_port() else { return Vec::new() };
    let fixed = format!("{}:{}:{}", site.path, port.at.line, port.at.column);
    let mut problems = Vec::new();
    let (count, place, name) = instances(site, plugins);
    if let Some((file, at)) = place.filter(|_| count > 1) {
        problems.push(Problem {
            severity: Severity::Error,
            file,
            line: at.line,
            column: at.column,
            what: format!("{name} = {count}, but {} at {fixed} gives them all the same port", port.name),
            help: Some(format!("remove {}: the host chooses a free port for each", port.name)),
        });
    }
    let overlap = &plugins.host.backend.overlap;
    match (overlap.at, &plugins.path) {
        (Some(at), Some(file)) if overlap.value => problems.push(Problem {
            severity: Severity::Error,
            file: file.clone(),
            line: at.line,
            column: at.column,
            what: format!("overlap = true, but {} at {fixed} leaves no port for the new process", port.name),
            help: Some(format!("remove {}, or write overlap = false", port.name)),
        }),
        (None, _) if problems.is_empty() => problems.push(Problem {
            severity: Severity::Warning,
            file: site.path.clone(),
            line: port.at.line,
            column: port.at.column,
            what: format!("{} fixes the port: a replacement stops the app first, and requests wait", port.name),
            help: Some(
                "remove it: the host chooses a free port; or write [host.backend] overlap = false in plugins.toml"
                    .to_owned(),
            ),
        }),
        _ => {}
    }
    problems
}

#[cfg(test)]
mod tests;
