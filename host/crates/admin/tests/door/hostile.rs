//! Bytes of a hostile peer, each followed by an honest request that is served.

use crate::support::{HEALTH, Host, Mood, SOON, rest};
use gatelodge_admin::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// One seat: whoever does not give it back keeps everybody out.
fn limits() -> Limits {
    Limits { connections_max: 1, deadline: Duration::from_millis(500), ..Limits::default() }
}

#[tokio::test]
async fn bytes_that_are_no_request_get_400_or_the_door() {
    let mut host = Host::start(Mood::Prompt, limits());
    let secret = host.order("/stop", "");
    // A TLS 1.2 client hello, up to its random bytes.
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03RANDOMRANDOMRANDOMRANDOM";
    let huge = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Huge: {}\r\n\r\n", "h".repeat(1 << 20));
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "p".repeat(1 << 17));
    let many = format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    let endless = "x".repeat(1 << 20);
    let two_lengths = secret.replace("\r\n\r\n", "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
    let bad_length = secret.replace("\r\n\r\n", "\r\nContent-Length: -1\r\n\r\n");
    let bad_chunk = secret.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    let gzip = secret.replace("\r\n\r\n", "\r\nTransfer-Encoding: gzip\r\n\r\n");
    let cases: [(&str, &[u8], &[&str]); 17] = [
        ("garbage", b"\x00\xff\x80garbage\r\n\r\n", &["400"]),
        ("TLS", hello, &["400"]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[""]),
        ("no version", b"GET /health\r\n\r\n", &["400"]),
        ("version 9", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", &["400"]),
        ("space in a name", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", &["400"]),
        ("NUL in a value", b"GET /health HTTP/1.1\r\nHost: local\0host\r\n\r\n", &["400"]),
        ("another server", b"GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\n\r\n", &["400"]),
        ("a tunnel", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", &["400"]),
        ("huge field", huge.as_bytes(), &["431", ""]),
        ("long target", long_target.as_bytes(), &["414", "431", ""]),
        ("many fields", many.as_bytes(), &["431"]),
        ("endless line", endless.as_bytes(), &["431", ""]),
        ("two lengths", two_lengths.as_bytes(), &["400"]),
        ("bad length", bad_length.as_bytes(), &["400"]),
        ("bad chunk", bad_chunk.as_bytes(), &["400"]),
        ("unknown coding", gzip.as_bytes(), &["400"]),
    ];
    for (name, bytes, statuses) in cases {
        let answer = host.exchange(bytes).await;
        let status = answer.strip_prefix("HTTP/1.1 ").map_or("", |rest| &rest[..3]);
        assert!(statuses.contains(&status), "{name}: {answer:?}");
        assert!(host.orders.try_recv().is_err(), "{name}");
        host.is_healthy().await;
    }
    host.end().await;
}

#[tokio::test]
async fn of_pipelined_requests_the_first_is_answered_and_the_rest_is_not_read() {
    let mut host = Host::start(Mood::Prompt, limits());
    let answer = host.exchange(format!("{HEALTH}{}{HEALTH}", host.order("/stop", ""))).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // Nor can a body hide one.
    let hidden = host.order("/stop", "");
    let fields = format!("Content-Length: {}\r\n", hidden.len());
    let answer = host.exchange(format!("{HEALTH}{}{hidden}", host.order("/status", &fields))).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    host.is_healthy().await;
    assert!(host.orders.try_recv().is_err());
}

#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline() {
    let host = Host::start(Mood::Prompt, limits());
    for start in ["", "GET /health HTTP/1.1\r\nX-Slow: ", &host.order("/stop", "Content-Length: 9999\r\n")] {
        let started = Instant::now();
        let mut peer = host.connect().await;
        peer.write_all(start.as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        // Each pause of the drip waits for the host to lose its patience.
        while timeout(Duration::from_millis(20), peer.read(&mut answer)).await.is_err() {
            assert!(started.elapsed() < SOON, "{start:?}");
            if peer.write_all(b"x").await.is_err() {
                break;
            }
        }
        assert!(started.elapsed() >= limits().deadline, "{start:?}");
        host.is_healthy().await;
    }
}

#[tokio::test]
async fn who_closes_one_half_or_all_frees_the_seat_at_once() {
    // With this deadline a seat that is not given back is missed.
    let patient = Limits { connections_max: 1, deadline: 10 * SOON, ..Limits::default() };
    let mut host = Host::start(Mood::Prompt, patient);
    let reload = host.order("/reload", "");
    let unfinished = host.order("/stop", "Content-Length: 5\r\n");
    for (bytes, is_started) in [("", false), ("GET /hea", false), (unfinished.as_str(), false), (&reload, true)] {
        for only_half in [true, false] {
            let mut peer = host.connect().await;
            peer.write_all(bytes.as_bytes()).await.unwrap();
            if is_started {
                assert_eq!(host.orders.recv().await, Some("reload"));
            }
            if only_half {
                peer.shutdown().await.unwrap();
                let answer = rest(peer).await;
                assert!(!answer.starts_with("HTTP/1.1 2"), "{bytes:?}: {answer:?}");
            } else {
                drop(peer);
            }
            host.is_healthy().await;
        }
    }
    assert!(host.orders.try_recv().is_err());
}

#[tokio::test]
async fn strangers_on_every_seat_keep_it_for_a_deadline_only() {
    let host = Host::start(Mood::Prompt, Limits { connections_max: 4, ..limits() });
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(host.connect().await);
    }
    host.is_healthy().await;
    for peer in silent {
        assert_eq!(rest(peer).await, "");
    }
}
