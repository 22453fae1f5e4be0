//! The one door: from a package's name to components in `OUT_DIR`.

use crate::{cargo, encode};
use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Which targets of the package are guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its library.
    Lib,
    /// Every example that is declared with `crate-type = ["cdylib"]`, but for those of the
    /// next kind.
    Examples,
    /// Examples whose names begin with `wasi-`, for `wasm32-wasip2`: what the compiler makes
    /// of them are components already.
    WasiExamples,
}

/// Why there are no components. Its `Debug` is its text, because that is what
/// cargo shows of a build script whose `main` returns an error.
pub struct Error(String);

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Compiles `package` and writes `OUT_DIR/<name>.wasm` for each guest in it.
///
/// Gives names and paths in order of names; the name is the cargo target's, the
/// library's is that of the package. Tells cargo to run the script again when a
/// source of the guests, a manifest or the lock file changes.
///
/// # Errors
/// Not run by cargo, the target missing from the tool chain, guests that do not
/// compile, or a module that is no component; the text says what to do.
pub fn build(package: &str, kind: Kind) -> Result<Vec<(String, PathBuf)>, Error> {
    let out = PathBuf::from(var("OUT_DIR")?);
    let workspace = workspace_root(Path::new(&var("CARGO_MANIFEST_DIR")?))?;
    let target_dir = target_dir(&out)?.join("guests");

    let modules = cargo::compile(package, kind, &workspace, &target_dir)?;
    let mut inputs = BTreeSet::from([workspace.join("Cargo.lock"), workspace.join("Cargo.toml")]);
    let mut components = Vec::with_capacity(modules.len());
    for module in modules {
        inputs.extend(module.inputs);
        let core = fs::read(&module.wasm).map_err(|error| failed("read", &module.wasm, &error))?;
        let component = match kind {
            Kind::WasiExamples => core,
            Kind::Lib | Kind::Examples => {
                encode::component(&core).map_err(|error| Error::new(format!("guest `{}`: {error}", module.name)))?
            }
        };
        let path = out.join(format!("{}.wasm", module.name));
        write_if_changed(&path, &component)?;
        components.push((module.name, path));
    }
    components.sort();
    announce(&inputs);
    Ok(components)
}

/// Cargo's protocol with build scripts is standard output.
#[allow(clippy::print_stdout, reason = "cargo reads a build script's directives from standard output")]
fn announce(inputs: &BTreeSet<PathBuf>) {
    for input in inputs {
        println!("cargo::rerun-if-changed={}", input.display());
    }
}

pub(crate) fn var(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| Error::new(format!("{name} is not set: call this from a build script")))
}

pub(crate) fn failed(verb: &str, path: &Path, error: &dyn fmt::Display) -> Error {
    Error::new(format!("cannot {verb} {}: {error}", path.display()))
}

/// Leaves an equal file alone, so that nothing that embeds it is compiled again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).map_err(|error| failed("write", path, &error))
}

/// The nearest folder above `manifest_dir` that has a lock file.
fn workspace_root(manifest_dir: &Path) -> Result<PathBuf, Error> {
    manifest_dir
        .ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new(format!("no Cargo.lock above {}", manifest_dir.display())))
}

/// The outer target directory: cargo marks it with `CACHEDIR.TAG`; where that is
/// missing, it is four folders above `<target>/<profile>/build/<package>/out`.
fn target_dir(out: &Path) -> Result<PathBuf, Error> {
    out.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file())
        .or_else(|| out.ancestors().nth(4))
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new(format!("no target directory above {}", out.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_target_directory_without_its_tag() {
        let out = Path::new("/nowhere/target/debug/build/guests-0123/out");
        assert_eq!(target_dir(out).unwrap(), Path::new("/nowhere/target"));
        assert!(target_dir(Path::new("out")).is_err());
    }

    #[test]
    fn finds_the_workspace_from_a_package() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = workspace_root(own).unwrap();
        assert!(root.join("wit").is_dir(), "{}", root.display());
        assert!(workspace_root(Path::new("/nowhere")).is_err());
    }
}
