//! The inner cargo: its command, its clean environment, its answers.

use crate::outer::{Error, Kind, failed, var};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names of examples that are compiled for [`Kind::WasiExamples`], and for it alone.
const WASI_PREFIX: &str = "wasi-";

/// 64 KiB of stack instead of 1 MiB: an instance stays small, and a recursion
/// without end still ends in a fault. Debug sections go, function names stay,
/// so that a trap's backtrace can be read.
const FLAGS: [&str; 3] =
    ["-Clink-arg=-zstack-size=65536", "-Clink-arg=--strip-debug", "-Clink-arg=--keep-section=name"];

/// A compiled core module.
pub(crate) struct Module {
    /// Name of the cargo target; for a library, of the package.
    pub name: String,
    /// The file.
    pub wasm: PathBuf,
    /// Every file that went into it, as far as it lies in this workspace.
    pub inputs: Vec<PathBuf>,
}

pub(crate) fn compile(package: &str, kind: Kind, workspace: &Path, target_dir: &Path) -> Result<Vec<Module>, Error> {
    let target = target_of(kind);
    require_target(target)?;
    let mut command = Command::new(var("CARGO")?);
    clean(&mut command);
    command.current_dir(workspace).env("CARGO_ENCODED_RUSTFLAGS", flags().join("\u{1f}"));
    match kind {
        // A crate may stay a plain library for its own tests; only here it is linked.
        Kind::Lib => command.args(["rustc", "--lib", "--crate-type", "cdylib"]),
        Kind::Examples => command.args(["build", "--examples"]),
        Kind::WasiExamples => command.args(["build", "--example", &format!("{WASI_PREFIX}*")]),
    };
    command
        .args(["-p", package, "--profile", "guest", "--target", target, "--locked", "--quiet"])
        .args(["--message-format", "json-render-diagnostics", "--target-dir"])
        .arg(target_dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| Error::new(format!("cannot run cargo: {error}")))?;
    if !output.status.success() {
        return Err(Error::new(format!("the guests of `{package}` do not compile: cargo's messages are above")));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut modules = messages
        .lines()
        .filter_map(|line| artifact(line, package, kind))
        .map(with_inputs)
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(module) = modules.first_mut() {
        module.inputs.extend(messages.lines().filter_map(manifest));
    }
    Ok(modules)
}

fn target_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Lib | Kind::Examples => "wasm32-unknown-unknown",
        Kind::WasiExamples => "wasm32-wasip2",
    }
}

/// The manifest of a package of this workspace that took part.
fn manifest(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message["package_id"].as_str()?.starts_with("path+file:").then_some(())?;
    message["manifest_path"].as_str().map(PathBuf::from)
}

/// Flags of the inner compiler. Panic messages name dependencies by their place in the
/// registry, not by where this machine keeps it.
fn flags() -> Vec<String> {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    let home = |name: &str| env::var_os(name).map(PathBuf::from);
    let cargo_home = home("CARGO_HOME").or_else(|| Some(home("HOME").or_else(|| home("USERPROFILE"))?.join(".cargo")));
    if let Some(folder) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=cargo", folder.display()));
    }
    flags
}

/// Name and file of a guest, if this message of cargo's tells of one.
fn artifact(line: &str, package: &str, kind: Kind) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || !belongs(message["package_id"].as_str()?, package) {
        return None;
    }
    let target = &message["target"];
    let wanted = match kind {
        Kind::Lib => "cdylib",
        Kind::Examples | Kind::WasiExamples => "example",
    };
    let name = match kind {
        Kind::Lib => package,
        Kind::Examples | Kind::WasiExamples => target["name"].as_str()?,
    };
    if kind != Kind::Lib && name.starts_with(WASI_PREFIX) != (kind == Kind::WasiExamples) {
        return None;
    }
    let kinds = target["kind"].as_array()?;
    // `cargo rustc --crate-type` shows as `cdylib` in both lists; examples only in the second.
    let types = target["crate_types"].as_array()?;
    if !kinds.iter().chain(types).any(|kind| kind == wanted) {
        return None;
    }
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    let wasm = files.map(PathBuf::from).find(|file| file.extension().is_some_and(|e| e == "wasm"))?;
    Some((name.to_owned(), wasm))
}

/// A package id is `path+file:///folder#name@version`, or `...#version` where the
/// folder's name is the package's.
fn belongs(id: &str, package: &str) -> bool {
    let Some((source, fragment)) = id.rsplit_once('#') else { return false };
    match fragment.split_once('@') {
        Some((name, _)) => name == package,
        None => source.rsplit('/').next() == Some(package),
    }
}

