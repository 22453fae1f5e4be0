use super::{Access, View, claim, query_param};
use crate::bindings::contract::types::Selector;
use crate::testing::exchange;
use http::HeaderValue;
use wire::ResponseHead;
use wire::exchange::{Principal, Source};

fn read(selector: &Selector) -> Option<String> {
    let mut exchange = exchange("GET", "/caf%C3%A9/x?q=1&q=2&sp=a+b%21&bad=%zz");
    let headers = &mut exchange.request.headers;
    for (name, value) in [
        ("accept", "a"),
        ("accept", "b"),
        ("cookie", "sid=1; theme=\"dark\""),
        ("cookie", "sid=2"),
        ("authorization", "Bearer t"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let mut head = ResponseHead::new(http::StatusCode::IM_A_TEAPOT);
    head.headers.append("vary", HeaderValue::from_static("x"));
    head.headers.append("vary", HeaderValue::from_static("y"));
    exchange.response = Some(head);
    exchange.source = Source::Plugin("other".into());
    exchange.shared.attributes.push(("tier".into(), "gold".into()));
    exchange.shared.notes.push((3, "not mine".into()));
    exchange.shared.notes.push((0, "mine".into()));
    exchange.shared.principal = Some(Box::new(Principal {
        subject: "alice".to_owned(),
        issuer: "me".to_owned(),
        scheme: "bearer".to_owned(),
        claims: r#"{"role":["a","b"],"n":1}"#.to_owned(),
        expires: 0,
    }));
    let access = Access::parse(selector, View::Completion).expect("a selector that fits");
    let mut out = Vec::new();
    access.read(&exchange, 0, &mut out).then(|| String::from_utf8(out).expect("text"))
}

#[test]
fn each_selector_gives_its_piece() {
    let text = |name: &str| name.to_owned();
    for (selector, expected) in [
        (Selector::Method, Some("GET")),
        (Selector::Scheme, Some("http")),
        (Selector::Authority, Some("example.com")),
        (Selector::Path, Some("/caf\u{e9}/x")),
        (Selector::Query, Some("q=1&q=2&sp=a+b%21&bad=%zz")),
        (Selector::Header(text("accept")), Some("a, b")),
        (Selector::Header(text("COOKIE")), Some("sid=1; theme=\"dark\"; sid=2")),
        (Selector::Header(text("authorization")), Some("Bearer t")),
        (Selector::Header(text("x-none")), None),
        (Selector::Cookie(text("sid")), Some("1")),
        (Selector::Cookie(text("theme")), Some("dark")),
        (Selector::Cookie(text("si")), None),
        (Selector::QueryParam(text("q")), Some("1")),
        (Selector::QueryParam(text("sp")), Some("a b!")),
        (Selector::QueryParam(text("bad")), Some("%zz")),
        (Selector::QueryParam(text("none")), None),
        (Selector::ClientIp, Some("203.0.113.7")),
        (Selector::Sni, None),
        (Selector::RequestId, Some("0-42")),
        (Selector::Route, None),
        (Selector::Upgrade, None),
        (Selector::Subject, Some("alice")),
        (Selector::Claim(text("role")), Some("[\"a\",\"b\"]")),
        (Selector::Claim(text("none")), None),
        (Selector::Attribute(text("tier")), Some("gold")),
        (Selector::Attribute(text("none")), None),
        (Selector::Note, Some("mine")),
        (Selector::Status, Some("418")),
        (Selector::ResponseHeader(text("vary")), Some("x, y")),
        (Selector::ResponseSource, Some("plugin:other")),
    ] {
        assert_eq!(read(&selector).as_deref(), expected, "{selector:?}");
    }
}

#[test]
fn selectors_that_do_not_fit_are_refused() {
    let text = |name: &str| name.to_owned();
    for (selector, view, word) in [
        (Selector::Status, View::Request, "response"),
        (Selector::ResponseSource, View::Request, "response"),
        (Selector::ResponseHeader(text("vary")), View::Request, "response"),
        (Selector::ResponseHeader(text("Set-Cookie")), View::Response, "exchange.lines"),
        (Selector::Header(text("a b")), View::Request, "not a field name"),
        (Selector::Header(text("MS-ASPNETCORE-TOKEN")), View::Request, "host and backend"),
        (Selector::Header(text("ms_aspnetcore_token")), View::Completion, "host and backend"),
        (Selector::Named(text("tls-version")), View::Request, "unknown selector"),
    ] {
        let refusal = Access::parse(&selector, view).expect_err("refused");
        assert!(refusal.contains(word), "{selector:?}: {refusal}");
    }
}

#[test]
fn odd_queries_and_claims_do_no_harm() {
    let mut out = Vec::new();
    assert!(!query_param("&&=&%", "x", &mut out));
    assert!(query_param("a%62=%4", "ab", &mut out));
    assert_eq!(out, b"%4");
    assert_eq!(claim("not json", "x"), None);
    assert_eq!(claim("[1]", "0"), None);
    assert_eq!(claim(r#"{"x":1,"x":"two"}"#, "x").as_deref(), Some("\"two\""));
}
