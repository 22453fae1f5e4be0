//! Body plugins over real sockets: framing, early ends, events, back-pressure, memory.

use crate::{site, web};
use gatelodge_e2e::wait::until;
use gatelodge_e2e::{Client, Host, Launch, Site};
use gatelodge_guests::component;
use std::time::Duration;

/// More than 32 bits can count.
const LARGE_BYTES: u64 = (4 << 30) + 1;
/// Memory that a stream of any length may take on its way through a plugin.
const STREAM_BYTES_MAX: u64 = 16 << 20;

fn with(site: Site, guest: &str, more: &str) -> Site {
    site.file(&format!("plugins/{guest}.wasm"), component(guest));
    site.plugins(&format!(
        "[[plugin]]\nname = \"{guest}\"\nmodule = \"plugins/{guest}.wasm\"\n{more}\n[plugin.grants]\nlog = true\n"
    ));
    site
}

fn unlimited() -> Site {
    let limits = r#"<security><requestFiltering><requestLimits maxAllowedContentLength="8589934592" /></requestFiltering></security>"#;
    Site::new(web().beside(limits))
}

fn on_one_worker(site: &Site) -> Host {
    Launch::new(site).args(&["--workers", "1"]).start()
}

/// What the backend received of the request for this target.
fn received(site: &Site, target: &str) -> String {
    until(Duration::from_secs(10), "the request at the backend", || {
        let all = site.probe().everything();
        all.split("POST ").find(|text| text.starts_with(target)).map(str::to_owned)
    })
}

#[test]
fn the_host_frames_what_a_plugin_makes_of_a_request() {
    let sized = "Content-Length: 11\r\n\r\nhello world";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n6;x=1\r\nhello \r\n5\r\nworld\r\n0\r\nX-Late: 1\r\n\r\n";
    // (guest, what the client sends, how it reaches the backend: a field of the head, the end;
    // what a plain response becomes)
    for (guest, sent, field, end, next) in [
        ("body-count", sized, "\r\ncontent-length: 11\r\n", "\r\n\r\nhello world", "ok"),
        ("body-count", chunked, "\r\ntransfer-encoding: chunked\r\n", "\r\n0\r\n\r\n", "ok"),
        ("body-upper", sized, "\r\ntransfer-encoding: chunked\r\n", "\r\nHELLO WORLD\r\n0\r\n\r\n", "OK"),
        ("body-drop", sized, "\r\ntransfer-encoding: chunked\r\n", "\r\n0\r\n\r\n", ""),
        (
            "whole-edit",
            "X-How: replace\r\nContent-Length: 5\r\n\r\nabcde",
            "\r\ncontent-length: 5\r\n",
            "\r\n\r\nedcba",
            "ko",
        ),
        (
            "whole-edit",
            "X-How: replace\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "\r\ncontent-length: 3\r\n",
            "\r\n\r\ncba",
            "ko",
        ),
    ] {
        let site = with(site(), guest, "");
        let host = Host::start(&site);
        let mut client = host.client();
        client.send(format!("POST /framed HTTP/1.1\r\nHost: a\r\n{sent}"));
        assert_eq!(client.response().status(), 200, "{guest}: {sent}");
        let got = received(&site, "/framed");
        let (head, _) = got.split_once("\r\n\r\n").expect("a head");
        assert!(format!("{head}\r\n").to_lowercase().contains(field), "{guest}: {got}");
        assert!(got.ends_with(end), "{guest}: {got}");
        assert_eq!(head.to_lowercase().matches("content-length").count() + head.matches("chunked").count(), 1, "{got}");
        // The connection is good for more.
        assert_eq!(client.get("/next").text(), next, "{guest}");
        host.stop(&site);
    }
}

