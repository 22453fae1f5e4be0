//! From `processPath` and `arguments` to a program and its argument list.
//!
//! The file was written for Windows: backslashes, `.exe`, names in any case and
//! `%VARIABLES%` are all understood.

mod split;

use crate::expand::{expand, lookup, port_name};
use crate::platform::is_executable;
use crate::settings::Settings;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is executed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments, without the program itself.
    pub(crate) arguments: Vec<String>,
}

impl CommandLine {
    /// Finds the program and splits the arguments; `port` takes the place of
    /// `%ASPNETCORE_PORT%` and `%HTTP_PLATFORM_PORT%`.
    ///
    /// # Errors
    /// A sentence for the report that says which program is missing and where it
    /// was looked for.
    pub(crate) fn resolve(settings: &Settings, port: u16) -> Result<Self, String> {
        let env = &settings.inherited;
        let expanded = |text: &str| expand(text, |name| port_name(name, port).or_else(|| lookup(env, name)));
        let launcher = |name| lookup(env, name).filter(|value| !value.is_empty());
        let path = expanded(&launcher("ANCM_LAUNCHER_PATH").unwrap_or_else(|| settings.process_path.clone()));
        let line = expanded(&launcher("ANCM_LAUNCHER_ARGS").unwrap_or_else(|| settings.arguments.clone()));

        let (program, first) = find(&settings.root, &path, env)?;
        let mut arguments: Vec<String> = first.into_iter().collect();
        arguments.extend(split::split(&line).into_iter().map(|token| localise(&settings.root, token)));
        if let Some(bad) = arguments.iter().find(|a| a.contains('\0')) {
            return Err(format!("An argument holds a NUL character: {bad:?}."));
        }
        Ok(Self { program, arguments })
    }
}

impl std::fmt::Display for CommandLine {
    /// As a person would read it; arguments with blanks stand in quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.display())?;
        for argument in &self.arguments {
            if argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') {
                write!(f, " {argument:?}")?;
            } else {
                write!(f, " {argument}")?;
            }
        }
        Ok(())
    }
}

/// The program, and an argument that must come first if it is started through `dotnet`.
fn find(root: &Path, raw: &str, env: &[(OsString, OsString)]) -> Result<(PathBuf, Option<String>), String> {
    let path = raw.trim();
    let path = path.strip_prefix(r"\\?\").unwrap_or(path).replace('\\', "/");
    refuse_windows_only(raw, &path)?;
    let search = lookup(env, "PATH").unwrap_or_default();

    for spelling in spellings(&path) {
        if let Some(found) = in_root(root, &spelling).filter(|p| is_executable(p) && !is_windows_program(p)) {
            return Ok((found, None));
        }
        if let Some(found) = on_path(&spelling, &search) {
            return Ok((found, None));
        }
    }
    if let Some(library) = dotnet_library(root, &path) {
        return match on_path("dotnet", &search) {
            Some(dotnet) => Ok((dotnet, Some(library))),
            None => Err(format!(
                "{raw:?} is not there, and {library:?} needs `dotnet`, which is not on PATH: install the .NET runtime, \
                 or publish the app self-contained for this system."
            )),
        };
    }
    Err(missing(root, raw, &path))
}

fn refuse_windows_only(raw: &str, path: &str) -> Result<(), String> {
    let lower = path.to_ascii_lowercase();
    if path.is_empty() {
        return Err("processPath is empty.".to_owned());
    }
    if lower.contains("%launcher_path%") {
        return Err(format!(
            "processPath is {raw:?}, a placeholder that a development tool fills in: publish the app first (`dotnet publish`)."
        ));
    }
    let extension = Path::new(&lower).extension().and_then(|e| e.to_str()).unwrap_or_default();
    if matches!(extension, "bat" | "cmd") {
        return Err(format!(
            "{raw:?} is a Windows batch file, which this system can't run: name the program that it starts, \
             or a shell script with a `#!` line."
        ));
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if drive {
        return Err(format!(
            "{raw:?} is a path on a Windows drive, which this system does not have: \
             write a path relative to the application's folder, or a name that is on PATH."
        ));
    }
    Ok(())
}

/// The path itself and, where it ends in `.exe`, the path without it.
fn spellings(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    all.extend(without_exe(path).map(str::to_owned));
    all
}

fn without_exe(path: &str) -> Option<&str> {
    let cut = path.len().checked_sub(4)?;
    let (stem, extension) = (path.get(..cut)?, path.get(cut..)?);
    (extension.eq_ignore_ascii_case(".exe") && !stem.is_empty() && !stem.ends_with('/')).then_some(stem)
}

/// A file at `path` below the root, or at the absolute path, names in any case.
fn in_root(root: &Path, path: &str) -> Option<PathBuf> {
    // An absolute path replaces the root when it is joined.
    let exact: PathBuf = root.join(path).components().collect();
    if exact.is_file() {
        return Some(exact);
    }
    let base = if path.starts_with('/') { Path::new("/") } else { root };
    any_case(base, path).filter(|p| p.is_file())
}

/// Walks `path` from `base`, taking for each missing name the only entry that
/// differs from it by case. `None` if there is none or more than one.
fn any_case(base: &Path, path: &str) -> Option<PathBuf> {
    let mut at = base.to_path_buf();
    for name in path.split('/').filter(|n| !n.is_empty() && *n != ".") {
        let next = at.join(name);
        if name == ".." || next.exists() {
            at = next;
            continue;
        }
        let mut alike = std::fs::read_dir(&at)
            .ok()?
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        let only = alike.next()?;
        if alike.next().is_some() {
            return None;
        }
        at = only.path();
    }
    Some(at)
}

fn on_path(name: &str, search: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    std::env::split_paths(search)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|p| is_executable(p))
}

/// `App.dll` beside a missing (or Windows) `App.exe`, if it can be run by `dotnet`.
fn dotnet_library(root: &Path, path: &str) -> Option<String> {
    let stem = without_exe(path).unwrap_or(path);
    let library = in_root(root, &format!("{stem}.dll"))?;
    in_root(root, &format!("{stem}.runtimeconfig.json"))?;
    Some(library.to_string_lossy().into_owned())
}

/// Whether the file is a Windows executable, which starts with `MZ`.
fn is_windows_program(path: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 2];
    std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut magic)).is_ok() && &magic == b"MZ"
}

