//! What is read of a client's cookies, and what of them goes on.

use super::Affinity;
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use std::net::SocketAddr;
use wire::Scheme;
use wire::exchange::ConnFacts;

fn affinity() -> Affinity {
    Affinity { name: "gl".into(), path: "/app".into() }
}

#[test]
fn one_cookie_with_16_digits_names_an_instance() {
    let long = format!("gl={}", "0".repeat(100_000));
    let cases: &[(&[&str], Option<u64>)] = &[
        (&["gl=00000000000000ff"], Some(255)),
        (&["a=1; gl=00000000000000ff; b=2"], Some(255)),
        (&["a=1", "b=2;gl=ffffffffffffffff"], Some(u64::MAX)),
        (&[" gl = 00000000000000ff "], Some(255)),
        // Absent, or of another name.
        (&[], None),
        (&["a=1"], None),
        (&["GL=00000000000000ff"], None),
        (&["xgl=00000000000000ff", "glx=00000000000000ff"], None),
        (&["gl"], None),
        // Repeated, even with the same value.
        (&["gl=00000000000000ff; gl=00000000000000ff"], None),
        (&["gl=00000000000000ff", "gl=00000000000000fe"], None),
        // Malformed: one digit less, one more, none, upper case, a sign, other bytes.
        (&["gl=0000000000000ff"], None),
        (&["gl=000000000000000ff"], None),
        (&["gl="], None),
        (&["gl=00000000000000FF"], None),
        (&["gl=+0000000000000ff"], None),
        (&["gl=\"000000000000ff\""], None),
        (&["gl=00000000000000ff=1"], None),
        (&[&long], None),
    ];
    for (lines, expected) in cases {
        let mut headers = HeaderMap::new();
        for line in *lines {
            headers.append(COOKIE, HeaderValue::from_str(line).expect("a value"));
        }
        assert_eq!(affinity().wanted(&headers), *expected, "{:.80?}", lines.first());
    }
}

#[test]
fn it_is_taken_out_and_the_others_stay_byte_by_byte() {
    let cases = [
        ("a=1", "cookie: a=1\r\n"),
        ("a=1;; b", "cookie: a=1;; b\r\n"),
        ("", "cookie: \r\n"),
        ("gl=x", ""),
        ("gl=x; gl=y", ""),
        ("gl=x; ", ""),
        ("gl=x; b=2", "cookie: b=2\r\n"),
        ("a=1; gl=x", "cookie: a=1\r\n"),
        ("a=1; gl=x; b=2", "cookie: a=1; b=2\r\n"),
        ("a=1;gl=x;b=\"2\" ;  c", "cookie: a=1;b=\"2\" ;  c\r\n"),
        ("gl=x; a=1; gl=y; a=2; GL=z", "cookie: a=1; a=2; GL=z\r\n"),
        ("gl", "cookie: gl\r\n"),
    ];
    for (line, expected) in cases {
        let mut out = BytesMut::new();
        affinity().put_others(&mut out, line.as_bytes());
        assert_eq!(out, expected, "{line:?}");
    }
}

#[test]
fn a_client_that_came_by_https_gets_a_secure_cookie() {
    let client = SocketAddr::from(([203, 0, 113, 7], 51_812));
    // scheme, trusted, told, secure
    let cases = [
        (Scheme::Http, false, None, false),
        (Scheme::Https, false, None, true),
        (Scheme::Http, true, None, false),
        (Scheme::Http, true, Some("https, http"), true),
        (Scheme::Https, true, Some("http"), false),
        (Scheme::Http, false, Some("https"), false),
    ];
    for (scheme, trusted, told, secure) in cases {
        let conn = ConnFacts::new(client, client, scheme, trusted);
        let mut headers = HeaderMap::new();
        if let Some(told) = told {
            headers.insert("x-forwarded-proto", HeaderValue::from_static(told));
        }
        let cookie = affinity().set_cookie(255, &conn, &headers).expect("a value");
        let end = if secure { "; Secure" } else { "" };
        let expected = format!("gl=00000000000000ff; Path=/app; HttpOnly; SameSite=Lax{end}");
        assert_eq!(cookie, expected, "{scheme:?} {trusted} {told:?}");
    }
}