#[test]
fn a_length_stands_only_while_it_is_true() {
    for (guest, expected, length) in
        [("body-count", "hello", Some("5")), ("body-upper", "HELLO", None), ("whole-edit", "olleh", Some("5"))]
    {
        let site = with(site(), guest, "");
        site.probe().answer("hello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        let host = Host::start(&site);
        let mut client = host.client();
        let answer = client.get("/script/hello");
        assert_eq!((answer.text().as_str(), answer.value("content-length")), (expected, length), "{guest}");
        assert_eq!(answer.value("transfer-encoding"), length.is_none().then_some("chunked"), "{guest}");
        // HEAD announces what GET would have: the plugin saw no body to change.
        client.send("HEAD /script/hello HTTP/1.1\r\nHost: a\r\nX-Skip: response\r\n\r\n");
        assert_eq!(client.head().status, 200);
        host.stop(&site);
    }
}

#[test]
fn trailers_of_a_plugin_reach_who_asks_for_them() {
    let site = with(site(), "body-trailer", "");
    site.probe().answer("hello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let host = Host::start(&site);
    for (te, expected) in [("TE: trailers\r\nConnection: TE\r\n", "0\r\nx-length: 5\r\n\r\n"), ("", "0\r\n\r\n")] {
        let mut client = host.client();
        client.send(format!("GET /script/hello HTTP/1.1\r\nHost: a\r\n{te}\r\n"));
        let head = client.head();
        assert_eq!(head.value("trailer"), Some("x-length, x-unused"));
        assert_eq!(client.line(), "5");
        assert_eq!(String::from_utf8_lossy(&client.take(7 + expected.len())), format!("hello\r\n{expected}"));
        assert_eq!(client.get("/next").status(), 200);
    }
    host.stop(&site);
}

#[test]
fn an_upload_that_is_refused_midway_never_looks_whole() {
    let site = with(site(), "body-abort", "");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/").status(), 200);
    for (request, begun, rest) in [
        ("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nquiet1", "\r\n\r\nquiet1", "loud!!"),
        (
            "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nquiet2\r\n",
            "6\r\nquiet2",
            "6\r\nloud!!\r\n0\r\n\r\n",
        ),
    ] {
        let mut client = host.client();
        client.send(request);
        until(Duration::from_secs(10), "the first half at the backend", || {
            site.probe().everything().contains(begun).then_some(())
        });
        client.send(rest);
        let answer = client.response();
        assert_eq!((answer.status(), answer.text().as_str()), (422, "No shouting.\n"));
        assert_eq!(host.client().get("/next").text(), "ok");
        let all = site.probe().everything();
        assert!(!all.contains("loud") && !all.contains("quiet2\r\n0\r\n"), "{all}");
    }
    host.stop(&site);
}

#[test]
fn a_response_that_is_stopped_midway_is_broken_off() {
    for guest in ["body-abort", "body-late-trap"] {
        let site = with(site(), guest, "");
        site.probe().script(
            "two",
            &[
                "read",
                "send HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nquiet\\r\\n",
                "wait second",
                "send 5\\r\\nloud!\\r\\n0\\r\\n\\r\\n",
            ],
        );
        let host = Host::start(&site);
        let mut client = host.client();
        client.send("GET /script/two HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.chunk().map(|chunk| chunk.to_ascii_lowercase()), Some(b"quiet".to_vec()), "{guest}");
        // Another exchange, open on the same worker, is not touched by it.
        let mut other = host.client();
        other.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
        site.probe().open("second");
        let rest = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(!rest.contains("0\r\n\r\n") && !rest.contains("loud"), "{guest}: {rest:?}");
        other.send("def");
        assert_eq!(other.response().text(), "6", "{guest}");
        assert_eq!(host.client().get("/next").text().to_ascii_lowercase(), "ok", "{guest}");
        let _ = host.wait_line(guest);
        host.stop(&site);
    }
}

#[test]
fn two_uploads_that_interleave_are_told_apart() {
    let site = with(site(), "body-window", "");
    let host = on_one_worker(&site);
    let mut open: Vec<Client> = (0..2).map(|_| host.client()).collect();
    for client in &mut open {
        client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    }
    open[0].send("--EIC");
    open[1].send("AR---");
    open[1].send("--EIC");
    open[0].send("AR---");
    assert_eq!(open[1].response().text(), "10", "its own bytes hold no such word");
    assert_eq!(open[0].response().status(), 422);
    host.stop(&site);
}

#[test]
fn events_pass_a_plugin_one_by_one() {
    let site = with(site(), "body-events", "");
    let head = "send HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n";
    let mut script = vec!["read".to_owned(), head.to_owned()];
    for number in 1..=4 {
        script.push(format!("wait event-{number}"));
        script.push("send 7\\r\\n: note\\n\\r\\n".to_owned());
        script.push(format!("send 10\\r\\n\\ndata: event {number}\\n\\n\\r\\n"));
    }
    script.push("send 0\\r\\n\\r\\n".to_owned());
    site.probe().script("events", &script.iter().map(String::as_str).collect::<Vec<_>>());
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /script/events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().value("content-type"), Some("text/event-stream"));
    // The next event is released only after this one has arrived.
    for number in 1..=4 {
        site.probe().open(&format!("event-{number}"));
        assert_eq!(client.chunk(), Some(format!("data: event {number}\n\n").into_bytes()));
    }
    assert_eq!(client.chunk(), None);
    host.stop(&site);
}

#[test]
fn four_gibibytes_pass_a_body_plugin_at_flat_memory() {
    let site = with(unlimited(), "body-pass", "");
    let host = Host::start(&site);
    assert_eq!(host.client().post("/count", b"warm").text(), "4");
    let before = host.memory_bytes("VmHWM");
    let mut client = host.client();
    client.send(format!("GET /zeros/{LARGE_BYTES} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.head().value("transfer-encoding"), Some("chunked"));
    let mut bytes = 0;
    while let Some(chunk) = client.chunk() {
        bytes += chunk.len() as u64;
    }
    assert_eq!(bytes, LARGE_BYTES);
    let after = host.memory_bytes("VmHWM");
    assert!(after < before + STREAM_BYTES_MAX, "{before} -> {after} bytes");
    host.stop(&site);
}

#[test]
fn a_reader_that_stops_holds_a_watched_body_back() {
    let site = with(site(), "body-pass", "");
    let host = on_one_worker(&site);
    assert_eq!(host.client().post("/count", b"warm").text(), "4");
    let before = host.memory_bytes("VmRSS");
    let mut client = host.client();
    client.send(format!("GET /zeros/{} HTTP/1.1\r\nHost: a\r\n\r\n", 1_u64 << 30));
    assert_eq!(client.head().status, 200);
    for _ in 0..50 {
        assert_eq!(host.client().get("/next").text(), "ok");
    }
    let after = host.memory_bytes("VmRSS");
    assert!(after < before + STREAM_BYTES_MAX, "{before} -> {after} bytes");
    drop(client);
    host.stop(&site);
}

#[test]
fn bodies_beyond_instances_max_fail_alone() {
    let site = with(site(), "body-count", "instances_max = 2");
    let host = on_one_worker(&site);
    assert_eq!(host.client().get("/").status(), 200);
    let mut open: Vec<Client> = (0..2).map(|_| host.client()).collect();
    for (number, client) in open.iter_mut().enumerate() {
        client.send(format!(
            "POST /count HTTP/1.1\r\nHost: a\r\nX-Skip: response\r\nContent-Length: 8\r\n\r\nhalf{number}"
        ));
        until(Duration::from_secs(10), "the half at the backend", || {
            site.probe().everything().contains(&format!("half{number}")).then_some(())
        });
    }
    let mut third = host.client();
    third.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    let answer = third.response();
    assert!((500..504).contains(&answer.status()), "{}", answer.status());
    let line = host.wait_line("instances_max");
    assert!(line.contains("body-count"), "{line}");
    for client in &mut open {
        assert_eq!(client.send("end").response().text(), "8");
    }
    assert_eq!(host.client().post("/count", b"abc").text(), "3");
    host.stop(&site);
}

/// With room for one body only, the next one shows whether the instance is free.
#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_frees_its_instance() {
    let site = with(site(), "body-count", "instances_max = 1");
    site.probe().script(
        "slow",
        &["read", "send HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\nx\\r\\n", "wait never"],
    );
    let host = on_one_worker(&site);
    let counted = || host.client().post("/count", b"abc");
    assert_eq!(counted().text(), "3");
    let taken = |what: &str| assert!((500..504).contains(&counted().status()), "{what}: its instance is taken");
    let freed = |what: &str| {
        until(Duration::from_secs(10), what, || (counted().status() == 200).then_some(()));
    };
    let mut uploading = host.client();
    uploading.send("POST /count HTTP/1.1\r\nHost: a\r\nX-Skip: response\r\nContent-Length: 8\r\n\r\nhalf");
    until(Duration::from_secs(10), "the half at the backend", || {
        site.probe().everything().contains("half").then_some(())
    });
    taken("upload");
    drop(uploading);
    freed("room after an upload that was broken off");
    let mut downloading = host.client();
    downloading.send("GET /script/slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(downloading.head().status, 200);
    assert_eq!(downloading.chunk().as_deref(), Some(&b"x"[..]));
    taken("download");
    drop(downloading);
    freed("room after a download that nobody reads any more");
    host.stop(&site);
}
