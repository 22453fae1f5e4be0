//! What the battery measured, and the table of the documentation.

use super::act::{Act, Answer};
use super::{load, more, table};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lines between which the table stands.
const MARKS: [&str; 2] = ["<!-- acts: begin -->\n", "<!-- acts: end -->\n"];

/// Where rows go: below cargo's target directory.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("the system tells where this program is");
    program.ancestors().nth(3).expect("cargo puts tests into TARGET/PROFILE/deps").join("hostile")
}

/// Writes down what one act came to in one isolation.
pub(super) fn row(act: &Act, isolation: &str, took: Duration, quiet: Duration, beside: Duration) {
    let folder = folder();
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1_000.0);
    let (row, name, answer) = (act.row, act.name, reaction(act));
    let line = format!("| {row} | {name} | {isolation} | {answer} | {} | {} | {} |\n", ms(took), ms(beside), ms(quiet));
    fs::create_dir_all(&folder).expect("the target directory is ours");
    fs::write(folder.join(format!("{row}-{name}-{isolation}.row")), line).expect("the target directory is ours");
}

fn reaction(act: &Act) -> String {
    let answer = match act.answer {
        Answer::Status(status) => status.to_string(),
        Answer::Cut => "cut off".to_owned(),
    };
    act.fault.map_or_else(|| answer.clone(), |(hook, kind)| format!("{answer}, `{kind}` in {hook}"))
}

/// The table as the page has it.
fn written() -> String {
    let mut rows: Vec<(&str, &str, &str, String)> =
        table::ACTS.iter().map(|act| (act.row, act.name, act.guest, reaction(act))).collect();
    rows.extend(load::ACTS.iter().map(|act| ("W7", act.name, act.source, "refused at start".to_owned())));
    rows.extend(more::ACTS.iter().map(|(row, name, guest, what)| (*row, *name, *guest, (*what).to_owned())));
    rows.sort_by_key(|row| row.0);
    let mut text = "| family | act | guest | what becomes of it |\n|---|---|---|---|\n".to_owned();
    for (row, name, guest, what) in rows {
        // A `String` takes everything.
        let _ = writeln!(text, "| {row} | {} | `{guest}` | {what} |", name.replace('_', " "));
    }
    text
}

/// With `GATELODGE_BLESS=1` the table is written; else it has to be the one that the tests are made of.
#[test]
fn the_page_tells_each_act() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-safety.md");
    let page = fs::read_to_string(&path).expect("the page is part of the repository");
    let (before, rest) = page.split_once(MARKS[0]).expect("the table has a beginning");
    let (table, after) = rest.split_once(MARKS[1]).expect("the table has an end");
    if std::env::var_os("GATELODGE_BLESS").is_some_and(|value| value == "1") {
        let text = [before, MARKS[0], &written(), MARKS[1], after].concat();
        fs::write(&path, text).expect("the repository is the developer's");
    } else {
        assert_eq!(table, written(), "GATELODGE_BLESS=1 tests/hostile.sh writes it anew");
    }
}
