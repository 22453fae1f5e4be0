use super::describe;
use process::{Ended, Event};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use wire::{StartFailure, StartReport};

fn report() -> StartReport {
    StartReport {
        failure: StartFailure::Exited,
        summary: "The process exited with code 3.".to_owned(),
        command: "dotnet App.dll".to_owned(),
        directory: "/srv/app".to_owned(),
        ended: Some("exit code 3".to_owned()),
        port: Some(4000),
        attempts: 2,
        elapsed: Duration::from_millis(70),
        last_lines: vec!["one".to_owned(), "two".to_owned()],
        retry_after: None,
        development: false,
        show_page: true,
    }
}

fn all() -> Vec<Event> {
    let ended = Some(Ended::Code(3));
    vec![
        Event::Starting { start: 1, attempt: 1 },
        Event::AttemptFailed {
            start: 1,
            attempt: 1,
            failure: StartFailure::Exited,
            summary: "s".to_owned(),
            command: "c".to_owned(),
            port: Some(4000),
            ended,
            last_lines: vec!["boom".to_owned()],
            retry: true,
        },
        Event::Ready { start: 1, pid: 2, listening_pid: 3, port: 4000, elapsed: Duration::from_millis(5) },
        Event::TooManyCrashes { crashes: 11, retry_after: Duration::from_secs(9) },
        Event::OutputLogFailed { path: "/srv/app/logs".into(), reason: "full".to_owned() },
        Event::Killed { pid: 2, limit: Duration::from_secs(10) },
        Event::StopRequested { pid: 2, status: Some(202) },
        Event::TerminationSent { pid: 2 },
        Event::StartFailed { report: Arc::new(report()) },
        Event::Ended { pid: 2, port: 4000, ended, asked: true },
        Event::Ended { pid: 2, port: 4000, ended, asked: false },
    ]
}

#[test]
fn every_event_has_a_name_of_its_own_and_plain_fields() {
    // What may be told of a process; anything else is looked at before it is added.
    let known = [
        "attempt",
        "attempts",
        "command",
        "crashes",
        "directory",
        "elapsed_ms",
        "ended",
        "last_output",
        "limit_ms",
        "listening_pid",
        "path",
        "pid",
        "port",
        "reason",
        "retry",
        "retry_after_ms",
        "start",
        "status",
    ];
    let mut names = BTreeSet::new();
    for event in all() {
        let (_, name, message, fields) = describe(&event);
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        assert!(names.insert(name), "{name} stands for one thing");
        assert!(!message.is_empty() && !message.contains('\n'), "{name}: {message:?}");
        let mut seen = BTreeSet::new();
        for (field, value) in fields {
            assert!(known.contains(&field.as_str()), "{name}: {field}={value}");
            assert!(seen.insert(field.clone()), "{name}: {field} stands once");
        }
    }
    assert_eq!(names.len(), 11);
}

#[test]
fn a_failed_start_tells_all_of_its_report() {
    let (_, _, message, fields) = describe(&Event::StartFailed { report: Arc::new(report()) });
    assert_eq!(message, "The process exited with code 3.");
    let value = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for (name, expected) in [
        ("reason", "exited"),
        ("command", "dotnet App.dll"),
        ("directory", "/srv/app"),
        ("ended", "exit code 3"),
        ("port", "4000"),
        ("attempts", "2"),
        ("elapsed_ms", "70"),
        ("last_output", "one\ntwo"),
    ] {
        assert_eq!(value(name), Some(expected), "{name}");
    }
}

#[test]
fn a_failed_attempt_tells_what_was_printed() {
    let event = all().into_iter().find(|event| event.id() == 1000).unwrap();
    let (_, name, _, fields) = describe(&event);
    assert_eq!(name, "backend-attempt-failed");
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["start", "attempt", "reason", "command", "ended", "port", "retry", "last_output"]);
    assert_eq!(fields.last().map(|(_, value)| value.as_str()), Some("boom"));
    // The page of events names the same.
    let row =
        include_str!("../../../docs/configuration.md").lines().find(|line| line.contains("`backend-attempt-failed`"));
    let told = row.and_then(|row| row.rsplit(" | ").next()).unwrap_or_default();
    assert_eq!(told.trim_end_matches(" |").replace('`', ""), names.join(", "));
}

#[test]
fn every_reason_of_a_failed_start_is_documented() {
    let page = include_str!("../../../docs/errors.md");
    for failure in [
        StartFailure::NoProgram,
        StartFailure::Exited,
        StartFailure::TimedOut,
        StartFailure::ForeignListener,
        StartFailure::WrongPort,
        StartFailure::NoPort,
        StartFailure::BackingOff,
        StartFailure::System,
    ] {
        let row = format!("\n| `{}` | ", failure.as_str());
        assert!(page.contains(&row), "docs/errors.md lacks a line of {}", failure.as_str());
    }
}
