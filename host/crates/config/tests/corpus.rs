//! Every real web.config of the corpus goes through the reader and must have
//! the outcome that `corpus.tsv` expects: never a panic, never silence.
//!
//! The corpus itself is not part of this repository: the test looks for it
//! where `GATELODGE_CORPUS` says or beside the workspace, and says so when it
//! is not there.

use gatelodge_config::{Facts, File, Problems, Severity, read};
use std::path::PathBuf;

fn corpus() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus/web-config");
    let folder = std::env::var_os("GATELODGE_CORPUS").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Outcome, line of the first problem that decides it, its text.
fn outcome(bytes: Vec<u8>) -> (&'static str, u32, String) {
    let file = File::new("web.config", bytes);
    let (word, problems) = match read(Some(file), None, &Facts::default()) {
        Ok(document) if document.warnings.as_slice().is_empty() => ("applied", Problems::default()),
        Ok(document) => ("warned", document.warnings),
        Err(problems) => ("refused", problems),
    };
    let decides = if word == "refused" { Severity::Error } else { Severity::Warning };
    let first = problems.as_slice().iter().find(|problem| problem.severity == decides);
    first.map_or((word, 0, String::new()), |problem| (word, problem.line, problem.what.clone()))
}

#[test]
fn every_file_has_its_expected_outcome() {
    let Some(folder) = corpus() else {
        println!("skipped: no corpus folder (set GATELODGE_CORPUS)");
        return;
    };
    let table = include_str!("corpus.tsv");
    let mut failures = Vec::new();
    let mut seen = 0;
    for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let &[number, expected, line, fragment] = columns.as_slice() else { panic!("a row has four columns: {row}") };
        let bytes =
            std::fs::read(folder.join(format!("{number}.config"))).expect("a file of the table is in the corpus");
        let (word, at, what) = outcome(bytes);
        seen += 1;
        if word != expected || at.to_string() != line || !what.contains(fragment) {
            failures.push(format!("{number}\t{word}\t{at}\t{what}"));
        }
    }
    let files = std::fs::read_dir(&folder).expect("the folder can be listed");
    let files = files.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "config"));
    assert_eq!(seen, files.count(), "the table names every file of the corpus");
    assert!(failures.is_empty(), "outcomes differ from corpus.tsv:\n{}", failures.join("\n"));
}
