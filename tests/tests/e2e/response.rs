//! What the client gets of what the backend sent.

use crate::site;
use gatelodge_e2e::{Host, Response, Site};

/// The answer to a request with this method, when the backend sends these bytes.
fn answer(method: &str, backend: &str) -> (Response, Host, Site) {
    let site = site();
    site.probe().answer("it", backend);
    let host = Host::start(&site);
    let mut client = host.client();
    client.send(format!("{method} /script/it HTTP/1.1\r\nHost: a\r\n\r\n"));
    let response =
        if method == "HEAD" { Response { head: client.head(), body: Vec::new() } } else { client.response() };
    if response.status() < 500 {
        // Whatever was answered, the same connection serves the next request.
        assert_eq!(client.get("/next").text(), "ok");
    }
    (response, host, site)
}

#[test]
fn fields_pass_with_all_their_lines_in_order() {
    let (response, host, site) = answer(
        "GET",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: K\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Vary: A\r\nVary: B\r\nX-Custom: 1\r\nX-Custom: 2\r\nDate: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: h\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: x\r\n\r\nhi",
    );
    assert_eq!(response.text(), "hi");
    assert_eq!(response.head.values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.head.values("vary"), ["A", "B"]);
    assert_eq!(response.head.values("x-custom"), ["1", "2"]);
    assert_eq!(response.value("server"), Some("K"));
    for gone in ["x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(response.value(gone), None, "{gone} is hop-by-hop");
    }
    assert!(response.value("date").is_some_and(|date| date.ends_with("GMT")), "{:?}", response.head);
    host.stop(&site);
}

#[test]
fn reason_phrases_pass() {
    for (line, status, reason) in [("418 Short", 418, "Short"), ("200 Fine", 200, "Fine")] {
        let (response, host, site) = answer("GET", &format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((response.status(), response.head.reason.as_str()), (status, reason));
        host.stop(&site);
    }
}

#[test]
fn responses_without_a_body_keep_the_connection_in_step() {
    let (head, host, site) = answer("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(head.value("content-length"), Some("10"));
    host.stop(&site);
    let (empty, host, site) = answer("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n");
    assert_eq!((empty.status(), empty.value("x-a")), (204, Some("b")));
    host.stop(&site);
    let (same, host, site) = answer("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n\r\n");
    assert_eq!((same.status(), same.value("etag")), (304, Some("\"e\"")));
    host.stop(&site);
}

#[test]
fn an_error_of_the_backend_passes_unchanged() {
    let (response, host, site) = answer("GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nmine");
    assert_eq!((response.status(), response.text().as_str()), (404, "mine"));
    host.stop(&site);
}

#[test]
fn a_body_without_length_is_chunked_for_http_1_1_and_ends_by_close_for_1_0() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let (response, host, site) = answer("GET", chunked);
    assert_eq!(response.text(), "abcde");
    assert_eq!(response.value("transfer-encoding"), Some("chunked"));
    let mut old = host.client();
    let response = old.send("GET /script/it HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!(response.text(), "abcde");
    assert_eq!(response.value("transfer-encoding"), None);
    host.stop(&site);
}

#[test]
fn interim_responses_are_not_taken_for_the_answer() {
    let (response, host, site) =
        answer("GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((response.status(), response.text().as_str()), (200, "hi"));
    host.stop(&site);
}

#[test]
fn what_is_not_http_is_a_502_and_is_not_shown() {
    for garbage in [
        "garbage, not HTTP\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
        "HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    ] {
        let (response, host, site) = answer("GET", garbage);
        assert_eq!(response.status(), 502, "{garbage:?}");
        assert!(!response.text().contains("garbage, not"), "{}", response.text());
        assert_eq!(host.client().get("/next").text(), "ok");
        host.stop(&site);
    }
}

#[test]
fn an_endless_head_is_a_502() {
    let big = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let (response, host, site) = answer("GET", &big);
    assert_eq!(response.status(), 502);
    host.stop(&site);
}

#[test]
fn a_response_that_ends_early_is_never_a_clean_end() {
    for head in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let site = site();
        let line = gatelodge_e2e::probe::escape(&format!("HTTP/1.1 200 OK\r\n{head}"));
        site.probe().script("short", &["read", &format!("send {line}"), "close"]);
        let host = Host::start(&site);
        let mut client = host.client();
        client.send("GET /script/short HTTP/1.1\r\nHost: a\r\n\r\n");
        let answered = client.rest();
        let text = String::from_utf8_lossy(&answered);
        // The connection breaks off, where it matters not how far the answer had come.
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 200 ") || text.starts_with("HTTP/1.1 502 "), "{text}");
        if text.starts_with("HTTP/1.1 200 ") {
            assert!(!text.ends_with("0\r\n\r\n"), "a truncated body got a clean end: {text}");
        }
        assert_eq!(host.client().get("/next").text(), "ok");
        host.stop(&site);
    }
}

#[test]
fn a_backend_that_resets_gives_a_502() {
    let site = site();
    site.probe().script("reset", &["reset"]);
    let host = Host::start(&site);
    assert_eq!(host.client().get("/script/reset").status(), 502);
    assert_eq!(host.client().get("/next").text(), "ok");
    host.stop(&site);
}

#[test]
fn bytes_after_a_response_are_never_the_next_one() {
    let site = site();
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    site.probe().answer("extra", extra);
    let host = Host::start(&site);
    let mut client = host.client();
    assert_eq!(client.get("/script/extra").text(), "hi");
    for _ in 0..5 {
        assert_eq!(client.get("/next").text(), "ok");
    }
    host.stop(&site);
}

#[test]
fn an_idle_connection_that_the_backend_closed_costs_nothing() {
    let site = site();
    site.probe()
        .script("bye", &["read", "send HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi", "mark closing", "close"]);
    let host = Host::start(&site);
    let mut client = host.client();
    for _ in 0..20 {
        assert_eq!(client.get("/script/bye").text(), "hi");
        assert_eq!(client.get("/next").text(), "ok");
    }
    host.stop(&site);
}
