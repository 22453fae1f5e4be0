//! What the backend gets, byte by byte.

use crate::{site, web};
use gatelodge_e2e::{Host, Site};

/// The fields of a head as the backend got them, names in lower case, sorted.
fn fields(site: &Site, target: &str) -> Vec<(String, String)> {
    let head = site.probe().head_of(target);
    let mut fields: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    fields.sort();
    fields
}

/// Sends a request with these fields and gives what arrived, without the four
/// that each request carries: host, token, and the two forwarded facts.
fn arrives(sent: &str) -> Vec<(String, String)> {
    let site = site();
    let host = Host::start(&site);
    let mut client = host.client();
    let answer = client.send(format!("GET /x HTTP/1.1\r\nHost: test\r\n{sent}\r\n")).response();
    assert_eq!(answer.status(), 200, "{sent:?}");
    let token = site.probe().only_start().token;
    let mut fields = fields(&site, "/x");
    let own = |name: &str| -> Vec<String> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    };
    let client_addr = client.stream().local_addr().expect("it is connected").to_string();
    assert_eq!(own("host"), ["test"]);
    assert!(own("ms-aspnetcore-token") == [token], "exactly one token, the right one, was to arrive");
    assert_eq!(own("x-forwarded-for"), [client_addr]);
    assert_eq!(own("x-forwarded-proto"), ["http"]);
    host.stop(&site);
    let always = ["host", "ms-aspnetcore-token", "x-forwarded-for", "x-forwarded-proto"];
    fields.retain(|(name, _)| !always.contains(&name.as_str()));
    fields
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn nothing_is_added_but_host_token_and_forwarded_facts() {
    assert_eq!(arrives(""), []);
}

#[test]
fn end_to_end_fields_pass_as_they_came() {
    assert_eq!(
        arrives("Accept: a\r\nCookie: c=1\r\nAuthorization: Bearer b\r\nX-Two: 1\r\nX-Two: 2\r\nVia: 1.1 x\r\n"),
        pairs(&[
            ("accept", "a"),
            ("authorization", "Bearer b"),
            ("cookie", "c=1"),
            ("via", "1.1 x"),
            ("x-two", "1"),
            ("x-two", "2"),
        ])
    );
}

#[test]
fn reserved_names_are_removed() {
    let sent = "MS-ASPNETCORE-TOKEN: x\r\nms-aspnetcore-clientcert: y\r\nMS-ASPNETCORE-WINAUTHTOKEN: 2f4\r\n\
                MS-ASPNETCORE-foo: z\r\nMs-AspNetCore-Event: shutdown\r\nKept: yes\r\n";
    assert_eq!(arrives(sent), pairs(&[("kept", "yes")]));
}

#[test]
fn reserved_names_do_not_hide_behind_underscores() {
    let site = site();
    let host = Host::start(&site);
    for name in ["MS_ASPNETCORE_TOKEN", "X_Forwarded_For", "Content_Length"] {
        let answer = host.client().send(format!("GET /x HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n")).response();
        // Refused or removed; the backend never sees it.
        assert!(matches!(answer.status(), 200 | 400), "{name}: {}", answer.status());
        assert!(!site.probe().everything().contains(name), "{name} reached the backend");
    }
    host.stop(&site);
}

#[test]
fn hop_by_hop_fields_end_here() {
    let sent = "Connection: X-Foo, keep-alive\r\nX-Foo: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n\
                Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nTrailer: X\r\nUpgrade: foo\r\nKept: yes\r\n";
    assert_eq!(arrives(sent), pairs(&[("kept", "yes")]));
}

#[test]
fn nobody_names_our_own_fields_away() {
    let sent = "Connection: MS-ASPNETCORE-TOKEN, X-Forwarded-For, X-Forwarded-Proto\r\nKept: yes\r\n";
    assert_eq!(arrives(sent), pairs(&[("kept", "yes")]));
}

