use super::{
    ANSWER_BODY_BYTES_MAX, HEAD_BYTES_MAX, HEAD_LINES_MAX, Rules, Side, TARGET_BYTES_MAX, VALUE_BYTES_MAX, answer,
    apply,
};
use crate::bindings::contract::types::{Edit, Header, Response};
use crate::testing::exchange;
use http::header::{HeaderName, HeaderValue};
use wire::target::PathRules;
use wire::{Exchange, ResponseHead};

fn header(name: &str, value: impl AsRef<[u8]>) -> Header {
    Header { name: name.to_owned(), value: value.as_ref().to_vec() }
}

fn set(name: &str, value: impl AsRef<[u8]>) -> Edit {
    Edit::Set(header(name, value))
}

fn run(side: Side, exchange: &mut Exchange, edits: Vec<Edit>) -> Result<(), String> {
    let slots = [HeaderName::from_static("x-slot")];
    apply(edits, Rules { side, slots: &slots, path: PathRules::default() }, exchange)
}

fn lines(exchange: &Exchange, name: &str) -> Vec<String> {
    let values = exchange.request.headers.get_all(name).iter();
    values.map(|value| value.to_str().expect("text").to_owned()).collect()
}

#[test]
fn each_edit_does_what_it_says() {
    let mut exchange = exchange("GET", "/a");
    exchange.request.headers.insert("gone", HeaderValue::from_static("1"));
    let edits = vec![
        set("X-Set", "1"),
        set("x-set", "2"),
        Edit::Append(header("x-more", "1")),
        Edit::Append(header("x-more", "2")),
        Edit::Remove("GONE".to_owned()),
        Edit::SetLines(("x-lines".to_owned(), vec![b"a".to_vec(), b"b".to_vec()])),
        Edit::SetSlot((0, b"slot".to_vec())),
        Edit::PathAndQuery("/b%20c?d=1".to_owned()),
        Edit::Method("POST".to_owned()),
        Edit::Authority("other.example:8080".to_owned()),
    ];
    run(Side::Request, &mut exchange, edits).expect("allowed");
    assert_eq!(lines(&exchange, "x-set"), ["2"]);
    assert_eq!(lines(&exchange, "x-more"), ["1", "2"]);
    assert_eq!(lines(&exchange, "gone"), [""; 0]);
    assert_eq!(lines(&exchange, "x-lines"), ["a", "b"]);
    assert_eq!(lines(&exchange, "x-slot"), ["slot"]);
    assert_eq!(exchange.request.target.as_str(), "/b%20c?d=1");
    assert_eq!(exchange.request.path(), "/b c");
    assert_eq!(exchange.request.method, "POST");
    assert_eq!(exchange.request.authority, "other.example:8080");

    exchange.response = Some(ResponseHead::new(http::StatusCode::OK));
    run(Side::Response, &mut exchange, vec![Edit::Status(503), set("retry-after", "1")]).expect("allowed");
    let head = exchange.response.as_ref().expect("a response");
    assert_eq!(head.status, 503);
    assert_eq!(head.headers["retry-after"], "1");
}

#[test]
fn what_a_plugin_may_not_write_is_refused_whole() {
    let long = "v".repeat(VALUE_BYTES_MAX + 1);
    let far = format!("/{}", "p".repeat(TARGET_BYTES_MAX));
    let request = [
        (set("x", "a\r\nb: c"), "control character"),
        (set("x", "a\0b"), "control character"),
        (set("x", "\x7f"), "control character"),
        (set("a b", "1"), "not a field name"),
        (set("", "1"), "not a field name"),
        (set(":path", "1"), "not a field name"),
        (set("MS-ASPNETCORE-TOKEN", "1"), "between host and backend"),
        (set("ms_aspnetcore_token", "1"), "between host and backend"),
        (set("Host", "x"), "the host writes it"),
        (set("Content-Length", "0"), "the host writes it"),
        (set("Transfer-Encoding", "chunked"), "one connection"),
        (set("Connection", "close"), "one connection"),
        (set("Keep-Alive", "1"), "one connection"),
        (set("TE", "trailers"), "one connection"),
        (set("Upgrade", "h2c"), "one connection"),
        (set("Content_Length", "0"), "read _ as -"),
        (set("X-IIS-WindowsAuthToken", "1"), "handle"),
        (Edit::Append(header("connection", "x")), "one connection"),
        (Edit::Remove("ms-aspnetcore-token".to_owned()), "between host and backend"),
        (Edit::Remove("content-length".to_owned()), "the host writes it"),
        (Edit::SetLines(("host".to_owned(), vec![b"a".to_vec()])), "the host writes it"),
        (Edit::SetLines(("x".to_owned(), vec![b"a".to_vec(), b"\n".to_vec()])), "control character"),
        (Edit::SetSlot((1, b"x".to_vec())), "slot 1"),
        (Edit::SetSlot((u32::MAX, b"x".to_vec())), "slot"),
        (set("x", long), "at most 16384"),
        (Edit::Status(200), "no status"),
        (Edit::Named(("later".to_owned(), Vec::new())), "unknown edit"),
        (Edit::PathAndQuery("http://other/".to_owned()), "not a path"),
        (Edit::PathAndQuery("x".to_owned()), "not a path"),
        (Edit::PathAndQuery("/a b".to_owned()), ""),
        (Edit::PathAndQuery("/a#b".to_owned()), "not a path"),
        (Edit::PathAndQuery("/a\r\nb".to_owned()), ""),
        (Edit::PathAndQuery("/../etc".to_owned()), "dot segments"),
        (Edit::PathAndQuery("/a%00".to_owned()), "control"),
        (Edit::PathAndQuery(far), "at most 16384"),
        (Edit::Method("GE T".to_owned()), "not a method"),
        (Edit::Method("TRACE".to_owned()), "not forwarded"),
        (Edit::Method("CONNECT".to_owned()), "not forwarded"),
        (Edit::Authority("a b".to_owned()), "not a host"),
        (Edit::Authority("u@host".to_owned()), "not a host"),
        (Edit::Authority(String::new()), "not a host"),
        (Edit::Authority("a/b".to_owned()), "not a host"),
    ];
    for (edit, word) in request {
        let mut exchange = exchange("GET", "/a");
        let refusal = run(Side::Request, &mut exchange, vec![set("x-first", "1"), edit.clone()]).expect_err("refused");
        assert!(refusal.contains(word) && refusal.starts_with("edit 1: "), "{edit:?}: {refusal}");
        assert_eq!(lines(&exchange, "x-first"), [""; 0], "half applied: {edit:?}");
        assert!(run(Side::Request, &mut exchange, vec![edit]).is_err());
    }
    for edit in [
        Edit::PathAndQuery("/".to_owned()),
        Edit::Method("GET".to_owned()),
        Edit::Authority("a".to_owned()),
        Edit::Status(101),
        Edit::Status(199),
        Edit::Status(600),
        Edit::Status(1000),
    ] {
        let mut exchange = exchange("GET", "/a");
        exchange.response = Some(ResponseHead::new(http::StatusCode::OK));
        assert!(run(Side::Response, &mut exchange, vec![edit.clone()]).is_err(), "{edit:?}");
    }
}

