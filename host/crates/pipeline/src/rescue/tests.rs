use super::{answer, status};
use crate::page::Status;
use http::{HeaderValue, header};
use std::sync::Arc;
use std::time::Duration;
use wire::{ConnFacts, Fault, Kind, NotFound, PluginFault, RequestId, Scheme, StartFailure, StartReport};

fn conn(client: &str) -> ConnFacts {
    ConnFacts::new(client.parse().expect("an address"), ([127, 0, 0, 1], 80).into(), Scheme::Http, false)
}

fn report(failure: StartFailure) -> StartReport {
    StartReport {
        failure,
        summary: "The process exited with code 3 before it listened on port 23456.".into(),
        command: "dotnet ./App.dll <x>".into(),
        directory: "/site".into(),
        ended: Some("exit code 3".into()),
        port: Some(23456),
        attempts: 2,
        elapsed: Duration::from_millis(120),
        last_lines: vec!["boom & <bang>".into()],
        retry_after: (failure == StartFailure::BackingOff).then_some(Duration::from_millis(2500)),
        development: false,
        show_page: true,
    }
}

#[test]
fn every_kind_has_its_status() {
    let start = |failure| Kind::StartFailed(Arc::new(report(failure)));
    let hidden = StartReport { show_page: false, ..report(StartFailure::Exited) };
    let rows: Vec<(Kind, Status)> = vec![
        (Kind::BadRequest("x"), Status(400, 0)),
        (Kind::NotFound(NotFound::HiddenSegment), Status(404, 8)),
        (Kind::NotFound(NotFound::NoHandler), Status(404, 4)),
        (Kind::MethodNotAllowed("GET".into()), Status(405, 0)),
        (Kind::AccessDenied(2), Status(403, 2)),
        (Kind::RequestTimeout, Status(408, 0)),
        (Kind::BodyTooLarge(1), Status(413, 1)),
        (Kind::TargetTooLong, Status(414, 0)),
        (Kind::ExpectationFailed, Status(417, 0)),
        (Kind::HeadTooLarge, Status(431, 0)),
        (Kind::NotImplemented("x"), Status(501, 0)),
        (Kind::VersionNotSupported, Status(505, 0)),
        (start(StartFailure::Exited), Status(502, 5)),
        (Kind::StartFailed(Arc::new(hidden)), Status(502, 3)),
        (start(StartFailure::BackingOff), Status(503, 0)),
        (Kind::ConnectFailed, Status(502, 3)),
        (Kind::BackendGone, Status(502, 3)),
        (Kind::BadResponse("x"), Status(502, 3)),
        (Kind::Truncated, Status(502, 3)),
        (Kind::BackendTimeout("first byte", Duration::from_secs(1)), Status(504, 0)),
        (Kind::Plugin("p".into(), PluginFault::Trap), Status(500, 0)),
        (Kind::Plugin("p".into(), PluginFault::Configure), Status(503, 0)),
        (Kind::Plugin("p".into(), PluginFault::HeldBack), Status(503, 0)),
        (Kind::QueueFull, Status(503, 2)),
        (Kind::Stopping, Status(503, 0)),
        (Kind::Internal("x"), Status(500, 0)),
    ];
    for (kind, wanted) in rows {
        assert_eq!(status(&kind), wanted, "{kind:?}");
    }
}

fn page(fault: &Fault, client: &str, accept: &'static str) -> String {
    let rescued = answer(fault, &conn(client), Some(&HeaderValue::from_static(accept)), RequestId::new(1, 7));
    String::from_utf8(rescued.body.to_vec()).expect("UTF-8")
}

