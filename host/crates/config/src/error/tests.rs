use super::{PROBLEMS_MAX, Problem, Problems, Report, Severity, nearest};
use crate::source::Source;

#[test]
fn problems_are_sorted_by_file_then_place_and_shown_safely() {
    let problem = |file: &str, line, column, severity, what: &str, help: Option<&str>| Problem {
        severity,
        file: file.to_owned(),
        line,
        column,
        what: what.to_owned(),
        help: help.map(str::to_owned),
    };
    let problems = Problems::new(vec![
        problem("b", 2, 1, Severity::Warning, "late", None),
        problem("a", 1, 1, Severity::Error, "esc \u{1b}[2J", Some("one\ntwo")),
        problem("b", 1, 9, Severity::Warning, "warning", None),
        problem("b", 1, 9, Severity::Error, "error", None),
        problem("--plugin x\n.wasm", 0, 0, Severity::Error, "no such file", Some("help")),
    ]);
    let expected = "b:1:9: error: error\nb:1:9: warning: warning\nb:2:1: warning: late\n\
                    a:1:1: error: esc \\u{1b}[2J\n    one\n    two\n\
                    --plugin x\\n.wasm: error: no such file\n    help\n";
    assert_eq!(problems.to_string(), expected);
    assert!(problems.refuses());
    assert_eq!((problems.errors().count(), problems.warnings().count()), (3, 2));
}

#[test]
fn problems_are_json_for_machines() {
    let source = Source::index("web.config", "x".to_owned());
    let mut report = Report::new(&source);
    report.error(0, "what", "help");
    report.warn(1, "then", "");
    let json = serde_json::to_value(Problems::new(report.finish())).expect("problems are plain data");
    let expected = serde_json::json!([
        { "severity": "error", "file": "web.config", "line": 1, "column": 1, "what": "what", "help": "help" },
        { "severity": "warning", "file": "web.config", "line": 1, "column": 2, "what": "then", "help": null },
    ]);
    assert_eq!(json, expected);
    let file = "--listen".to_owned();
    let problem = Problem { severity: Severity::Error, file, line: 0, column: 0, what: "what".to_owned(), help: None };
    let expected = serde_json::json!(
        { "severity": "error", "file": "--listen", "line": null, "column": null, "what": "what", "help": null }
    );
    assert_eq!(serde_json::to_value(problem).expect("problems are plain data"), expected);
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let source = Source::index("f", "x".to_owned());
    for (count, kept) in [(PROBLEMS_MAX, PROBLEMS_MAX), (PROBLEMS_MAX + 1, PROBLEMS_MAX + 1), (1000, PROBLEMS_MAX + 1)]
    {
        let mut report = Report::new(&source);
        for _ in 0..count {
            report.warn(0, "w", "");
        }
        for _ in 0..count {
            report.error(0, "e", "");
        }
        let problems = Problems::new(report.finish());
        assert_eq!(problems.errors().count(), kept, "{count}");
        assert_eq!(problems.warnings().count(), count.min(PROBLEMS_MAX), "{count}");
        let told = problems.to_string().contains(&format!("{} more problems", count - PROBLEMS_MAX));
        assert_eq!(told, count > PROBLEMS_MAX);
    }
}

#[test]
fn the_nearest_name_is_near() {
    let known = ["processPath", "arguments", "startupTimeLimit", "stdoutLogEnabled", "stdoutLogFile"];
    let table = [
        ("procesPath", Some("processPath")),
        ("PROCESSPATH", Some("processPath")),
        ("args", None),
        ("argument", Some("arguments")),
        ("startUpTimeLimit", Some("startupTimeLimit")),
        ("stdoutLog", Some("stdoutLogFile")),
        ("xyz", None),
        ("", None),
    ];
    for (wrong, expected) in table {
        assert_eq!(nearest(wrong, known), expected, "{wrong}");
    }
    assert_eq!(nearest(&"a".repeat(65), ["a"]), None, "very long names are not compared");
}