#[test]
fn the_size_limits_hold_at_their_edges() {
    let value = "v".repeat(VALUE_BYTES_MAX);
    let mut exchange = exchange("GET", "/a");
    run(Side::Request, &mut exchange, vec![set("x", &value)]).expect("exactly the limit");

    // Each further line has a name of 2 and 4 more bytes.
    exchange.request.headers.clear();
    let mut edits: Vec<_> = (0..3).map(|n| set(&format!("x{n}"), &value)).collect();
    let rest = HEAD_BYTES_MAX - 3 * (VALUE_BYTES_MAX + 6) - 6;
    edits.push(set("x3", "v".repeat(rest)));
    run(Side::Request, &mut exchange, edits.clone()).expect("exactly the limit");
    exchange.request.headers.clear();
    edits.pop();
    edits.push(set("x3", "v".repeat(rest + 1)));
    assert!(run(Side::Request, &mut exchange, edits).expect_err("one more").contains("at most 65536"));

    exchange.request.headers.clear();
    let many = |count: usize| (0..count).map(|_| Edit::Append(header("x", "1"))).collect::<Vec<_>>();
    run(Side::Request, &mut exchange, many(HEAD_LINES_MAX)).expect("exactly the limit");
    assert!(run(Side::Request, &mut exchange, many(1)).expect_err("one more").contains("at most 256"));
    run(Side::Request, &mut exchange, vec![Edit::Remove("x".to_owned())]).expect("removing always fits");
}

#[test]
fn answers_are_checked() {
    let response = |status, headers: &[(&str, &str)], body: usize| Response {
        status,
        headers: headers.iter().map(|(name, value)| header(name, value)).collect(),
        body: vec![b'x'; body],
        reason: Some("because\n".to_owned()),
    };
    let (head, body, reason) = answer(response(403, &[("a", "1"), ("A", "2")], 3)).expect("allowed");
    assert_eq!((head.status.as_u16(), head.headers.len(), &body[..]), (403, 2, b"xxx".as_slice()));
    assert_eq!(reason.as_deref(), Some("because\\n"));
    assert_eq!(answer(response(204, &[], 3)).expect("allowed").1.len(), 0);
    answer(response(200, &[], ANSWER_BODY_BYTES_MAX)).expect("exactly the limit");
    for (bad, word) in [
        (response(101, &[], 0), "200 to 599"),
        (response(99, &[], 0), "200 to 599"),
        (response(1000, &[], 0), "200 to 599"),
        (response(200, &[("content-length", "5")], 0), "the host writes it"),
        (response(200, &[("transfer-encoding", "chunked")], 0), "one connection"),
        (response(200, &[("x", "a\r\nb")], 0), "control character"),
        (response(200, &[("ms-aspnetcore-token", "x")], 0), "between host and backend"),
        (response(200, &[("a", "1"); HEAD_LINES_MAX + 1], 0), "at most 256"),
        (response(200, &[], ANSWER_BODY_BYTES_MAX + 1), "at most 1048576"),
    ] {
        let refusal = answer(bad).expect_err("refused");
        assert!(refusal.contains(word), "{refusal}");
    }
}
