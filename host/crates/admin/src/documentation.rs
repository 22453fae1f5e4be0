//! What docs/admin.md says is what this room does.

use crate::server::{ACCEPT_PAUSE, Limits};
use crate::status::StatusPage;
use crate::{client, prometheus, table};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).unwrap().replace("\r\n", "\n")
}

fn page() -> String {
    file("../../../docs/admin.md")
}

/// The page that stands in the document: something in every field, and nothing that an editor would hide.
fn example() -> StatusPage {
    let mut page = table::sample();
    page.app.last_lines.truncate(1);
    page
}

fn holds(text: &str) {
    assert!(page().contains(text), "docs/admin.md lacks this as it stands:\n{text}");
}

#[test]
fn both_examples_of_a_status_are_real() {
    holds(&format!("```text\n{}```\n", table::render(&example())));
    holds(&format!("```json\n{}\n```\n", serde_json::to_string_pretty(&example()).unwrap()));
}

#[test]
fn each_field_of_a_status_is_explained() {
    fn keys(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields.iter().filter(|(key, _)| !key.starts_with("host_")) {
                    found.insert(key.clone());
                    keys(value, found);
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    keys(&serde_json::to_value(example()).unwrap(), &mut found);
    assert!(found.len() > 40, "{found:?}");
    let page = page();
    let fields = page.split("| field | is |").nth(1).unwrap().split("\n\n").next().unwrap();
    for key in found.iter().filter(|key| *key != "app") {
        assert!(fields.contains(&format!("`{key}`")) || fields.contains(&format!(".{key}`")), "`{key}`");
    }
}

/// The metrics page's families as a table: name with labels, kind, help.
fn metrics_table() -> String {
    let mut status = example();
    status.counters.clear();
    let text = prometheus::render(&status, &[]);
    let mut table = "| metric | kind | is |\n|---|---|---|\n".to_owned();
    let mut help = "";
    for line in text.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ').unwrap().1;
        } else if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            let sample = text.lines().find(|line| line.split(['{', ' ']).next() == Some(name)).unwrap();
            // Labels are `name="value"`, and no value of the example has a quote.
            let labels: Vec<&str> = match sample.split_once('{') {
                Some((_, labels)) => labels
                    .split("=\"")
                    .map(|part| part.rsplit(',').next().unwrap())
                    .filter(|l| !l.contains('"'))
                    .collect(),
                None => Vec::new(),
            };
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(", ")) };
            writeln!(table, "| `{name}{labels}` | {kind} | {help} |").unwrap();
        }
    }
    table
}

#[test]
fn the_table_of_metrics_is_the_generated_one() {
    let table = metrics_table();
    assert!(table.contains("\n| `gatelodge_instance_state{instance, start, state}` | gauge | 1 for"), "{table}");
    holds(&format!("\n\n{table}\n"));
}

#[test]
fn what_the_host_adds_to_the_metrics_is_documented() {
    let (page, source) = (page(), file("../../src/status/metrics.rs"));
    let names: BTreeSet<&str> =
        source.split('"').filter(|text| text.starts_with("gatelodge_") && !text.contains('{')).collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "`{name}`");
    }
}

/// Every sentence that stands behind a status in the sources, with its number.
#[test]
fn every_refusal_is_documented() {
    let page = page();
    let mut seen = 0;
    for source in [include_str!("connection.rs"), include_str!("guard.rs"), include_str!("answer.rs")] {
        for after in source.split("StatusCode::").skip(1) {
            let (name, rest) = after.split_at(after.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap());
            let Some(text) = rest.strip_prefix(", \"").and_then(|rest| rest.split('"').next()) else { continue };
            let status = match name {
                // An order that went well.
                "ACCEPTED" => continue,
                "BAD_REQUEST" => 400,
                "UNAUTHORIZED" => 401,
                "FORBIDDEN" => 403,
                "REQUEST_TIMEOUT" => 408,
                "PAYLOAD_TOO_LARGE" => 413,
                "REQUEST_HEADER_FIELDS_TOO_LARGE" => 431,
                "INTERNAL_SERVER_ERROR" => 500,
                "SERVICE_UNAVAILABLE" => 503,
                "GATEWAY_TIMEOUT" => 504,
                _ => panic!("a status that the document does not know: {name}"),
            };
            assert!(page.contains(&format!("\n| {status} | {text} | ")), "{status} {text}");
            seen += 1;
        }
    }
    assert_eq!(
        seen,
        page.matches("\n| 4").count() + page.matches("\n| 5").count() - 3,
        "404, 405 and 409 have no sentence of their own"
    );
}

#[test]
fn every_path_and_every_limit_is_documented() {
    for path in crate::route::paths() {
        holds(&format!("\n| `{path}` | "));
    }
    let limits = Limits::default();
    let seconds = limits.deadline.as_secs();
    for line in [
        format!("connections at once | {}", limits.connections_max),
        format!("reloads at once | {}", limits.reloads_max),
        format!("head of a request | {} KiB", limits.head_bytes_max / 1024),
        format!("body of an order | {} KiB", limits.body_bytes_max / 1024),
        format!("time for the head | {seconds} s"),
        format!("time for the body | {seconds} s"),
        format!("time for an answer other than a reload's | {seconds} s"),
        format!("time for the peer to take the answer | {seconds} s"),
        format!("time for running answers at the host's stop | {} s", limits.drain_limit.as_secs()),
    ] {
        holds(&format!("\n| {line} | "));
    }
    holds(&format!("for example | {} ms | ", ACCEPT_PAUSE.as_millis()));
    holds(&format!("At most {} hosts of one application", crate::slot::SLOTS_MAX));
    let client = client::CONNECT_LIMIT.as_secs();
    let (answer, bytes) = (client::ANSWER_LIMIT.as_secs(), client::ANSWER_BYTES_MAX >> 20);
    holds(&format!(
        "wait {client} s for a connection and {answer} s for an answer other than a reload's, and read {bytes} MiB"
    ));
}