fn missing(root: &Path, raw: &str, path: &str) -> String {
    let place = root.display();
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    if matches!(name, "cmd" | "cmd.exe" | "powershell" | "powershell.exe") {
        return format!(
            "{raw:?} is the Windows shell, which this system does not have: \
             name the program that it starts, or `sh` or `pwsh` if they are installed."
        );
    }
    let mut found: Vec<PathBuf> = spellings(path).iter().filter_map(|spelling| in_root(root, spelling)).collect();
    found.sort_by_key(|p| is_windows_program(p));
    match found.first() {
        Some(found) if is_windows_program(found) => format!(
            "{} is a Windows program, and there is neither the same name without `.exe` \
             nor a library with its runtimeconfig.json beside it: publish the app for this system.",
            found.display()
        ),
        Some(found) => format!("{} may not be executed: run `chmod +x` on it.", found.display()),
        None if root.join(path).is_dir() => format!("{raw:?} is a folder: name the program in it."),
        None if path.contains('/') => format!("There is no program {raw:?} in {place}."),
        None => format!("There is no program {raw:?}, neither in {place} nor on PATH."),
    }
}

/// Turns the backslashes of an argument that is a path, and finds the file if
/// its name is spelled in another case.
fn localise(root: &Path, token: String) -> String {
    const FILES: [&str; 6] = [".dll", ".exe", ".jar", ".js", ".py", ".mjs"];
    let lower = token.to_ascii_lowercase();
    let is_path = lower.starts_with(r".\") || lower.starts_with(r"..\") || FILES.iter().any(|end| lower.ends_with(end));
    if !is_path {
        return token;
    }
    let path = token.strip_prefix(r"\\?\").unwrap_or(&token).replace('\\', "/");
    if path.starts_with('/') || path.starts_with('-') || root.join(&path).exists() {
        return path;
    }
    let found = any_case(root, &path).and_then(|p| Some(p.strip_prefix(root).ok()?.to_str()?.to_owned()));
    match found {
        Some(other) if path.starts_with("./") => format!("./{other}"),
        Some(other) => other,
        None => path,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
