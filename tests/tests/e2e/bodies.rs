//! Bodies: streamed both ways, never gathered, and broken off when a side goes.

use crate::{site, web};
use gatelodge_e2e::{Host, Site};
use std::time::Duration;

/// How much the large bodies have: more than 32 bits can count.
const LARGE_BYTES: u64 = (4 << 30) + 1;

/// Memory that a stream of any length may take: buffers on the way, no more.
const STREAM_BYTES_MAX: u64 = 16 << 20;

fn unlimited() -> Site {
    let limits = r#"<security><requestFiltering><requestLimits maxAllowedContentLength="8589934592" /></requestFiltering></security>"#;
    Site::new(web().beside(limits))
}

#[test]
fn a_large_upload_leaves_memory_flat() {
    let site = unlimited();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let before = host.memory_bytes("VmHWM");
    let mut client = host.client();
    let bytes = LARGE_BYTES;
    client.send(format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n"));
    let piece = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        client.send(&piece[..now]);
        left -= now as u64;
    }
    assert_eq!(client.response().text(), bytes.to_string());
    let after = host.memory_bytes("VmHWM");
    assert!(after < before + STREAM_BYTES_MAX, "{before} -> {after} bytes");
    host.stop(&site);
}

#[test]
fn a_large_download_leaves_memory_flat() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let before = host.memory_bytes("VmHWM");
    let mut client = host.client();
    let bytes = LARGE_BYTES;
    client.send(format!("GET /zeros/{bytes} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let head = client.head();
    assert_eq!(head.value("content-length"), Some(bytes.to_string().as_str()));
    client.skip(bytes);
    assert_eq!(client.get("/next").text(), "ok");
    let after = host.memory_bytes("VmHWM");
    assert!(after < before + STREAM_BYTES_MAX, "{before} -> {after} bytes");
    host.stop(&site);
}

#[test]
fn a_reader_that_stops_holds_the_backend_back() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let before = host.memory_bytes("VmRSS");
    let mut client = host.client();
    client.send(format!("GET /zeros/{} HTTP/1.1\r\nHost: a\r\n\r\n", 1u64 << 30));
    assert_eq!(client.head().status, 200);
    // Meanwhile others are served, and what is not read is not gathered.
    for _ in 0..50 {
        assert_eq!(host.client().get("/next").text(), "ok");
    }
    let after = host.memory_bytes("VmRSS");
    assert!(after < before + STREAM_BYTES_MAX, "{before} -> {after} bytes");
    drop(client);
    host.stop(&site);
}

#[test]
fn events_arrive_one_by_one() {
    let site = site();
    let head = "send HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n";
    let mut script = vec!["read".to_owned(), head.to_owned()];
    for number in 1..=5 {
        script.push(format!("wait event-{number}"));
        script.push(format!("send f\\r\\ndata: event {number}\\n\\n\\r\\n"));
    }
    script.push("send 0\\r\\n\\r\\n".to_owned());
    site.probe().script("events", &script.iter().map(String::as_str).collect::<Vec<_>>());
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /script/events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().value("content-type"), Some("text/event-stream"));
    // The next event is released only after this one has arrived: an event that
    // is held back for company would be waited for in vain.
    for number in 1..=5 {
        site.probe().open(&format!("event-{number}"));
        assert_eq!(client.chunk(), Some(format!("data: event {number}\n\n").into_bytes()));
    }
    assert_eq!(client.chunk(), None);
    host.stop(&site);
}

#[test]
fn an_upload_arrives_piece_by_piece_and_is_answered_meanwhile() {
    let site = site();
    site.probe().script(
        "early",
        &[
            "send HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nearly\\r\\n",
            "wait more",
            "read",
            "send 4\\r\\nlate\\r\\n0\\r\\n\\r\\n",
        ],
    );
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("POST /script/early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk(), Some(b"early".to_vec()));
    site.probe().open("more");
    client.send("-last");
    assert_eq!(client.chunk(), Some(b"late".to_vec()));
    assert_eq!(client.chunk(), None);
    assert!(site.probe().everything().contains("first-last"));
    host.stop(&site);
}

#[test]
fn an_early_refusal_of_the_backend_reaches_the_client() {
    let site = unlimited();
    site.probe().script(
        "refuse",
        &["send HTTP/1.1 413 No\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\nmine", "close"],
    );
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("POST /script/refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nsome");
    let head = client.head();
    assert_eq!(head.status, 413);
    assert_eq!(client.take(4), b"mine");
    assert_eq!(host.client().get("/next").text(), "ok");
    host.stop(&site);
}

#[test]
fn a_client_that_goes_away_is_missed_at_once() {
    let site = site();
    for (name, first) in [
        ("thinking", "mark begun"),
        ("streaming", "send HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nhello\\r\\n"),
    ] {
        let gone = format!("{name}-gone");
        site.probe()
            .script(name, &["read", first, &format!("mark {name}-begun"), &format!("until-closed {gone}"), "close"]);
    }
    let host = Host::start(&site);
    for name in ["thinking", "streaming"] {
        let mut client = host.client();
        client.send(format!("GET /script/{name} HTTP/1.1\r\nHost: a\r\n\r\n"));
        site.probe().wait_mark(&format!("{name}-begun"));
        if name == "streaming" {
            assert_eq!(client.head().status, 200);
        }
        drop(client);
        let begin = std::time::Instant::now();
        site.probe().wait_mark(&format!("{name}-gone"));
        assert!(begin.elapsed() < Duration::from_secs(1), "{name}: {:?}", begin.elapsed());
    }
    assert_eq!(host.client().get("/next").text(), "ok");
    host.stop(&site);
}

#[test]
fn an_upload_that_breaks_off_never_looks_whole() {
    let site = site();
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    for (request, begun) in [
        ("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", "\r\n\r\nhalf"),
        ("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4\r\nhalf"),
    ] {
        let mut client = host.client();
        client.send(request);
        gatelodge_e2e::wait::until(Duration::from_secs(10), "the first half at the backend", || {
            site.probe().everything().contains(begun).then_some(())
        });
        drop(client);
        assert_eq!(host.client().get("/next").text(), "ok");
        assert!(!site.probe().everything().contains("half\r\n0\r\n"), "a broken upload got a clean end");
    }
    host.stop(&site);
}

#[test]
fn a_silent_backend_is_a_504_after_the_request_timeout() {
    let site = Site::new(web().set("requestTimeout", "00:00:02"));
    site.probe().script("silent", &["read", "until-closed gone", "close"]);
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let begin = std::time::Instant::now();
    assert_eq!(host.client().get("/script/silent").status(), 504);
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    site.probe().wait_mark("gone");
    host.stop(&site);
}
