//! Answers as they come over the wire: what can be asked, limits of size, and a host in trouble.

use crate::support::{HEALTH, Host, Mood, SOON, rest};
use gatelodge_admin::Limits;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn who_is_lost_is_told_the_paths_and_the_methods() {
    let host = Host::start(Mood::Prompt, Limits::default());
    let answer = host.exchange("GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    for field in [
        "content-type: application/json",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    ] {
        assert!(head.lines().any(|line| line == field), "{field} in {head}");
    }
    let paths = r#"["GET /status","GET /metrics","GET /health","POST /reload","POST /stop"]"#;
    assert_eq!(body, format!(r#"{{"error":"there is nothing at this path","paths":{paths}}}"#));
    for (line, allow) in [
        ("POST /status", "GET, HEAD"),
        ("DELETE /metrics", "GET, HEAD"),
        ("OPTIONS /health", "GET, HEAD"),
        ("GET /reload", "POST"),
        ("HEAD /stop", "POST"),
    ] {
        let answer = host.exchange(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{line}: {answer}");
        assert!(answer.contains(&format!("\r\nallow: {allow}\r\n")), "{line}: {answer}");
        let body = format!("{{\"error\":\"this path takes {allow} only\"}}");
        assert_eq!(answer.ends_with(&body), !line.starts_with("HEAD"), "{line}: {answer}");
    }
    host.end().await;
}

#[tokio::test]
async fn a_head_answer_has_no_body_and_the_metrics_are_text() {
    let host = Host::start(Mood::Prompt, Limits::default());
    let answer = host.exchange("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-length: 27\r\n"), "{answer}");
    let answer = host.exchange("GET /metrics?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n# none\n"), "{answer}");
}

/// A request whose head has so many bytes.
fn head_of(bytes: usize, fields: usize) -> String {
    let start = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
    let each = "X-F: v\r\n";
    let room = bytes - start.len() - fields * each.len() - "X-L: \r\n\r\n".len();
    let head = format!("{start}{}X-L: {}\r\n\r\n", each.repeat(fields), "v".repeat(room));
    assert_eq!(head.len(), bytes);
    head
}

#[tokio::test]
async fn a_head_of_sixteen_kibibytes_is_read_and_a_byte_more_is_not() {
    for head_bytes_max in [16 * 1024, 10_000] {
        let host = Host::start(Mood::Prompt, Limits { head_bytes_max, ..Limits::default() });
        let answer = host.exchange(head_of(head_bytes_max, 3)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for bytes in [head_bytes_max + 1, 2 * head_bytes_max] {
            let answer = host.exchange(head_of(bytes, 3)).await;
            assert!(answer.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{bytes}: {answer:?}");
            host.is_healthy().await;
        }
    }
    assert_eq!(Limits::default().head_bytes_max, 16 * 1024);
}

#[tokio::test]
async fn an_order_may_bring_sixty_four_kibibytes_and_not_a_byte_more() {
    let mut host = Host::start(Mood::Prompt, Limits::default());
    let max = 64 * 1024;
    assert_eq!(Limits::default().body_bytes_max, max);
    let whole =
        |bytes: usize| format!("{}{}", host.order("/stop", &format!("Content-Length: {bytes}\r\n")), "b".repeat(bytes));
    let chunks = |bytes: usize| {
        let head = host.order("/stop", "Transfer-Encoding: chunked\r\n");
        let half = bytes / 2;
        format!(
            "{head}{half:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            "c".repeat(half),
            bytes - half,
            "c".repeat(bytes - half)
        )
    };
    let (good, bad) = ([whole(0), whole(max), chunks(max)], [whole(max + 1), chunks(max + 1)]);
    for request in good {
        let answer = host.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
        assert!(answer.ends_with("{\"message\":\"the host stops\"}"), "{answer}");
        assert_eq!(host.orders.recv().await, Some("stop"));
    }
    for request in bad {
        let answer = host.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
        assert!(host.orders.try_recv().is_err());
        host.is_healthy().await;
    }
}

#[tokio::test]
async fn a_host_that_panics_is_a_500_and_the_door_lives_on() {
    for mood in [Mood::Panics, Mood::PanicsLater] {
        let host = Host::start(mood, Limits { connections_max: 1, ..Limits::default() });
        for _ in 0..3 {
            let answer = host.exchange("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
            assert!(answer.ends_with("{\"error\":\"the host failed to answer; its log says more\"}"), "{answer}");
            host.is_healthy().await;
        }
        host.end().await;
    }
}

#[tokio::test]
async fn a_host_that_hangs_is_a_504_and_the_door_lives_on() {
    let deadline = Duration::from_millis(300);
    let host = Host::start(Mood::Hangs, Limits { connections_max: 1, deadline, ..Limits::default() });
    let started = Instant::now();
    let answer = host.exchange("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(started.elapsed() >= deadline);
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("{\"error\":\"the host did not answer in time\"}"), "{answer}");
    host.is_healthy().await;
}

#[tokio::test]
async fn a_stop_cuts_what_outlasts_the_drain_and_refuses_what_comes_after() {
    let limits = Limits { drain_limit: Duration::from_millis(200), ..Limits::default() };
    let mut host = Host::start(Mood::Prompt, limits);
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = host.connect().await;
        peer.write_all(host.order("/reload", "").as_bytes()).await.unwrap();
        assert_eq!(host.orders.recv().await, Some("reload"));
        peers.push(peer);
    }
    let started = Instant::now();
    host.stop.send(()).unwrap();
    host.reloads.add_permits(1);
    let answers = [rest(peers.remove(0)).await, rest(peers.remove(0)).await];
    assert!(answers[0].starts_with("HTTP/1.1 200 OK\r\n"), "{answers:?}");
    assert_eq!(answers[1], "", "a reload that never ends is cut");
    timeout(SOON, host.task).await.unwrap().unwrap();
    assert!(started.elapsed() >= limits.drain_limit);
    assert!(tokio::net::TcpStream::connect(host.addr).await.is_err());
}

#[tokio::test]
async fn an_order_without_the_secret_never_reaches_the_host() {
    let mut host = Host::start(Mood::Prompt, Limits::default());
    let wrong = format!("Authorization: Bearer {}\r\n", "0".repeat(64));
    for (fields, status) in [
        ("", "401 Unauthorized"),
        (wrong.as_str(), "401 Unauthorized"),
        ("Origin: http://evil.example\r\n", "403 Forbidden"),
    ] {
        let answer = host.exchange(format!("POST /stop HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert_eq!(answer.contains("\r\nwww-authenticate: Bearer\r\n"), status.starts_with("401"), "{answer}");
        assert!(!answer.contains(&host.secret));
    }
    let answer = host.exchange(HEALTH.replace("localhost", "evil.example")).await;
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(host.orders.try_recv().is_err());
    let answer = host.exchange(host.order("/stop", "")).await;
    assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
    assert_eq!(host.orders.recv().await, Some("stop"));
}
