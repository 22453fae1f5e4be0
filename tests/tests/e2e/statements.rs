//! What the ASP.NET Core Module does is counted, L01 to L54: command line,
//! environment, readiness, failures, stop, recycling, `app_offline.htm`, logs.
//! Each such statement must have a test that shows it, or what is done better.

use std::collections::BTreeSet;
use std::path::Path;

/// The last number.
const LAST: u32 = 54;

/// The text of all sources below a folder.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.extend(std::fs::read_to_string(&path));
        }
    }
}

/// Numbers in the comments of tests: `L33: ...` above an attribute that makes a test.
fn shown(source: &str) -> BTreeSet<u32> {
    let (mut shown, mut pending) = (BTreeSet::new(), BTreeSet::new());
    for line in source.lines().map(str::trim_start) {
        if let Some(comment) = line.strip_prefix("/// ") {
            let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
            pending.extend(words.filter_map(|word| word.strip_prefix('L')?.parse::<u32>().ok()));
        } else if line.starts_with("#[") && line.contains("test") {
            shown.append(&mut pending);
        } else if !line.starts_with("///") && !line.starts_with("#[") {
            pending.clear();
        }
    }
    shown
}

#[test]
fn every_statement_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
    let mut texts = Vec::new();
    sources(root, &mut texts);
    let shown: BTreeSet<u32> = texts.iter().flat_map(|text| shown(text)).collect();
    let missing: Vec<String> = (1..=LAST).filter(|n| !shown.contains(n)).map(|n| format!("L{n:02}")).collect();
    assert!(missing.is_empty(), "no test shows {missing:?}");
}

#[test]
fn only_comments_of_tests_count() {
    let source = "/// L01: told.\n#[test]\nfn a() {}\n/// L02: told.\nfn b() {}\n#[test]\nfn c() { /* L03 */ }\n\
                  /// L04, L05: both.\n#[tokio::test(start_paused = true)]\nasync fn d() {}\n";
    assert_eq!(shown(source), BTreeSet::from([1, 4, 5]));
}
