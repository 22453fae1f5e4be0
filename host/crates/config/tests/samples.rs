//! One small file of each kind in `samples`, and beside it, as `NAME.expected`,
//! all that is said about it: the problems, and what holds where it is applied.
//!
//! After a wanted change: `GATELODGE_BLESS=1 cargo test -p gatelodge-config`, and read the difference.

use gatelodge_config::effective::Effective;
use gatelodge_config::{Facts, File, SMALLEST, read};
use std::path::PathBuf;

fn said(name: &str, bytes: Vec<u8>) -> String {
    let (web_config, plugins_toml) = if name.ends_with(".toml") {
        (File::new("web.config", SMALLEST), Some(File::new("plugins.toml", bytes)))
    } else {
        (File::new("web.config", bytes), None)
    };
    match read(Some(web_config), plugins_toml, &Facts::default()) {
        Ok(document) => format!("applied\n{}\n{}", document.warnings, shown(&Effective::new(&document))),
        Err(problems) => format!("refused\n{problems}"),
    }
}

/// What the files set; defaults have their own test.
fn shown(effective: &Effective) -> String {
    let written = |line: &&str| !line.ends_with("(default)");
    effective.to_string().lines().filter(written).map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn every_sample_is_told_as_expected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let bless = std::env::var_os("GATELODGE_BLESS").is_some();
    let mut failures = Vec::new();
    let mut seen = 0;
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the samples are there").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries.iter().filter(|path| path.extension().is_some_and(|end| end == "config" || end == "toml")) {
        seen += 1;
        let name = path.file_name().expect("a listed file has a name").to_string_lossy().into_owned();
        let actual = said(&name, std::fs::read(path).expect("a listed file can be read"));
        let beside = folder.join(format!("{name}.expected"));
        if bless {
            std::fs::write(&beside, &actual).expect("the expectation can be written");
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default().replace("\r\n", "\n");
        if actual != expected {
            failures.push(format!("--- {name}, expected\n{expected}\n--- actual\n{actual}"));
        }
    }
    assert!(seen > 30, "{seen} samples");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
