use super::{Door, Secret, check};
use http::{Request, StatusCode};
use std::sync::Arc;

fn tcp() -> (Door, String) {
    let secret = Secret::draw().unwrap();
    let text = secret.expose().to_owned();
    (Door::Tcp { secret: Arc::new(secret) }, text)
}

fn asks(door: &Door, target: &str, fields: &[(&str, &str)], order: bool) -> Option<StatusCode> {
    let mut request = Request::builder().uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    check(door, &request.body(()).unwrap().into_parts().0, order).err().map(|(status, _)| status)
}

/// Fields, and the status of the refusal.
type Case<'a> = (&'a [(&'a str, &'a str)], Option<StatusCode>);

#[test]
fn only_what_no_foreign_page_can_send_is_let_in() {
    let (door, _) = tcp();
    let (bad, denied) = (Some(StatusCode::BAD_REQUEST), Some(StatusCode::FORBIDDEN));
    let own = ("host", "127.0.0.1:9180");
    let table: &[Case<'_>] = &[
        (&[own], None),
        (&[("host", "localhost")], None),
        (&[("host", "LOCALHOST:80")], None),
        (&[("host", "[::1]:9180")], None),
        (&[("host", "[::1]")], None),
        (&[], bad),
        (&[own, own], bad),
        (&[("host", "")], denied),
        (&[("host", "evil.example:9180")], denied),
        (&[("host", "localhost.evil.example")], denied),
        (&[("host", "127.0.0.1.evil.example")], denied),
        (&[("host", "127.0.0.1:9180.evil.example")], denied),
        (&[("host", "[::1].evil.example")], denied),
        (&[("host", "[evil.example]")], denied),
        (&[("host", "::1")], denied),
        (&[("host", "127.0.0.1:")], denied),
        (&[("host", "user@127.0.0.1")], denied),
        (&[own, ("origin", "http://127.0.0.1:9180")], None),
        (&[own, ("origin", "http://127.0.0.1:9181")], denied),
        (&[own, ("origin", "https://127.0.0.1:9180")], denied),
        (&[own, ("origin", "null")], denied),
        (&[own, ("origin", "http://evil.example")], denied),
        (&[own, ("origin", "http://127.0.0.1:9180"), ("origin", "null")], denied),
        (&[own, ("sec-fetch-site", "same-origin")], None),
        (&[own, ("sec-fetch-site", "none")], None),
        (&[own, ("sec-fetch-site", "cross-site")], denied),
        (&[own, ("sec-fetch-site", "same-site")], denied),
        (&[own, ("sec-fetch-site", "")], denied),
        (&[own, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")], denied),
    ];
    for (fields, wanted) in table {
        assert_eq!(asks(&door, "/status", fields, false), *wanted, "{fields:?}");
    }
    assert_eq!(asks(&door, "http://127.0.0.1/status", &[own], false), bad);
}

#[test]
fn an_order_over_tcp_brings_the_secret() {
    let (door, secret) = tcp();
    assert_eq!(secret.len(), 64);
    let own = ("host", "127.0.0.1:9180");
    let denied = Some(StatusCode::UNAUTHORIZED);
    let (right, other_case) = (format!("Bearer {secret}"), format!("bEARER {secret}"));
    let (short, long) = (&right[..70], format!("{right}0"));
    let wrong = format!("Bearer {}", "0".repeat(64));
    let basic = format!("Basic  {secret}");
    for (value, wanted) in [
        (right.as_str(), None),
        (&other_case, None),
        (short, denied),
        (&long, denied),
        (&wrong, denied),
        (&basic, denied),
        (&secret, denied),
        ("Bearer ", denied),
        ("Bearer", denied),
        ("", denied),
    ] {
        assert_eq!(asks(&door, "/stop", &[own, ("authorization", value)], true), wanted, "{value:?}");
    }
    assert_eq!(asks(&door, "/stop", &[own], true), denied);
    assert_eq!(asks(&door, "/stop", &[own, ("authorization", &right), ("authorization", &right)], true), denied);
    // A page that knew the secret would still be a page.
    let fields = [own, ("authorization", right.as_str()), ("origin", "http://evil.example")];
    assert_eq!(asks(&door, "/stop", &fields, true), Some(StatusCode::FORBIDDEN));
}

#[test]
fn a_socket_is_for_its_user_and_root() {
    for (peer, wanted) in [(1000, None), (0, None), (1001, Some(StatusCode::FORBIDDEN))] {
        let door = Door::Socket { peer, allowed: [1000, 0] };
        for order in [false, true] {
            assert_eq!(asks(&door, "/", &[], order), wanted, "{peer}");
        }
    }
}

#[test]
fn no_secret_is_drawn_twice() {
    assert_ne!(Secret::draw().unwrap().expose(), Secret::draw().unwrap().expose());
}
