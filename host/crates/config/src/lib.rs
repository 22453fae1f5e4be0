//! `web.config` and `plugins.toml`: bytes -> typed documents with positions,
//! or all problems at once.
//!
//! *Place in the journey:* before it begins. The binary reads the files, this
//! room understands them, and `settle` turns the documents into each room's
//! own settings.
//!
//! *Invariant:* it never touches runtime types, expands no environment variable
//! and starts nothing. Only [`modules`] looks at a disk, at a folder it is given.
#![forbid(unsafe_code)]

mod cross;
pub mod effective;
pub mod error;
pub mod mapping;
pub mod modules;
pub mod plugins_toml;
pub mod source;
pub mod web_config;
mod xml;

pub use error::{Problem, Problems, Severity};
pub use plugins_toml::PluginsToml;
pub use source::{File, Position, Setting, Source, Spanned};
pub use web_config::{Facts, SMALLEST, WebConfig};

use serde::Serialize;
use std::collections::BTreeSet;

/// Both files, understood.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The application, its mappings and limits.
    pub web_config: WebConfig,
    /// The host and its plugins; defaults if there is no file.
    pub plugins_toml: PluginsToml,
    /// What is said about the files though they are served.
    pub warnings: Problems,
}

/// Reads both files.
///
/// # Errors
/// All problems of both files, warnings among them, sorted by place; also if
/// there is no `web.config`.
pub fn read(web_config: Option<File>, plugins_toml: Option<File>, facts: &Facts) -> Result<Document, Problems> {
    let mut problems = Vec::new();
    let plugins = match plugins_toml.as_ref().map(Source::decode) {
        None => PluginsToml::absent(),
        Some(Ok(source)) => {
            let (document, found) = plugins_toml::read(&source);
            problems.extend(found);
            document
        }
        Some(Err(problem)) => {
            problems.push(*problem);
            PluginsToml::absent()
        }
    };
    let accept: Vec<String> = plugins.host.accept_unapplied.iter().map(|name| name.value.clone()).collect();
    let site = match web_config.as_ref().map(Source::decode) {
        None => {
            problems.push(missing());
            None
        }
        Some(Err(problem)) => {
            problems.push(*problem);
            None
        }
        Some(Ok(source)) => {
            let outcome = web_config::read(&source, facts, &accept);
            problems.extend(outcome.problems);
            let unused = unused(&plugins, &outcome.accepted, &problems);
            problems.extend(unused);
            if let Some(site) = &outcome.document {
                problems.extend(cross::check(site, &plugins));
            }
            outcome.document
        }
    };
    let problems = Problems::new(problems);
    match site {
        Some(web_config) if !problems.refuses() => {
            Ok(Document { web_config, plugins_toml: plugins, warnings: problems })
        }
        _ => Err(problems),
    }
}

fn missing() -> Problem {
    Problem {
        severity: Severity::Error,
        file: "web.config".to_owned(),
        line: 0,
        column: 0,
        what: "there is no web.config: it says which program to run".to_owned(),
        help: Some(format!("the smallest one is:\n{SMALLEST}")),
    }
}

/// Entries of `accept_unapplied` that accept nothing: likely a slip, or left over.
fn unused(plugins: &PluginsToml, accepted: &BTreeSet<String>, told: &[Problem]) -> Vec<Problem> {
    let Some(file) = &plugins.path else { return Vec::new() };
    let refused = |at: Position| {
        told.iter().any(|other| other.file == *file && (other.line, other.column) == (at.line, at.column))
    };
    let idle = plugins.host.accept_unapplied.iter().filter(|name| !accepted.contains(&name.value) && !refused(name.at));
    idle.map(|name| Problem {
        severity: Severity::Warning,
        file: file.clone(),
        line: name.at.line,
        column: name.at.column,
        what: format!("accept_unapplied names \"{}\", which web.config does not need", name.value),
        help: Some("remove it, so that it can't hide a section that is added later".to_owned()),
    })
    .collect()
}

#[cfg(test)]
mod tests;
