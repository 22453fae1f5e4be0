//! Start, environment and readiness.

use crate::harness::{House, alive, eventually, get};
use gatelodge_process::{Section, StopOutcome};
use std::time::{Duration, Instant};
use wire::ports::BackendSignal;

/// L01: no request, no process.
#[tokio::test]
async fn nothing_runs_before_the_first_request() {
    let mut house = House::new("");
    let report = house.stop().await;
    assert_eq!(report.outcome, StopOutcome::NothingRan);
    assert!(house.record().all("pid").is_empty());
}

/// L02, L03: any number of first requests start one process, and are answered.
#[tokio::test]
async fn many_wakes_start_one_process() {
    let mut house = House::new("");
    for _ in 0..20 {
        house.signal(BackendSignal::Wake).await;
    }
    let paired = house.up().await;
    assert!(get(&paired, "/hello").await.unwrap().ends_with("/hello"));
    house.stop().await;
    assert_eq!(house.record().all("pid").len(), 1);
    assert_eq!(house.ids(), [1001, 1006, 1030]);
}

/// L04, L07, L17: directory, arguments and environment as promised.
#[tokio::test]
async fn the_backend_gets_what_it_was_promised() {
    let mut house = House::with(r#"one "two three" .\App.dll %ASPNETCORE_PORT%"#, |s| {
        s.app_path = "/app".into();
        s.variables = vec![("LONG".into(), "x".repeat(10_000)), ("URLS".into(), "http://x:%ASPNETCORE_PORT%".into())];
    });
    let paired = house.up().await;
    let port = paired.addr.port().to_string();
    let record = house.record();
    assert_eq!(record.all("arg").get(2..).unwrap(), ["one", "two three", "./App.dll", &port]);
    assert_eq!(record.all("cwd"), [house.dir.path().to_str().unwrap()]);
    let token = String::from_utf8(paired.token.reveal().to_vec()).unwrap();
    for (name, expected) in [
        ("ASPNETCORE_PORT", port.as_str()),
        ("ASPNETCORE_APPL_PATH", "/app"),
        ("ASPNETCORE_TOKEN", &token),
        ("ASPNETCORE_IIS_HTTPAUTH", "anonymous;"),
        ("ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED", "true"),
        ("LONG", &"x".repeat(10_000)),
        ("URLS", &format!("http://x:{port}")),
        ("PATH", "/usr/bin:/bin"),
    ] {
        assert_eq!(record.env(name), [expected], "{name}");
    }
    // Nothing of the test's own environment is there.
    assert!(record.env("CARGO_MANIFEST_DIR").is_empty());
    assert!(!house.told().contains(&token));
    house.stop().await;
}

/// L18, L19: its own names with the same port in all places, and no paired stop request.
#[tokio::test]
async fn http_platform_has_its_own_names() {
    let mut house = House::with("--port %HTTP_PLATFORM_PORT%", |s| {
        s.section = Section::HttpPlatform;
        s.variables = vec![("PORT".into(), "%HTTP_PLATFORM_PORT%".into())];
    });
    let paired = house.up().await;
    let port = paired.addr.port().to_string();
    let record = house.record();
    assert_eq!(record.all("arg").last(), Some(&port.as_str()));
    assert_eq!(record.env("PORT"), [port.as_str()]);
    assert_eq!(record.env("HTTP_PLATFORM_PORT"), [port.as_str()]);
    assert!(!record.all("env").iter().any(|e| e.starts_with("ASPNETCORE_")));
    let stopped = house.stop().await;
    // No paired request: the signal is enough.
    assert!(house.record().all("request").is_empty());
    assert!(matches!(stopped.outcome, StopOutcome::Ended(_)), "{stopped:?}");
    assert_eq!(house.ids(), [1001, 1030]);
}

/// L08, L11: the configured port and token are used.
#[tokio::test]
async fn a_configured_port_and_token_are_used() {
    // Free a moment ago; nobody else takes it while the test runs, or it fails loudly.
    let port = loop {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if (1025..=48000).contains(&free) {
            break free;
        }
    };
    let mut house = House::with("", |s| {
        s.variables =
            vec![("ASPNETCORE_PORT".into(), port.to_string()), ("ASPNETCORE_TOKEN".into(), "fixed-token".into())];
    });
    let paired = house.up().await;
    assert_eq!(paired.addr.port(), port);
    assert!(paired.token.matches(b"fixed-token"));
    house.stop().await;
}

#[tokio::test]
async fn both_families_and_all_addresses_are_ready() {
    for (address, expected) in [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "::1"), ("[::]", "::1")]
    {
        if std::net::TcpListener::bind(format!("{address}:0")).is_err() {
            continue;
        }
        let mut house = House::new(&format!("address={address}"));
        let paired = house.up().await;
        assert_eq!(paired.addr.ip().to_string(), expected, "{address}");
        assert!(get(&paired, "/x").await.unwrap().contains("200 OK"));
        house.stop().await;
    }
}

#[tokio::test]
async fn a_late_listener_is_waited_for() {
    let mut house = House::new("delay-ms=700");
    let before = Instant::now();
    house.up().await;
    assert!(before.elapsed() >= Duration::from_millis(700));
    house.stop().await;
}

#[tokio::test]
async fn a_crash_is_seen_and_the_next_request_starts_again() {
    let mut house = House::new("");
    let first = house.up().await;
    let (pid, _) = house.pids();
    assert!(get(&first, "/crash").await.is_ok_and(|a| a.is_empty()) || !alive(pid));
    house.idle().await;
    // The end is told when the whole tree is gone; a start does not wait for that.
    eventually("old process gone", Duration::from_secs(2), || !alive(pid) && house.ids().contains(&1030)).await;
    assert_eq!(house.record().all("pid").len(), 1, "no start without a request");
    let second = house.up().await;
    assert_eq!((first.start, second.start), (1, 2));
    assert!(!second.token.matches(first.token.reveal()));
    assert_ne!(first.addr.port(), second.addr.port());
    house.stop().await;
    assert_eq!(house.ids(), [1001, 1030, 1001, 1006, 1030]);
    assert!(house.told().contains("Signal(6)"));
}

#[tokio::test]
async fn a_suspicion_alone_kills_nobody() {
    let mut house = House::new("");
    let paired = house.up().await;
    house.signal(BackendSignal::Suspect { start: paired.start }).await;
    house.signal(BackendSignal::Suspect { start: 99 }).await;
    assert!(get(&paired, "/x").await.unwrap().contains("200 OK"));
    house.stop().await;
    assert_eq!(house.record().all("pid").len(), 1);
    assert_eq!(house.ids(), [1001, 1006, 1030]);
}
