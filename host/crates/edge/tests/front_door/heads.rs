//! What each head gets, by the bytes: framing, request lines, fields, hosts.

use crate::support::{Site, read, with};
use gatelodge_edge::EdgeSettings;
use wire::admit::AdmitRules;

/// One attack: bytes, the statuses that come back in order, and the lines that the handler saw.
struct Row {
    bytes: Vec<u8>,
    statuses: &'static [u16],
    handled: &'static [&'static str],
    open: bool,
}

/// Refused: one status, nothing handled, closed.
fn refused(status: &'static [u16], bytes: impl AsRef<[u8]>) -> Row {
    Row { bytes: bytes.as_ref().to_vec(), statuses: status, handled: &[], open: false }
}

fn taken(handled: &'static [&'static str], bytes: impl AsRef<[u8]>) -> Row {
    Row { bytes: bytes.as_ref().to_vec(), statuses: &[200], handled, open: true }
}

async fn check(site: &Site, row: Row) {
    let what = String::from_utf8_lossy(&row.bytes[..row.bytes.len().min(120)]).into_owned();
    let before = site.seen.attacked().len();
    let mut client = site.connect().await;
    client.try_send(&row.bytes).await;
    for status in row.statuses {
        let answer = client.try_answer("GET").await;
        let got = answer.as_ref().map(|answer| answer.status);
        assert_eq!(got, Some(*status), "{what:?}");
        if *status >= 400 {
            let answer = answer.unwrap();
            assert!(answer.says_close() && answer.whole && !answer.body.is_empty(), "{what:?}: {answer:?}");
            assert_eq!(answer.head.matches("\r\ndate: ").count(), 1, "{what:?}");
        }
    }
    if row.open {
        client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200, "{what:?}");
    } else {
        client.assert_closed(&what).await;
    }
    assert_eq!(site.seen.attacked()[before..], *row.handled, "{what:?}");
    site.serves_the_next().await;
}

fn check_all(rows: Vec<Row>) {
    with(EdgeSettings::default(), |site| async move {
        for row in rows {
            check(&site, row).await;
        }
    });
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}")
}

