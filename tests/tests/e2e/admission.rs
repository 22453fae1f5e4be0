//! What is refused before it reaches the backend. Three beats: the bad bytes
//! get their answer, the backend saw nothing of them, the next client is served.

use crate::{site, web};
use gatelodge_e2e::{Host, Site};

/// A request that must not reach the backend, and the status that it gets.
struct Refusal {
    bytes: &'static str,
    status: u16,
}

fn check(site: &Site, refusals: &[Refusal]) {
    let host = Host::start(site);
    assert_eq!(host.client().get("/before").status(), 200);
    for Refusal { bytes, status } in refusals {
        let seen = site.probe().everything();
        let mut client = host.client();
        client.send(bytes);
        let head = client.head();
        assert_eq!(head.status, *status, "{bytes:?}");
        assert_eq!(site.probe().everything(), seen, "the backend saw something of {bytes:?}");
        assert_eq!(host.client().get("/next").status(), 200, "after {bytes:?}");
    }
    host.stop(site);
}

const fn refusal(status: u16, bytes: &'static str) -> Refusal {
    Refusal { bytes, status }
}

#[test]
fn smuggling_never_reaches_the_backend() {
    check(
        &site(),
        &[
            refusal(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            refusal(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
            refusal(400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,6\r\n\r\nhello"),
            refusal(400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"),
            refusal(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            refusal(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            refusal(400, "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"),
        ],
    );
}

/// RFC 9112 §6.3: where both framings came, `Transfer-Encoding` counts, one
/// framing goes on, and the connection ends with the answer.
#[test]
fn what_hides_behind_a_second_framing_is_never_a_request() {
    let site = site();
    let host = Host::start(&site);
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = host.client();
    client.send(format!(
        "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    ));
    let answer = client.response();
    assert!(matches!(answer.status(), 200 | 400), "{}", answer.status());
    assert!(client.is_closed(), "the connection has lost its framing");
    assert_eq!(host.client().get("/next").status(), 200);
    let everything = site.probe().everything().to_lowercase();
    assert!(!everything.contains("smuggled"), "{everything}");
    assert!(!everything.contains("content-length: 38"), "{everything}");
    host.stop(&site);
}

#[test]
fn a_host_must_be_one_and_right() {
    check(
        &site(),
        &[
            refusal(400, "GET / HTTP/1.1\r\n\r\n"),
            refusal(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
            refusal(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
            refusal(400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
            refusal(400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
        ],
    );
}

#[test]
fn methods_that_reflect_or_tunnel_are_refused() {
    check(
        &site(),
        &[
            refusal(405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(405, "TRACK / HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(405, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        ],
    );
}

#[test]
fn paths_that_mean_something_else_are_refused() {
    check(
        &site(),
        &[
            refusal(400, "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(400, "GET /a%5c..%5cb HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(400, "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /a%252e HTTP/1.1\r\nHost: a\r\n\r\n"),
        ],
    );
}

#[test]
fn hidden_segments_are_not_found_in_any_spelling() {
    check(
        &site(),
        &[
            refusal(404, "GET /web.config HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /WEB.CONFIG HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /%77eb.config HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /a/web.config/b HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /bin/x HTTP/1.1\r\nHost: a\r\n\r\n"),
            refusal(404, "GET /App_Data/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ],
    );
}

#[test]
fn long_paths_and_queries_are_not_found() {
    let site = site();
    let host = Host::start(&site);
    for (target, status) in [
        (format!("/{}", "p".repeat(4095)), 200),
        (format!("/{}", "p".repeat(4096)), 404),
        (format!("/?{}", "q".repeat(2048)), 200),
        (format!("/?{}", "q".repeat(2049)), 404),
    ] {
        assert_eq!(host.client().get(&target).status(), status, "{} bytes", target.len());
    }
    host.stop(&site);
}

#[test]
fn a_head_beyond_the_limit_is_told_so() {
    let site = site();
    let host = Host::start(&site);
    let mut client = host.client();
    // The answer may come before all is written.
    let _sent = client.try_send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)));
    assert_eq!(client.head().status, 431);
    assert!(site.probe().starts().is_empty(), "a refused request woke the backend");
    assert_eq!(host.client().get("/").status(), 200);
    host.stop(&site);
}

#[test]
fn a_body_beyond_the_default_limit_is_told_limit_and_setting() {
    let site = site();
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 30000001\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.status(), 413);
    assert!(answer.text().contains("30000000 bytes") && answer.text().contains("maxAllowedContentLength"));
    assert!(site.probe().starts().is_empty(), "a refused request woke the backend");
    assert_eq!(host.client().post("/count", &vec![7; 30_000_000]).text(), "30000000");
    host.stop(&site);
}

#[test]
fn a_configured_body_limit_holds_by_length_and_by_chunks() {
    let limits =
        r#"<security><requestFiltering><requestLimits maxAllowedContentLength="1000" /></requestFiltering></security>"#;
    let site = Site::new(web().beside(limits));
    let host = Host::start(&site);
    for (length, by_length, answer) in [(1000, true, 200), (1001, true, 413), (1000, false, 200), (1001, false, 413)] {
        let mut client = host.client();
        let body = "b".repeat(length);
        let request = if by_length {
            format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
        } else {
            format!(
                "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            )
        };
        let response = client.send(request).response();
        assert_eq!(response.status(), answer, "{length} {by_length}");
        if answer == 200 {
            assert_eq!(response.text(), length.to_string());
        } else {
            assert!(client.is_closed(), "the rest of a refused body must not be read as a request");
        }
    }
    host.stop(&site);
}

/// L24: the first mapping that matches decides, by path and verb.
#[test]
fn only_what_a_mapping_selects_reaches_the_backend() {
    let handlers = r#"<add name="api" path="api/*" verb="GET,POST" modules="AspNetCoreModuleV2" />
      <add name="pages" path="*.page" verb="*" modules="AspNetCoreModuleV2" />"#;
    let site = Site::new(web().handlers(handlers));
    let host = Host::start(&site);
    for (method, target, status) in [
        ("GET", "/api/x", 200),
        ("POST", "/api/x/y", 200),
        ("DELETE", "/api/x", 405),
        ("DELETE", "/a/b.page", 200),
        ("GET", "/other", 404),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let answer = host.client().send(request).response();
        assert_eq!(answer.status(), status, "{method} {target}");
        if status == 405 {
            let allow = answer.value("allow").unwrap_or_default();
            assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
        }
    }
    assert!(!site.probe().everything().contains("/other"));
    host.stop(&site);
}

#[test]
fn two_requests_in_one_segment_are_answered_in_order() {
    let site = site();
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("GET /who HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n");
    assert!(client.response().text().starts_with("start 1"));
    assert_eq!(client.response().text(), "ok");
    assert_eq!(client.response().status(), 400);
    assert!(client.is_closed());
    host.stop(&site);
}

/// L24: a mapping for files only is passed over where there is no such file.
#[test]
fn a_mapping_for_files_needs_the_file() {
    let handlers = r#"<add name="files" path="a/*" verb="GET" modules="StaticFileModule" resourceType="File" />
      <add name="app" path="*" verb="*" modules="AspNetCoreModuleV2" />"#;
    let site = Site::new(web().handlers(handlers));
    site.file("a/there.txt", "a file");
    let host = Host::start(&site);
    assert_eq!(host.client().get("/a/gone.txt").status(), 200, "no such file: the app answers");
    assert_eq!(host.client().post("/a/there.txt", b"").status(), 200, "another verb: the app answers");
    assert_ne!(host.client().get("/a/there.txt").status(), 502);
    assert!(!site.probe().everything().contains("GET /a/there.txt"), "the first mapping selects it");
    host.stop(&site);
}

/// L25: what stands in a `location` holds below its path only.
#[test]
fn a_location_holds_below_its_path_only() {
    let site = Site::empty();
    let folder = site.probe().folder().to_str().expect("temporary folders have plain names").to_owned();
    let limits = r#"<location path="api"><system.webServer><security><requestFiltering>
        <requestLimits maxAllowedContentLength="10" /></requestFiltering></security></system.webServer></location>"#;
    let text = web().env("PROBE_FOLDER", folder).text();
    site.file("web.config", text.replace("</configuration>", &format!("{limits}</configuration>")));
    let host = Host::start(&site);
    for (target, bytes, status) in
        [("/api/x", 10, 200), ("/api/x", 11, 413), ("/API/x", 11, 413), ("/apis", 11, 200), ("/", 11, 200)]
    {
        let answer = host.client().post(target, &vec![b'x'; bytes]);
        assert_eq!(answer.status(), status, "{target} {bytes}: {}", answer.text());
    }
    host.stop(&site);
}