#[test]
fn forwarded_facts_of_strangers_are_dropped() {
    let sent = "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=1\r\n\
                X-Real-IP: 1.2.3.4\r\nX-Original-URL: /admin\r\nProxy: http://evil\r\nKept: yes\r\n";
    assert_eq!(arrives(sent), pairs(&[("kept", "yes")]));
}

#[test]
fn forwarded_facts_of_trusted_peers_are_extended() {
    let site = site();
    site.plugins("[host.trust]\nproxies = [\"127.0.0.0/8\"]\n");
    let host = Host::start(&site);
    let mut client = host.client();
    client.send(
        "GET /x HTTP/1.1\r\nHost: shop.example:8443\r\nX-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: https\r\n\r\n",
    );
    assert_eq!(client.response().status(), 200);
    let addr = client.stream().local_addr().expect("it is connected");
    let fields = fields(&site, "/x");
    for (name, value) in [
        ("host", "shop.example:8443".to_owned()),
        ("x-forwarded-for", format!("10.0.0.9, {addr}")),
        ("x-forwarded-proto", "https, http".to_owned()),
    ] {
        assert_eq!(fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect::<Vec<_>>(), [&value], "{name}");
    }
    host.stop(&site);
}

#[test]
fn an_ipv6_client_is_written_in_brackets() {
    let site = site();
    let host = gatelodge_e2e::Launch::new(&site).listen("http://[::1]:0").start();
    let mut client = host.client();
    assert_eq!(client.get("/x").status(), 200);
    let addr = client.stream().local_addr().expect("it is connected").to_string();
    assert!(addr.starts_with("[::1]:"));
    assert!(fields(&site, "/x").contains(&("x-forwarded-for".to_owned(), addr)));
    host.stop(&site);
}

#[test]
fn the_target_arrives_as_it_was_sent() {
    let site = site();
    let host = Host::start(&site);
    for target in ["/a%20b/%3F?x=%2F&y=?", "/a%2Fb", "/caf%C3%A9", "/a;p=1/b", "/?", "/a+b?c+d", "/%41"] {
        assert_eq!(host.client().get(target).status(), 200, "{target}");
        assert!(site.probe().head_of(target).starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{target}");
    }
    host.stop(&site);
}

#[test]
fn the_authority_of_an_absolute_target_wins() {
    let site = site();
    let host = Host::start(&site);
    let answer = host.client().send("GET http://real/x HTTP/1.1\r\nHost: real\r\n\r\n").response();
    assert_eq!(answer.status(), 200);
    assert!(fields(&site, "/x").contains(&("host".to_owned(), "real".to_owned())));
    host.stop(&site);
}

#[test]
fn a_body_is_framed_anew() {
    let site = site();
    let host = Host::start(&site);
    let known = host.client().post("/known", b"hello");
    assert_eq!(known.status(), 200);
    let chunked = "POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;ext=\"x\"\r\nhello\r\n0\r\nMS-ASPNETCORE-TOKEN: x\r\nX-Trailer: y\r\n\r\n";
    assert_eq!(host.client().send(chunked).response().status(), 200);
    let everything = site.probe().everything();
    assert!(everything.to_lowercase().contains("content-length: 5\r\n"));
    assert!(everything.contains("\r\n\r\nhello"));
    assert!(everything.to_lowercase().contains("transfer-encoding: chunked\r\n"));
    assert!(everything.contains("5\r\nhello\r\n0\r\n"), "{everything}");
    assert!(!everything.contains("ext=") && !everything.contains("ASPNETCORE-TOKEN: x"), "{everything}");
    host.stop(&site);
}

#[test]
fn expect_is_answered_here_and_goes_no_further() {
    let site = Site::new(web());
    let host = Host::start(&site);
    let mut client = host.client();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    assert_eq!(client.send("hello").response().text(), "5");
    assert!(!site.probe().head_of("/count").to_lowercase().contains("expect"));
    let answer = host.client().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: magic\r\n\r\n").head();
    assert_eq!(answer.status, 417);
    host.stop(&site);
}
