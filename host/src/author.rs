//! `gatelodge plugin`: for those who write plugins.

mod folder;
mod inspect;

use crate::cli::{BuildArgs, PluginArgs, PluginCommand};
use crate::exit::Exit;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use workshop::{Built, WitFile, World};

/// Largest file that is looked at, bytes: what the host loads.
const FILE_BYTES_MAX: u64 = plugin::MODULE_BYTES_MAX as u64;

/// What went wrong, and what to do about it.
struct Trouble {
    what: String,
    help: Option<String>,
}

impl Trouble {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    fn of(file: &Path, error: &workshop::Error) -> Self {
        Self { what: format!("{}: {error}", file.display()), help: error.help() }
    }
}

/// Does what was asked for; trouble goes to standard error.
pub(crate) fn plugin(args: &PluginArgs) -> Exit {
    let done = match &args.command {
        PluginCommand::Build(build) => make(build),
        PluginCommand::Inspect(inspect) => inspect::tell(inspect),
    };
    let told = match done {
        Ok(text) => writeln!(std::io::stdout().lock(), "{text}").map(|()| Exit::Clean),
        Err(trouble) => {
            let help = trouble.help.map(|help| format!("\n  {help}")).unwrap_or_default();
            writeln!(std::io::stderr().lock(), "error: {}{help}", trouble.what).map(|()| Exit::Refused)
        }
    };
    told.unwrap_or(Exit::Failed)
}

fn make(args: &BuildArgs) -> Result<String, Trouble> {
    if args.path.is_dir() {
        return match args.world.is_some() || args.out.is_some() {
            true => Err(Trouble {
                what: format!("{} is a folder: --world, --wit and --out are for files", args.path.display()),
                help: Some(format!("write them into its {}", config::plugins_toml::RECIPE)),
            }),
            false => folder::make(&args.path),
        };
    }
    let bytes = read(&args.path)?;
    let wit = args.wit.as_deref().map(own_wit).transpose()?.unwrap_or_default();
    let world = World { name: args.world.as_deref(), wit: &wit };
    let built = workshop::component(&bytes, world).map_err(|error| Trouble::of(&args.path, &error))?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None if built.as_it_was => return Ok(told(&args.path, &built)),
        None => args.path.with_extension("component.wasm"),
    };
    write(&out, &built.component)?;
    Ok(told(&out, &built))
}

/// One line about what was made.
fn told(out: &Path, built: &Built) -> String {
    let shim = if built.shimmed { ", with the shim for wasip1 (needs the grant `log`)" } else { "" };
    format!("{}: a component for {}, {} bytes{shim}", out.display(), plugin::CONTRACT, built.component.len())
}

fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    let failed = |error| Trouble::new(format!("cannot read {}: {error}", file.display()));
    let length = fs::metadata(file).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(Trouble::new(format!("{}: {length} bytes; a plugin has at most {FILE_BYTES_MAX}", file.display())));
    }
    fs::read(file).map_err(failed)
}

/// The `.wit` files of a folder, in order of names. What lies deeper is not looked at: the only
/// package that a plugin needs beside its own is built in.
fn own_wit(folder: &Path) -> Result<Vec<WitFile>, Trouble> {
    let failed = |path: &Path, error| Trouble::new(format!("cannot read {}: {error}", path.display()));
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    let is_wit = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "wit");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_wit).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Trouble::new(format!("{} has no .wit file", folder.display())));
    }
    let text = |path: &PathBuf| {
        let text = fs::read_to_string(path).map_err(|error| failed(path, error))?;
        Ok(WitFile { path: path.display().to_string(), text })
    };
    paths.iter().map(text).collect()
}

fn write(out: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    let failed = |error| Trouble::new(format!("cannot write {}: {error}", out.display()));
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(out, bytes).map_err(failed)
}

#[cfg(test)]
mod tests;
