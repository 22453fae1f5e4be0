//! How replies and connections end.

use crate::support::{Site, read, with, within};
use gatelodge_edge::EdgeSettings;

fn run<F: Future<Output = ()>>(test: impl FnOnce(Site) -> F) {
    with(EdgeSettings::default(), test);
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

#[test]
fn replies_keep_the_rules_of_framing() {
    run(|site| async move {
        for (method, path, status, length, body) in [
            ("GET", "/ping", 200, Some("4"), "pong"),
            ("HEAD", "/ping", 200, Some("4"), ""),
            ("GET", "/stream", 200, None, "part whole"),
            ("HEAD", "/stream", 200, None, ""),
            ("GET", "/204", 204, None, ""),
            ("GET", "/304", 304, Some("4"), ""),
            ("HEAD", "/big", 200, Some("33554432"), ""),
            ("GET", "/long", 200, Some("4"), "part"),
            ("GET", "/coded", 200, None, "part"),
        ] {
            let mut client = site.connect().await;
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
            let answer = client.answer_to(method).await;
            assert_eq!((answer.status, answer.body.as_str()), (status, body), "{method} {path}");
            let sent = answer.head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(sent, length, "{method} {path}");
            assert!(!answer.head.contains("gzip") && !answer.head.contains("\r\nserver: "), "{answer:?}");
            assert_eq!(answer.head.matches("\r\ndate: ").count(), 1, "{answer:?}");
            client.send(&get("/ping")).await;
            assert_eq!(client.answer().await.status, 200, "kept open after {method} {path}");
        }
    });
}

#[test]
fn reasons_and_closes_are_passed_on() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(&get("/reason")).await;
        assert!(client.answer().await.head.starts_with("HTTP/1.1 200 Quite Fine\r\n"));
        client.send(&get("/close")).await;
        assert!(client.answer().await.says_close());
        client.assert_closed("asked by the handler").await;

        let mut client = site.connect().await;
        client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(client.answer().await.says_close());
        client.assert_closed("asked by the client").await;

        let mut client = site.connect().await;
        client.send(&get("/103")).await;
        assert_eq!(client.answer().await.status, 500, "no handler may answer with 1xx");
        client.assert_closed("after 1xx").await;
    });
}

#[test]
fn a_broken_reply_is_reset() {
    run(|site| async move {
        for (version, path) in [
            ("1.1", "/broken-chunked"),
            ("1.1", "/broken-length"),
            ("1.1", "/short"),
            ("1.1", "/empty-but-promised"),
            ("1.0", "/broken-chunked"),
            ("1.0", "/broken-length"),
        ] {
            let mut client = site.connect().await;
            client.send(format!("GET {path} HTTP/{version}\r\nHost: x\r\n\r\n").as_bytes()).await;
            assert!(client.is_reset().await, "{path} over HTTP/{version}");
            site.serves_the_next().await;
        }
        assert_eq!(read(&site.counters.broken_replies), 6);
    });
}

#[test]
fn a_handlers_panic_costs_one_connection() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(&get("/panic")).await;
        assert!(client.is_reset().await);
        site.serves_the_next().await;
        assert_eq!(read(&site.counters.panics), 1);
    });
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    run(|site| async move {
        for head in [
            "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /echo-while-waiting HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi",
            "POST /echo-while-waiting HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        ] {
            let mut client = site.connect().await;
            client.send(head.as_bytes()).await;
            within(site.seen.waiting.notified()).await;
            drop(client);
            if head.starts_with("GET") {
                within(site.seen.dropped.notified()).await;
            }
            site.serves_the_next().await;
        }
        while read(&site.counters.closed) < 6 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn an_event_goes_out_at_once_and_the_stream_ends_with_its_client() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(&get("/endless")).await;
        client.until("event").await;
        drop(client);
        within(site.seen.dropped.notified()).await;
        site.serves_the_next().await;
    });
}

#[test]
fn a_refusal_is_not_torn_away_by_what_follows_it() {
    let settings = EdgeSettings { linger_ms_max: 300, linger_bytes_max: 50_000, ..EdgeSettings::default() };
    with(settings, |site| async move {
        let rest = "y".repeat(20_000);
        for (head, status) in [
            ("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n", 401),
            ("POST /../ HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n", 400),
            ("PO{ST / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
            ("\x16\x03\x01", 400),
        ] {
            let before = read(&site.counters.closed);
            let mut client = site.connect().await;
            client.send(format!("{head}{rest}").as_bytes()).await;
            assert_eq!(client.answer().await.status, status, "{head:?}");
            assert!(client.is_listened_to().await, "{head:?}");
            // It listens for a while only.
            while read(&site.counters.closed) == before {
                tokio::task::yield_now().await;
            }
            while client.is_listened_to().await {}
        }
        let mut client = site.connect().await;
        client.send(b"PO{ST / HTTP/1.1\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 400);
        client.assert_closed("refused").await;
        let before = read(&site.counters.closed);
        client.try_send(&[b'y'; 60_000]).await;
        while read(&site.counters.closed) == before {
            tokio::task::yield_now().await;
        }
        while client.is_listened_to().await {}
    });
}

#[test]
fn large_replies_wait_for_a_slow_reader() {
    run(|site| async move {
        for upgrade in ["", "Upgrade: h2c\r\nConnection: upgrade, close\r\n"] {
            let mut client = site.connect_with(|socket| socket.set_recv_buffer_size(4_096).unwrap()).await;
            client.send(format!("GET /big HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n").as_bytes()).await;
            let answer = client.answer().await;
            assert_eq!((answer.whole, answer.body.len()), (true, 32 << 20), "{upgrade:?}");
        }
    });
}