#[test]
fn framing() {
    const ECHO: &[&str] = &["POST /echo @x"];
    let closed = |mut row: Row| {
        row.open = false;
        row
    };
    let mut rows = vec![
        // CL.TE and TE.CL: one framing is used, and nothing after the message is read.
        closed(taken(
            ECHO,
            post("Content-Length: 38\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{SMUGGLED}")),
        )),
        closed(taken(
            ECHO,
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("0\r\n\r\n{SMUGGLED}")),
        )),
        taken(ECHO, post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi")),
        taken(ECHO, post("Content-Length: 00002\r\n", "hi")),
        taken(ECHO, post("Transfer-Encoding: Chunked\r\n", "2\r\nhi\r\n0\r\n\r\n")),
        refused(&[400], post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        refused(&[400], post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")),
        refused(&[501], post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        refused(
            &[400],
            format!("POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: x\r\n\r\n0\r\n\r\n{SMUGGLED}"),
        ),
        refused(&[400], format!("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}")),
    ];
    for value in ["chunked, cow", "\x0bchunked", "xchunked", "identity", "\"chunked\"", "chunked;q=1"] {
        rows.push(refused(&[400], post(&format!("Transfer-Encoding: {value}\r\n"), SMUGGLED)));
    }
    for fields in ["Transfer-Encoding : chunked", "Transfer-Encoding\r\n : chunked", "Transfer-Encoding:\r\n chunked"] {
        rows.push(refused(&[400], post(&format!("{fields}\r\n"), SMUGGLED)));
    }
    for value in ["5,6", "5, 5", "+5", "-0", "0x5", " ", "5 5", "18446744073709551616", "5\r\nContent-Length: 6"] {
        rows.push(refused(&[400], post(&format!("Content-Length: {value}\r\n"), SMUGGLED)));
    }
    check_all(rows);
}

#[test]
fn request_lines() {
    let long_method = "A".repeat(70_000);
    let long_target = format!("/{}", "a".repeat(16_384));
    let huge_target = format!("/{}", "a".repeat(70_000));
    let rows = vec![
        taken(&["PROPFIND /a @x"], "PROPFIND /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        taken(&["get /a @x"], "get /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        taken(&["GET /a @x"], "\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / http/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / HTTP/1.2\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET /\r\n\r\n"),
        refused(&[400], "G{T / HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / x HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[431], format!("{long_method} / HTTP/1.1\r\nHost: x\r\n\r\n")),
        refused(&[414], format!("GET {long_target} HTTP/1.1\r\nHost: x\r\n\r\n")),
        refused(&[431], format!("GET {huge_target} HTTP/1.1\r\nHost: x\r\n\r\n")),
        refused(&[400], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        refused(&[505], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        refused(&[400], "\0\0\0\0\r\n\r\n"),
    ];
    check_all(rows);
}

#[test]
fn field_names_and_values() {
    let field = |field: &[u8]| {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec();
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    };
    let mut rows = vec![
        taken(&["GET / @x"], field(b"X-A: \xc3\xa9")),
        refused(&[400], field(format!("{}: 1", "n".repeat(270)).as_bytes())),
        refused(&[400], field(b"Connection: \xc3\xa9")),
    ];
    for bad in [
        &b": y"[..],
        b"junk",
        b"X\0: y",
        b"X Y: y",
        b"X\xff: y",
        b"X: a\0b",
        b"X: a\x7fb",
        b"X: a\rb",
        b" X: y",
        b"X: a\r\n folded",
    ] {
        rows.push(refused(&[400], field(bad)));
    }
    check_all(rows);
}

#[test]
fn hosts_targets_and_methods() {
    let mut rows = vec![
        taken(&["GET /a?b @x:81"], "GET http://x:81/a?b HTTP/1.1\r\nHost: x:81\r\n\r\n"),
        taken(&["GET //b @x"], "GET //b HTTP/1.1\r\nHost: x\r\n\r\n"),
        taken(&["GET /a%2Fb @x"], "GET /a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n"),
        taken(&["GET /x @x"], "GET /x#f HTTP/1.1\r\nHost: x\r\n\r\n"),
        taken(&[], "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / HTTP/1.1\r\n\r\n"),
        refused(&[400], "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        refused(&[400], "GET http://evil/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[400], "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[405], "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"),
        refused(&[405], "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[405], "TRACK / HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[404], "GET /%252e%252e HTTP/1.1\r\nHost: x\r\n\r\n"),
        refused(&[417], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: y\r\n\r\n"),
    ];
    for host in ["", "a b", "a/b", "u@x", "x:0", "x:65536", "x,y"] {
        rows.push(refused(&[400], format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    }
    for target in [
        "v",
        "*",
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/%2e%2e%2fb",
        "/a/..;/b",
        "/a\\..\\b",
        "/a%5c..%5cb",
        "/a%00b",
        "/%c0%af",
        "/%u002e",
        "/%0d%0a",
        "/%zz",
        "/\u{e9}",
        "ftp://x/",
    ] {
        rows.push(refused(&[400], format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")));
    }
    check_all(rows);
}

#[test]
fn limits_of_a_head_hold_at_their_edge() {
    const START: &str = "GET / HTTP/1.1\r\nHost: x\r\n";
    let of_length = |length: usize| {
        let value = "v".repeat(length - START.len() - "X: \r\n\r\n".len());
        format!("{START}X: {value}\r\n\r\n")
    };
    for head_bytes_max in [8_192, 20_000, 65_536, 100_000] {
        with(EdgeSettings { head_bytes_max, ..EdgeSettings::default() }, |site| async move {
            check(&site, taken(&["GET / @x"], of_length(head_bytes_max))).await;
            check(&site, refused(&[431], of_length(head_bytes_max + 1))).await;
            assert_eq!(read(&site.counters.malformed), 1);
        });
    }
    for header_count_max in [1, 99, 100, 101, 1_000] {
        let rules = AdmitRules { header_count_max, ..AdmitRules::default() };
        // One of them is Host.
        let of_fields = |count: usize| format!("{START}{}\r\n", "X: y\r\n".repeat(count - 1));
        with(EdgeSettings { rules, ..EdgeSettings::default() }, |site| async move {
            check(&site, taken(&["GET / @x"], of_fields(header_count_max))).await;
            check(&site, refused(&[431], of_fields(header_count_max + 1))).await;
            assert_eq!(read(&site.counters.malformed), 1);
        });
    }
}

#[test]
fn options_of_the_server_tell_the_methods() {
    with(EdgeSettings::default(), |site| async move {
        let mut client = site.connect().await;
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.head.contains("\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), "{answer:?}");
        client.send(b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.status == 405 && answer.head.contains("\r\nallow: GET, "), "{answer:?}");
    });
}

#[test]
fn what_a_client_may_not_bring_never_arrives() {
    with(EdgeSettings::default(), |site| async move {
        let fields = "MS-ASPNETCORE-TOKEN: x\r\nms-aspnetcore-token: y\r\nMS_ASPNETCORE_TOKEN: z\r\n\
            Ms-AspNetCore-Event: shutdown\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\n\
            X-Forwarded-Proto: https\r\nForwarded: for=1\r\nX-Real-IP: 1\r\nProxy: p\r\nX-Original-URL: /a\r\n\
            X-Rewrite-URL: /a\r\nContent_Length: 5\r\nUpgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 5\r\n\
            Connection: x-named, Upgrade, MS-ASPNETCORE-TOKEN, Host\r\nX-Named: 1\r\nX-Kept: 1\r\n";
        let mut client = site.connect().await;
        client.send(format!("GET /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(site.seen.requests.borrow()[0].fields, "x-kept: 1");
        assert_eq!(site.seen.requests.borrow()[0].line, "GET /a @x");
        site.serves_the_next().await;
    });
}

#[test]
fn a_trusted_peer_is_believed_but_not_about_secrets() {
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    with(EdgeSettings { proxies, ..EdgeSettings::default() }, |site| async move {
        let fields = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nMS-ASPNETCORE-TOKEN: x\r\nProxy: p\r\n";
        let mut client = site.connect().await;
        client.send(format!("GET /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(site.seen.requests.borrow()[0].fields, "x-forwarded-for: 1.2.3.4\nx-forwarded-proto: https");
    });
}

#[test]
fn pipelined_requests_keep_their_order() {
    let two = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
    check_all(vec![
        Row { bytes: two.into(), statuses: &[200, 200], handled: &["GET /1 @x", "GET /2 @x"], open: true },
        Row {
            bytes: "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGE{ /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            statuses: &[200, 400],
            handled: &["GET /1 @x"],
            open: false,
        },
        Row {
            bytes: "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            statuses: &[200, 400],
            handled: &["GET /1 @x"],
            open: false,
        },
        Row {
            bytes: "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                .into(),
            statuses: &[200, 200],
            handled: &["POST /echo @x", "GET /2 @x"],
            open: true,
        },
    ]);
}

#[test]
fn heads_may_come_byte_by_byte() {
    with(EdgeSettings::default(), |site| async move {
        let mut client = site.connect().await;
        client.stream.set_nodelay(true).unwrap();
        for byte in b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" {
            client.send(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.answer().await.body, "hi");
    });
}

#[test]
fn http_10_is_closed_unless_asked() {
    with(EdgeSettings::default(), |site| async move {
        let mut client = site.connect().await;
        client.send(b"GET /a HTTP/1.0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "pong"));
        client.assert_closed("HTTP/1.0").await;
        assert_eq!(site.seen.lines(), [format!("GET /a @{}", site.addr)]);

        let mut client = site.connect().await;
        client.send(b"POST /echo HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n").await;
        assert_eq!(client.answer().await.body, "", "no body without a length");
        client.send(b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        client.assert_closed("HTTP/1.0 second").await;
    });
}
