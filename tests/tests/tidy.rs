//! What can be checked by reading the repository: floors, walls, lengths, links.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a source file, tests left out. More: split it.
const FILE_LINES_MAX: usize = 600;

/// The floor of each room; a room may know lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("gatelodge-wire", 0),
    ("gatelodge-config", 1),
    ("gatelodge-observe", 1),
    ("gatelodge-win", 1),
    ("gatelodge-watch", 1),
    ("gatelodge-workshop", 1),
    ("gatelodge-edge", 2),
    ("gatelodge-plugin", 2),
    ("gatelodge-forward", 2),
    ("gatelodge-process", 2),
    ("gatelodge-pipeline", 3),
    ("gatelodge-admin", 3),
    ("gatelodge", 4),
];

/// Who may depend on what: the name of a dependency, and the rooms that may have it.
const WALLS: &[(&str, &[&str])] = &[
    ("wasmtime", &["gatelodge-plugin"]),
    // In the plugin room for the calls that a plugin was granted, and nothing else.
    ("hyper", &["gatelodge-edge", "gatelodge-admin", "gatelodge-plugin"]),
    ("quick-xml", &["gatelodge-config"]),
    ("toml_edit", &["gatelodge-config"]),
    ("clap", &["gatelodge"]),
    ("anyhow", &["gatelodge"]),
    ("procfs", &["gatelodge-process"]),
    ("notify", &["gatelodge-watch"]),
    ("windows-sys", &["gatelodge-win"]),
    ("wit-component", &["gatelodge-workshop"]),
];

/// Rooms that have no runtime, and so no IO in the background.
const WITHOUT_RUNTIME: &[&str] = &["gatelodge-wire", "gatelodge-config", "gatelodge-observe"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs the tests, so it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn list<'a>(value: &'a serde_json::Value, key: &str) -> &'a [serde_json::Value] {
    value[key].as_array().unwrap_or_else(|| panic!("cargo tells {key}"))
}

fn text<'a>(value: &'a serde_json::Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("cargo tells {key}"))
}

/// Names of what a package needs to run: neither its tests nor its build.
fn needs(package: &serde_json::Value) -> BTreeSet<&str> {
    list(package, "dependencies").iter().filter(|d| d["kind"].is_null()).map(|d| text(d, "name")).collect()
}

/// All files below the repository's root that somebody wrote.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name == ".ci" || (!name.starts_with('.') && name != "target" && name != "node_modules") {
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let is_source = |path: &PathBuf| path.extension().is_some_and(|e| e == "rs");
    files().into_iter().filter(is_source).map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn rooms_know_lower_floors_only() {
    let metadata = metadata();
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let Some(floor) = floors.get(name) else {
            if text(package, "manifest_path").contains("/host/") {
                complaints.push(format!("{name} is a room without a floor: add it to FLOORS"));
            }
            continue;
        };
        seen.insert(name);
        for need in needs(package) {
            if floors.get(need).is_some_and(|below| below >= floor) {
                complaints.push(format!("{name} (floor {floor}) must not know {need}"));
            }
        }
    }
    complaints.extend(floors.keys().filter(|n| !seen.contains(*n)).map(|n| format!("the room {n} is gone")));
    none(&complaints);
}

#[test]
fn guests_stay_behind_their_walls() {
    let metadata = metadata();
    let mut complaints = Vec::new();
    for package in list(&metadata, "packages") {
        let (name, needs) = (text(package, "name"), needs(package));
        if !FLOORS.iter().any(|(room, _)| *room == name) {
            continue;
        }
        for (guest, rooms) in WALLS {
            if needs.contains(guest) && !rooms.contains(&name) {
                complaints.push(format!("{name} must not depend on {guest}; only {rooms:?} may"));
            }
        }
        if WITHOUT_RUNTIME.contains(&name) && needs.contains("tokio") {
            complaints.push(format!("{name} must not depend on a runtime"));
        }
    }
    none(&complaints);
}

#[test]
fn unsafe_code_has_one_room() {
    let metadata = metadata();
    let mut complaints = Vec::new();
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let wall = match name {
            "gatelodge-win" => continue,
            // One reasoned `allow`: it loads code that this very host compiled.
            "gatelodge-plugin" => "#![deny(unsafe_code)]",
            // Guests export functions by `unsafe(export_name)`, which the binding generator writes.
            "gatelodge-sdk" | "gatelodge-auth-forward" | "gatelodge-request-log" | "gatelodge-guest-programs" => {
                continue;
            }
            _ => "#![forbid(unsafe_code)]",
        };
        for target in list(package, "targets") {
            let kind = list(target, "kind").first().and_then(|kind| kind.as_str()).unwrap_or_default();
            let path = text(target, "src_path");
            if matches!(kind, "lib" | "bin") && !read(Path::new(path)).contains(wall) {
                complaints.push(format!("{path}: a crate root says {wall}"));
            }
        }
    }
    none(&complaints);
}

#[test]
fn files_are_short() {
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        let is_test = path.components().any(|c| c.as_os_str() == "tests") && !path.starts_with(root().join("tests"));
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && !is_test && path.file_name().is_some_and(|name| name != "tests.rs") {
            complaints.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", path.display()));
        }
    }
    none(&complaints);
}

#[test]
fn nothing_is_put_off() {
    // Written in two halves, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("unimpl", "emented!"),
        concat!("to", "do!("),
        concat!("#[ig", "nore"),
    ];
    let mut complaints = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    none(&complaints);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for path in files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = read(&path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let is_far = target.contains("://") || target.starts_with("mailto:") || target.is_empty();
            let folder = path.parent().expect("a file has a folder");
            if !is_far && !folder.join(target).exists() {
                complaints.push(format!("{}: {link}", path.display()));
            }
        }
    }
    none(&complaints);
}

#[test]
fn promises_name_tests_that_exist() {
    let path = root().join("host/PROMISES.md");
    let tests: BTreeSet<String> = sources()
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next()))
        .map(str::to_owned)
        .collect();
    let text = read(&path);
    let mut complaints = Vec::new();
    let mut promises = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("- ") || line.starts_with("| "))
    {
        // A table's head is the row above the rule.
        if text.lines().nth(number + 1).is_some_and(|next| next.starts_with("|-") || next.starts_with("| -")) {
            continue;
        }
        promises += 1;
        let mut names = line.split('`').skip(1).step_by(2).map(|n| n.rsplit("::").next().unwrap_or_default());
        if !names.any(|name| tests.contains(name)) {
            complaints.push(format!("{}:{}: no test of this name: {line}", path.display(), number + 1));
        }
    }
    assert!(promises > 0, "no promises in {}", path.display());
    none(&complaints);
}

#[test]
fn every_example_is_in_the_readme() {
    let readme = read(&root().join("README.md"));
    let mut complaints = Vec::new();
    for entry in std::fs::read_dir(root().join("examples")).expect("there are examples").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !readme.contains(&format!("examples/{name}")) {
            complaints.push(format!("README.md does not name examples/{name}"));
        }
        // Plugins are no sites: each language's folder tells how it is built.
        let files: &[&str] = if name == "plugins" { &[] } else { &["README.md", "web.config", "plugins.toml"] };
        for file in files {
            if entry.path().is_dir() && !entry.path().join(file).exists() {
                complaints.push(format!("examples/{name} has no {file}"));
            }
        }
    }
    none(&complaints);
}
