//! From files and flags to documents: all problems at once, nothing started.

use crate::cli::SiteArgs;
use config::plugins_toml::{self, Admin, Listener, Module};
use config::{Document, Facts, File, Problem, Problems, Severity, Source, modules};
use std::io;
use std::path::{Path, PathBuf};

/// Longest configuration file that is read, bytes; the reader's own limit is below it.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What was found, with what the command line adds.
pub(crate) struct Loaded {
    /// Both files, understood.
    pub(crate) document: Document,
    /// The app's folder, links resolved.
    pub(crate) root: PathBuf,
    /// The app's folder as it was named, absolute.
    pub(crate) app_dir: PathBuf,
    /// Where plugins.toml lies or would lie.
    pub(crate) toml_path: PathBuf,
    /// The folder that paths in plugins.toml are relative to.
    pub(crate) folder: PathBuf,
    /// `--listen`, where given.
    pub(crate) listen: Vec<Listener>,
    /// `--path-base`, where given.
    pub(crate) path_base: Option<String>,
    /// `--admin`, where given.
    pub(crate) admin: Option<Admin>,
}

/// Reads the files of a site and checks the flags that add to them.
///
/// # Errors
/// Every problem of both files and of the flags.
pub(crate) fn load(args: &SiteArgs) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let listen: Vec<Listener> = args
        .listen
        .iter()
        .filter_map(|url| match plugins_toml::parse_listener(url) {
            Ok(listener) => Some(listener),
            Err((what, help)) => {
                problems.push(flag("--listen", what, help));
                None
            }
        })
        .collect();
    let path_base = args.path_base.as_deref().and_then(|path| match plugins_toml::parse_path_base(path) {
        Ok(path) => Some(path),
        Err(what) => {
            problems.push(flag("--path-base", what, "write --path-base /app"));
            None
        }
    });
    let admin = args.admin.as_deref().and_then(|text| match plugins_toml::parse_admin(text) {
        Ok(admin) => Some(admin),
        Err((what, help)) => {
            problems.push(flag("--admin", what, help));
            None
        }
    });
    let root = match std::fs::canonicalize(&args.app_dir) {
        Ok(root) if root.is_dir() => root,
        _ => {
            let what = format!("{} is not a folder", args.app_dir.display());
            problems.push(flag("APP_DIR", what, "name the folder that holds web.config"));
            return Err(Problems::new(problems));
        }
    };
    let toml_path = toml_path(args);
    let web_config = web_config_name(&args.app_dir).and_then(|path| file(&path, false, &mut problems));
    let toml = file(&toml_path, args.plugins.is_some(), &mut problems);
    let folder = toml_path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    match config::read(web_config, toml, &facts()) {
        Ok(document) => {
            problems.extend(modules::check(&document.plugins_toml, folder));
            if problems.iter().any(|problem| problem.severity == Severity::Error) {
                problems.extend(document.warnings.into_vec());
                return Err(Problems::new(problems));
            }
            let folder = folder.to_path_buf();
            let app_dir = std::path::absolute(&args.app_dir).unwrap_or_else(|_| root.clone());
            Ok(Loaded { document, root, app_dir, toml_path, folder, listen, path_base, admin })
        }
        Err(found) => {
            problems.extend(found.into_vec());
            problems.extend(missing_files(&toml_path, folder));
            Err(Problems::new(problems))
        }
    }
}

/// Where plugins.toml lies or would lie.
pub(crate) fn toml_path(args: &SiteArgs) -> PathBuf {
    args.plugins.clone().unwrap_or_else(|| args.app_dir.join("plugins.toml"))
}

/// Modules, builtin plugins and key sets that are not there, also where something else is wrong:
/// all problems are told at once. Where the file itself can't be understood,
/// that has been told already.
fn missing_files(toml_path: &Path, folder: &Path) -> Vec<Problem> {
    let read = file(toml_path, false, &mut Vec::new());
    let source = read.as_ref().and_then(|file| Source::decode(file).ok());
    let Some(source) = source else { return Vec::new() };
    let document = plugins_toml::read(&source).0;
    let mut problems = modules::check(&document, folder);
    problems.extend(document.plugins.iter().filter_map(|plugin| match &plugin.module.value {
        Module::Builtin(name) => crate::plugins::builtin(name).err().map(|what| Problem {
            severity: Severity::Error,
            file: source.path().to_owned(),
            line: plugin.module.at.line,
            column: plugin.module.at.column,
            what,
            help: None,
        }),
        Module::File(_) => None,
    }));
    problems
}

/// A problem of the command line, which has no lines.
pub(crate) fn flag(name: &str, what: String, help: &str) -> Problem {
    Problem { severity: Severity::Error, file: name.to_owned(), line: 0, column: 0, what, help: Some(help.to_owned()) }
}

/// `web.config` in the app's folder, in whatever case it was deployed.
fn web_config_name(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join("web.config");
    if plain.exists() {
        return Some(plain);
    }
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| name.to_str().is_some_and(|name| name.eq_ignore_ascii_case("web.config")))
        .collect();
    names.sort();
    names.first().map(|name| folder.join(name))
}

/// Reads a file whole; a missing one is only a problem where it was asked for.
fn file(path: &Path, wanted: bool, problems: &mut Vec<Problem>) -> Option<File> {
    let shown = path.strip_prefix("./").unwrap_or(path).display().to_string();
    let read = || -> io::Result<Vec<u8>> {
        if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        std::fs::read(path)
    };
    match read() {
        Ok(bytes) => Some(File::new(shown, bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !wanted => None,
        Err(error) => {
            problems.push(flag(&shown, format!("can't be read: {error}"), "name a file that can be read"));
            None
        }
    }
}

/// What the environment says about an unpublished web.config.
fn facts() -> Facts {
    let first =
        |names: [&str; 2]| names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    Facts {
        launcher_path: first(["ANCM_LAUNCHER_PATH", "LAUNCHER_PATH"]),
        launcher_args: first(["ANCM_LAUNCHER_ARGS", "LAUNCHER_ARGS"]),
    }
}

#[cfg(test)]
pub(crate) mod tests;
