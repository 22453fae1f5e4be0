//! What the backend gets, byte by byte.

use super::encode;
use crate::settings::ForwardSettings;
use crate::tests::support::{TOKEN, exchange, exchange_from, token};
use bytes::BytesMut;
use http::{HeaderName, HeaderValue};
use wire::exchange::Credential;
use wire::{Exchange, Framing};

fn encoded(exchange: &Exchange, settings: &ForwardSettings) -> String {
    let mut out = BytesMut::from("left over");
    encode(&mut out, exchange, &token(), settings);
    String::from_utf8(out.to_vec()).expect("the tests' heads are UTF-8")
}

fn check(exchange: &Exchange, lines: &[&str]) {
    let expected = format!("{}\r\nMS-ASPNETCORE-TOKEN: {TOKEN}\r\n\r\n", lines.join("\r\n"));
    assert_eq!(encoded(exchange, &ForwardSettings::default()), expected);
}

#[test]
fn a_plain_request_has_forwarded_facts_and_the_token_last() {
    check(
        &exchange("GET", "/app/a%20b/%3F?x=%2F&y=?", &[("accept", "*/*"), ("cookie", "a=1"), ("accept", "x/y")]),
        &[
            "GET /app/a%20b/%3F?x=%2F&y=? HTTP/1.1",
            "Host: shop.example:8443",
            "accept: */*",
            "accept: x/y",
            "cookie: a=1",
            "X-Forwarded-For: 203.0.113.7:51812",
            "X-Forwarded-Proto: http",
        ],
    );
}

#[test]
fn the_raw_target_and_an_unknown_method_stay() {
    check(
        &exchange("PuRGE", "/a%2Fb//c/?", &[]),
        &[
            "PuRGE /a%2Fb//c/? HTTP/1.1",
            "Host: shop.example:8443",
            "X-Forwarded-For: 203.0.113.7:51812",
            "X-Forwarded-Proto: http",
        ],
    );
}

#[test]
fn forwarded_facts_of_trusted_peers_are_extended_and_of_strangers_dropped() {
    let fields = [("x-forwarded-for", "10.0.0.9"), ("x-forwarded-for", "10.0.0.8"), ("x-forwarded-proto", "https")];
    let cases = [
        ("[::1]:51000", true, "10.0.0.9, 10.0.0.8, [::1]:51000", "https, http"),
        ("[::1]:51000", false, "[::1]:51000", "http"),
        ("[2001:db8::1]:40000", false, "[2001:db8::1]:40000", "http"),
        ("[::ffff:192.0.2.1]:7", false, "192.0.2.1:7", "http"),
    ];
    for (client, trusted, xff, proto) in cases {
        check(
            &exchange_from(client, trusted, "GET", "/", &fields),
            &[
                "GET / HTTP/1.1",
                "Host: shop.example:8443",
                &format!("X-Forwarded-For: {xff}"),
                &format!("X-Forwarded-Proto: {proto}"),
            ],
        );
    }
}

#[test]
fn names_that_are_ours_or_nobodys_never_pass() {
    let fields = [
        ("ms-aspnetcore-token", "x"),
        ("ms-aspnetcore-clientcert", "x"),
        ("ms-aspnetcore-winauthtoken", "x"),
        ("ms-aspnetcore-event", "shutdown"),
        ("ms-aspnetcore-foo", "x"),
        ("ms_aspnetcore_token", "x"),
        ("connection", "close"),
        ("keep-alive", "5"),
        ("proxy-connection", "x"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "gzip"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "x"),
        ("host", "evil"),
        ("content-length", "7"),
        ("expect", "100-continue"),
        ("x-kept", "1"),
    ];
    check(
        &exchange("GET", "/", &fields),
        &[
            "GET / HTTP/1.1",
            "Host: shop.example:8443",
            "x-kept: 1",
            "X-Forwarded-For: 203.0.113.7:51812",
            "X-Forwarded-Proto: http",
        ],
    );
}

#[test]
fn framing_is_written_anew() {
    let cases = [
        ("GET", Framing::None, None),
        ("POST", Framing::None, Some("Content-Length: 0")),
        ("PUT", Framing::Length(0), Some("Content-Length: 0")),
        ("DELETE", Framing::None, None),
        ("GET", Framing::Length(10), Some("Content-Length: 10")),
        ("POST", Framing::Length(5_368_709_120), Some("Content-Length: 5368709120")),
        ("POST", Framing::Length(u64::MAX), Some("Content-Length: 18446744073709551615")),
        ("POST", Framing::Chunked, Some("Transfer-Encoding: chunked")),
    ];
    for (method, framing, line) in cases {
        let mut exchange = exchange(method, "/", &[]);
        exchange.request.framing = framing;
        let request = format!("{method} / HTTP/1.1");
        let mut lines = vec![
            request.as_str(),
            "Host: shop.example:8443",
            "X-Forwarded-For: 203.0.113.7:51812",
            "X-Forwarded-Proto: http",
        ];
        lines.extend(line);
        check(&exchange, &lines);
    }
}

#[test]
fn the_credential_is_kept_removed_or_replaced() {
    let field = |name: &'static str| Credential::Field(HeaderName::from_static(name), HeaderValue::from_static("new"));
    let cases = [
        (Credential::Original, Some("authorization: old"), None),
        (Credential::None, None, None),
        (field("authorization"), None, Some("authorization: new")),
        (field("x-ms-token"), None, Some("x-ms-token: new")),
        // A plugin can't reach what is between host and backend.
        (field("ms-aspnetcore-token"), None, None),
        (field("content-length"), None, None),
    ];
    for (credential, before, after) in cases {
        let mut exchange = exchange("GET", "/", &[("authorization", "old")]);
        exchange.shared.credential = credential;
        let mut lines = vec!["GET / HTTP/1.1", "Host: shop.example:8443"];
        lines.extend(before);
        lines.extend(["X-Forwarded-For: 203.0.113.7:51812", "X-Forwarded-Proto: http"]);
        lines.extend(after);
        check(&exchange, &lines);
    }
}

#[test]
fn further_token_names_carry_it_too_and_are_taken_from_clients() {
    let settings = ForwardSettings {
        token_headers: vec![
            HeaderName::from_static("msaspnetcoretoken"),
            HeaderName::from_static("ms-aspnetcore-token"),
        ],
        ..ForwardSettings::default()
    };
    let head = encoded(&exchange("GET", "/", &[("msaspnetcoretoken", "spoofed")]), &settings);
    assert!(
        head.ends_with(&format!("\r\nmsaspnetcoretoken: {TOKEN}\r\nMS-ASPNETCORE-TOKEN: {TOKEN}\r\n\r\n")),
        "{head}"
    );
    assert_eq!(head.matches(TOKEN).count(), 2);
    assert!(!head.contains("spoofed"));
}