#[test]
fn details_of_a_failed_start_are_for_loopback_and_development() {
    let fault = Fault::new(Kind::StartFailed(Arc::new(report(StartFailure::Exited))));
    let near = page(&fault, "127.0.0.1:5", "text/html");
    for part in [
        "502.5 Bad Gateway",
        "exited with code 3",
        "boom &amp; &lt;bang&gt;",
        "./App.dll &lt;x&gt;",
        "23456",
        "request 1-7",
    ] {
        assert!(near.contains(part), "{part} in {near}");
    }
    let far = page(&fault, "203.0.113.7:5", "text/html");
    for part in ["code 3", "boom", "App.dll", "23456", "/site"] {
        assert!(!far.contains(part), "{part} in {far}");
    }
    let development = StartReport { development: true, ..report(StartFailure::Exited) };
    let shown = page(&Fault::new(Kind::StartFailed(Arc::new(development))), "203.0.113.7:5", "text/html");
    assert!(shown.contains("boom"));
}

#[test]
fn a_page_has_the_style_that_the_client_asks_for() {
    let fault = Fault::new(Kind::StartFailed(Arc::new(report(StartFailure::Exited))));
    let json: serde_json::Value = serde_json::from_str(&page(&fault, "[::1]:5", "application/json")).expect("JSON");
    assert_eq!((json["status"].as_u64(), json["sub_status"].as_u64()), (Some(502), Some(5)));
    assert_eq!(json["last_output"][0].as_str(), Some("boom & <bang>"));
    assert_eq!(json["ended_with"].as_str(), Some("exit code 3"));
    for (accept, starts) in [
        ("text/html,application/json", "<!doctype html>"),
        ("application/problem+json", "{"),
        ("*/*", "502.5 Bad Gateway\n"),
        ("image/png", "502.5 Bad Gateway\n"),
    ] {
        assert!(page(&fault, "127.0.0.1:5", accept).starts_with(starts), "{accept}");
    }
}

#[test]
fn a_turned_off_page_is_empty_and_a_back_off_says_when() {
    let hidden = StartReport { show_page: false, ..report(StartFailure::Exited) };
    assert_eq!(page(&Fault::new(Kind::StartFailed(Arc::new(hidden))), "127.0.0.1:5", "text/html"), "");
    let waits = Fault::new(Kind::StartFailed(Arc::new(report(StartFailure::BackingOff))));
    let rescued = answer(&waits, &conn("203.0.113.7:5"), None, RequestId(1));
    assert_eq!(rescued.head.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()), Some("3"));
    let held_back = Fault::new(Kind::Plugin("auth".into(), PluginFault::HeldBack));
    let rescued = answer(&held_back, &conn("203.0.113.7:5"), None, RequestId(1));
    assert_eq!(rescued.head.headers.get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()), Some("1"));
}

#[test]
fn a_plugin_is_named_to_loopback_clients_only() {
    let fault = Fault::new(Kind::Plugin("auth".into(), PluginFault::Deadline)).with_detail("loop in handle");
    let near = page(&fault, "127.0.0.1:5", "text/plain");
    assert!(near.contains("plugin: auth") && near.contains("fault: deadline") && near.contains("loop in handle"));
    let far = page(&fault, "203.0.113.7:5", "text/plain");
    assert!(!far.contains("plugin: auth") && !far.contains("deadline") && !far.contains("loop in handle"), "{far}");
    // Whom a trusted proxy on this machine speaks for may be anyone.
    let local = ([127, 0, 0, 1], 80).into();
    let proxied = ConnFacts::new(([127, 0, 0, 1], 5).into(), local, Scheme::Http, true);
    let rescued = answer(&fault, &proxied, None, RequestId(1));
    let text = String::from_utf8_lossy(&rescued.body).into_owned();
    assert!(!text.contains("auth") && !text.contains("deadline"), "{text}");
}

#[test]
fn a_413_names_the_limit_and_its_setting() {
    let text = page(&Fault::new(Kind::BodyTooLarge(30_000_000)), "203.0.113.7:5", "text/plain");
    assert!(text.contains("30000000 bytes") && text.contains("maxAllowedContentLength"), "{text}");
}
