//! What the battery measured, and the table of the documentation.

use super::act::{Act, Answer};
use super::{load, more, table};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lines between which the table of acts stands.
const ACTS: [&str; 2] = ["<!-- acts: begin -->\n", "<!-- acts: end -->\n"];
/// The lines between which the table of what was measured stands.
const FIGURES: [&str; 2] = ["<!-- figures: begin -->\n", "<!-- figures: end -->\n"];
/// Families whose acts are measured.
const MEASURED: [&str; 6] = ["W1", "W2", "W3", "W4", "W8", "W9"];

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

/// What the acts of each family came to in the run whose rows lie in the target directory.
fn measured() -> String {
    let files = fs::read_dir(folder()).expect("the battery has run").flatten();
    let rows: Vec<String> = files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    let mut text =
        "| family | acts, both isolations | to its end, ms, longest | others' p99 beside it, ms, median and longest \
                    | with nobody hostile, ms, median |\n|---|---|---|---|---|\n"
            .to_owned();
    for family in MEASURED {
        let numbers = |column: usize| {
            let of_family = rows.iter().filter(|row| row.starts_with(&format!("| {family} |")));
            let mut numbers: Vec<f64> =
                of_family.filter_map(|row| row.split('|').nth(column)?.trim().parse().ok()).collect();
            numbers.sort_by(f64::total_cmp);
            numbers
        };
        let (took, beside, quiet) = (numbers(5), numbers(6), numbers(7));
        let median = |numbers: &[f64]| numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN);
        let last = |numbers: &[f64]| numbers.last().copied().unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "| {family} | {} | {:.1} | {:.1}, {:.1} | {:.1} |",
            took.len(),
            last(&took),
            median(&beside),
            last(&beside),
            median(&quiet)
        );
    }
    text
}

/// Splits the page at a table: before, the table, after.
fn split<'p>(page: &'p str, marks: [&str; 2]) -> (&'p str, &'p str, &'p str) {
    let (before, rest) = page.split_once(marks[0]).expect("the table has a beginning");
    let (table, after) = rest.split_once(marks[1]).expect("the table has an end");
    (before, table, after)
}

/// With `GATELODGE_BLESS=1` the tables are written; else the one of acts has to be what the tests are made
/// of, and the one of figures has each family.
#[test]
fn the_page_tells_each_act() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugin-safety.md");
    let page = fs::read_to_string(&path).expect("the page is part of the repository");
    if std::env::var_os("GATELODGE_BLESS").is_some_and(|value| value == "1") {
        let (before, _, after) = split(&page, ACTS);
        let page = [before, ACTS[0], &written(), ACTS[1], after].concat();
        let (before, _, after) = split(&page, FIGURES);
        let page = [before, FIGURES[0], &measured(), FIGURES[1], after].concat();
        fs::write(&path, page).expect("the repository is the developer's");
        return;
    }
    assert_eq!(split(&page, ACTS).1, written(), "GATELODGE_BLESS=1 tests/hostile.sh writes it anew");
    let (_, figures, _) = split(&page, FIGURES);
    for family in MEASURED {
        assert!(figures.contains(&format!("| {family} |")), "{family} has no figures");
    }
}
