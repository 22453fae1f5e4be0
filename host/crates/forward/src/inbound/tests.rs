//! Response heads, taken and refused.

use super::{Asked, BodyLength, FIELDS_USUAL, Inbound, Parsed, parse};
use crate::settings::ForwardSettings;
use crate::tests::support::{TOKEN, token};
use bytes::BytesMut;
use http::HeaderName;
use wire::PairingToken;

fn parse_with(bytes: &str, head: bool, token: &PairingToken) -> Result<Option<Inbound>, &'static str> {
    let settings =
        ForwardSettings { token_headers: vec![HeaderName::from_static("x-token")], ..ForwardSettings::default() };
    let mut input = BytesMut::from(bytes);
    match parse(&mut input, &Asked { head, token, settings: &settings })? {
        Parsed::Final(inbound) => Ok(Some(inbound)),
        Parsed::Partial | Parsed::Interim => Ok(None),
    }
}

fn parsed(bytes: &str) -> Inbound {
    parse_with(bytes, false, &token()).expect("a valid head").expect("a whole head")
}

/// `name: value` lines as the client would get them.
fn fields(inbound: &Inbound) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &http::HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    inbound.head.headers.iter().map(line).collect()
}

#[test]
fn every_line_is_kept_in_order_but_the_hops_own() {
    let inbound = parsed(
        "HTTP/1.1 200 OK\r\nDate: x\r\nServer: K\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nVary: c\r\nVary: d\r\n\
         X-A: 1\r\nX-A: 2\r\nKeep-Alive: 5\r\nTrailer: t\r\nUpgrade: h2c\r\nX-Hop: y\r\nProxy-Connection: p\r\n\
         Connection: X-Hop, Content-Length\r\nContent-Length: 3\r\n\r\n",
    );
    assert_eq!(
        fields(&inbound),
        ["server: K", "set-cookie: a", "set-cookie: b", "vary: c", "vary: d", "x-a: 1", "x-a: 2", "content-length: 3"]
    );
    assert!(inbound.keep);
    assert!(matches!(inbound.length, BodyLength::Left(3)));
}

#[test]
fn a_phrase_is_kept_where_it_is_not_the_standard_one() {
    let cases = [("200 OK", None), ("200 Fine", Some("Fine")), ("418 Short", Some("Short")), ("404 ", None)];
    for (line, phrase) in cases {
        let inbound = parsed(&format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(inbound.head.reason.as_deref(), phrase.map(str::as_bytes), "{line}");
    }
}

#[test]
fn the_end_of_the_body_follows_rfc_9112_section_6_3() {
    // head, asked by HEAD -> (length as text, connection kept, Content-Length shown)
    let cases = [
        ("200 OK\r\nContent-Length: 0\r\n", false, "Left(0)", true, Some("0")),
        ("200 OK\r\nContent-Length: 18446744073709551615\r\n", false, "Left(18446744073709551615)", true, None),
        ("200 OK\r\nTransfer-Encoding: Chunked\r\n", false, "Chunked", true, None),
        ("200 OK\r\n", false, "UntilClose", false, None),
        ("200 OK\r\nContent-Length: 10\r\n", true, "Left(0)", true, Some("10")),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n", true, "Left(0)", true, None),
        ("204 No Content\r\n", false, "Left(0)", true, None),
        ("204 No Content\r\nContent-Length: 0\r\n", false, "Left(0)", true, None),
        ("304 Not Modified\r\nContent-Length: 10\r\nETag: x\r\n", false, "Left(0)", true, Some("10")),
        ("200 OK\r\nContent-Length: 1\r\nConnection: close\r\n", false, "Left(1)", false, Some("1")),
        ("200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n", false, "Left(1)", false, Some("1")),
    ];
    for (head, asked, length, keep, shown) in cases {
        let bytes = format!("HTTP/1.1 {head}\r\n");
        let inbound = parse_with(&bytes, asked, &token()).expect(head).expect(head);
        assert!(format!("{:?}", inbound.length).starts_with(length), "{head}: {:?}", inbound.length);
        assert_eq!(inbound.keep, keep, "{head}");
        if let Some(shown) = shown {
            assert_eq!(inbound.head.headers.get("content-length").expect(head), shown, "{head}");
        }
    }
    let old = parsed("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n");
    assert!(!old.keep, "HTTP/1.0");
    assert!(parsed("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").head.headers.is_empty(), "RFC 9110 §8.6");
}

#[test]
fn broken_heads_are_refused() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: v\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 999 x\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x15\x03\x01\0\x02\x02",
    ];
    for bytes in cases {
        assert!(parse_with(bytes, false, &token()).is_err(), "{bytes:?}");
    }
}

#[test]
fn the_number_of_fields_is_limited() {
    for header_count_max in [1, FIELDS_USUAL - 1, FIELDS_USUAL, FIELDS_USUAL + 1, 256, 1_000] {
        let settings = ForwardSettings { header_count_max, ..ForwardSettings::default() };
        let asked = Asked { head: false, token: &token(), settings: &settings };
        for (count, taken) in [(header_count_max, true), (header_count_max + 1, false)] {
            let mut input = BytesMut::from(&*format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count)));
            match parse(&mut input, &asked) {
                Ok(Parsed::Final(inbound)) => assert_eq!((inbound.head.headers.len(), taken), (count, true)),
                Ok(_) => panic!("{count} of {header_count_max}: it is whole"),
                Err(why) => assert_eq!((why, taken), ("its head has too many fields", false), "{count}"),
            }
        }
    }
}

#[test]
fn the_token_is_in_no_response() {
    let inbound = parsed(&format!(
        "HTTP/1.1 200 {TOKEN}\r\nMS-ASPNETCORE-TOKEN: a\r\nMS-ASPNETCORE-X: b\r\nX-Token: c\r\nX-Echo: <{TOKEN}>\r\n\
         X-Near: {}\r\nContent-Length: 0\r\n\r\n",
        "f".repeat(TOKEN.len()),
    ));
    assert_eq!(fields(&inbound), [format!("x-near: {}", "f".repeat(TOKEN.len())), "content-length: 0".to_owned()]);
    assert_eq!(inbound.head.reason, None);
}

#[test]
fn a_token_that_is_a_short_word_takes_no_fields_away() {
    let bytes = "HTTP/1.1 200 OK\r\nX: prefixed\r\nContent-Length: 0\r\n\r\n";
    for (text, left) in [("fixed", 2), ("prefixed", 2)] {
        let token = PairingToken::from_text(text).expect("a token");
        let inbound = parse_with(bytes, false, &token).expect("valid").expect("whole");
        assert_eq!(inbound.head.headers.len(), left);
    }
}

#[test]
fn line_ends_are_counted_in_heads_of_any_length() {
    for length in [0, 1, 254, 255, 256, 510, 511, 70_000] {
        assert_eq!(super::count(&vec![b'\n'; length], b'\n'), length);
        assert_eq!(super::count(&vec![b'\n'; length], b'\r'), 0);
    }
}
