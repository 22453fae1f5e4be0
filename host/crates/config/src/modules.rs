//! The files that `plugins.toml` names: are they there, and inside the site?
//!
//! The only part of this room that looks at a disk.

use crate::error::{Problem, Severity};
use crate::plugins_toml::{Module, PluginsToml, Secret};
use crate::source::Position;
use std::path::Path;

/// Checks every module, key set and secret file below `folder`, the folder of plugins.toml.
#[must_use]
pub fn check(document: &PluginsToml, folder: &Path) -> Vec<Problem> {
    let Some(file) = &document.path else { return Vec::new() };
    let modules = document.plugins.iter().filter_map(|plugin| match &plugin.module.value {
        Module::File(path) => Some((format!("plugin `{}`", plugin.name.value), path, plugin.module.at)),
        Module::Builtin(_) => None,
    });
    let secrets = document.secrets.iter().filter_map(|(name, secret)| match secret {
        Secret::File(path) => Some((format!("secret `{name}`"), &path.value, path.at)),
        Secret::Env(_) => None,
    });
    let keys = document.key_sets.iter().map(|(name, set)| (format!("key set `{name}`"), &set.file.value, set.file.at));
    modules
        .chain(keys)
        .chain(secrets)
        .filter_map(|(whose, path, at)| {
            wrong(folder, path).map(|(what, help)| problem(file, at, format!("{whose}: {what}"), help))
        })
        .collect()
}

/// The path of a file that plugins.toml names: relative to its folder, `\` understood everywhere.
#[must_use]
pub fn resolve(folder: &Path, path: &str) -> std::path::PathBuf {
    path.split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .fold(folder.to_owned(), |path, part| path.join(part))
}

fn wrong(folder: &Path, path: &str) -> Option<(String, &'static str)> {
    // A path that reading refused already is not looked at.
    if path.is_empty() || path.split(['/', '\\']).any(|part| part == "..") || path.starts_with(['/', '\\']) {
        return None;
    }
    let full = resolve(folder, path);
    let (Ok(inside), Ok(real)) = (folder.canonicalize(), full.canonicalize()) else {
        return Some((format!("there is no file `{path}`"), "paths are relative to the folder of this file"));
    };
    if !real.starts_with(&inside) {
        return Some((format!("`{path}` leads out of the site's folder by a link"), "copy the file into the site"));
    }
    match real.metadata() {
        Ok(metadata) if metadata.is_file() => None,
        _ => Some((format!("`{path}` is not a file"), "name the file itself")),
    }
}

fn problem(file: &str, at: Position, what: String, help: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        what,
        help: Some(help.to_owned()),
    }
}

#[cfg(test)]
mod tests;