/// Reads the sources from the `.d` file that cargo writes beside an artifact.
fn with_inputs((name, wasm): (String, PathBuf)) -> Result<Module, Error> {
    let list = wasm.with_extension("d");
    let text = fs::read_to_string(&list).map_err(|error| failed("read", &list, &error))?;
    Ok(Module { name, wasm, inputs: dependencies(&text) })
}

/// Right-hand side of a make rule; a blank inside a name is escaped.
fn dependencies(rule: &str) -> Vec<PathBuf> {
    let Some((_, list)) = rule.split_once(": ") else { return Vec::new() };
    let marked = list.lines().next().unwrap_or_default().replace("\\ ", "\0");
    marked.split_whitespace().map(|name| PathBuf::from(name.replace('\0', " "))).collect()
}

/// Takes away what the outer build says about *its* compilation.
fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if is_of_the_outer_build(text) {
            command.env_remove(&name);
        }
    }
}

fn is_of_the_outer_build(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];
    const GONE: [&str; 11] = [
        "CARGO_",
        "RUSTC_",
        "RUSTFLAGS",
        "RUSTDOC",
        "CLIPPY_",
        "__CARGO",
        "MAKEFLAGS",
        "MFLAGS",
        "LLVM_PROFILE_FILE",
        "DEP_",
        "OUT_DIR",
    ];
    !KEPT.iter().any(|kept| name.starts_with(kept)) && GONE.iter().any(|gone| name.starts_with(gone))
}

/// A missing target gives a hundred lines of "can't find crate for `std`": say it in one.
fn require_target(target: &str) -> Result<(), Error> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .map_err(|error| Error::new(format!("cannot run rustc: {error}")))?;
    let folder = String::from_utf8_lossy(&output.stdout);
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    Err(Error::new(format!(
        "plugins are compiled for {target}, which this tool chain lacks: run `rustup target add {target}`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_packages_apart() {
        for (id, package, expected) in [
            ("path+file:///w/plugins/sdk#gatelodge-sdk@0.1.0", "gatelodge-sdk", true),
            ("path+file:///w/plugins/sdk#gatelodge-sdk@0.1.0", "sdk", false),
            ("path+file:///w/gatelodge-sdk#0.1.0", "gatelodge-sdk", true),
            ("path+file:///w/gatelodge-sdk#0.1.0", "w", false),
            ("registry", "registry", false),
        ] {
            assert_eq!(belongs(id, package), expected, "{id} {package}");
        }
    }

    #[test]
    fn reads_artifacts_of_the_package_only() {
        let line = |id: &str, kind: &str, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"path+file:///w/x#{id}@0.1.0",
                "target":{{"name":"two-words","kind":["{kind}"],"crate_types":["cdylib"]}},"filenames":["{file}"]}}"#
            )
            .replace('\n', "")
        };
        let found = |line: &str, kind| artifact(line, "mine", kind);
        assert_eq!(
            found(&line("mine", "example", "/t/two_words.wasm"), Kind::Examples),
            Some(("two-words".to_owned(), PathBuf::from("/t/two_words.wasm")))
        );
        assert_eq!(
            found(&line("mine", "cdylib", "/t/two_words.wasm"), Kind::Lib),
            Some(("mine".to_owned(), PathBuf::from("/t/two_words.wasm")))
        );
        assert_eq!(found(&line("other", "example", "/t/two_words.wasm"), Kind::Examples), None);
        assert_eq!(found(&line("mine", "example", "/t/libx.rlib"), Kind::Examples), None);
        assert_eq!(found("warning: not JSON", Kind::Lib), None);
        let wasi = line("mine", "example", "/t/x.wasm").replace("two-words", "wasi-words");
        assert_eq!(found(&wasi, Kind::Examples), None);
        assert_eq!(found(&wasi, Kind::WasiExamples), Some(("wasi-words".to_owned(), PathBuf::from("/t/x.wasm"))));
        assert_eq!(found(&line("mine", "example", "/t/x.wasm"), Kind::WasiExamples), None);
    }

    #[test]
    fn reads_the_list_of_sources() {
        let rule = "/t/pass.wasm: /w/a.rs /w/with\\ blank/b.wit\n\n/w/a.rs:\n";
        assert_eq!(dependencies(rule), [PathBuf::from("/w/a.rs"), PathBuf::from("/w/with blank/b.wit")]);
        assert!(dependencies("nothing").is_empty());
    }

    #[test]
    fn cleans_what_would_change_the_guests() {
        for gone in [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_MAKEFLAGS",
            "MAKEFLAGS",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "CLIPPY_ARGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_CFG_TARGET_OS",
        ] {
            assert!(is_of_the_outer_build(gone), "{gone}");
        }
        for kept in ["PATH", "HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HOME", "CARGO_NET_OFFLINE", "RUSTC"] {
            assert!(!is_of_the_outer_build(kept), "{kept}");
        }
    }
}
