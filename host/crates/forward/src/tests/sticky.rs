//! The affinity cookie between a client and several instances.

use super::fleet::{Fleet, Instance};
use super::support::{collect, exchange, no_body, read_head};
use crate::{Affinity, ForwardSettings};
use http::header::SET_COOKIE;
use std::time::{Duration, Instant};
use wire::ResponseHead;

/// The names of instances 1 and 2.
const ONE: &str = "000000000000abc1";
const TWO: &str = "000000000000abc2";

fn settings() -> ForwardSettings {
    let affinity_cookie = Some(Affinity { name: "gl".into(), path: "/".into() });
    ForwardSettings { affinity_cookie, ..ForwardSettings::default() }
}

fn set_cookies(head: &ResponseHead) -> Vec<&str> {
    head.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().expect("it is ASCII")).collect()
}

fn ours(name: &str) -> String {
    format!("gl={name}; Path=/; HttpOnly; SameSite=Lax")
}

/// Sends a request with this cookie, which `instance` has to get; the request's
/// head and the response's.
async fn ask(fleet: &Fleet, cookie: &'static str, instance: &Instance) -> (String, ResponseHead) {
    let fields = [("cookie", cookie)];
    let exchange = exchange("GET", "/", if cookie.is_empty() { &[] } else { &fields });
    let (result, (request, _stream)) = tokio::join!(fleet.send(&exchange, no_body()), instance.serve());
    let (head, body) = result.expect("a response");
    assert_eq!(collect(body).await.expect("whole"), b"ok");
    (request, head)
}

#[tokio::test]
async fn a_client_comes_back_to_its_instance() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::with(&[&one, &two], settings());
    let (_, head) = ask(&fleet, "", &one).await;
    assert_eq!(set_cookies(&head), [ours(ONE)]);
    // Though the other has less to do, and would be next.
    let _busy = (one.paired.load.begin(), one.paired.load.begin());
    for count in 1..=3 {
        let (request, head) = ask(&fleet, "a=1; gl=000000000000abc1; b=2", &one).await;
        assert!(request.contains("\r\ncookie: a=1; b=2\r\n"), "{request}");
        assert_eq!(set_cookies(&head), [""; 0]);
        assert_eq!(fleet.forwarder.counters().affinity_hits(), count);
    }
    let (request, _) = ask(&fleet, "gl=000000000000abc2", &two).await;
    assert!(!request.contains("cookie"), "{request}");
}

#[tokio::test]
async fn a_client_whose_instance_cannot_be_chosen_gets_another() {
    type Prepare = fn(&Instance);
    let cases: [(&str, Prepare); 3] = [
        ("retired", |one| one.paired.load.retire()),
        ("ejected", |one| {
            let now = Instant::now();
            assert_eq!(one.paired.load.eject_once(now, now + Duration::from_secs(60)), Some(1));
        }),
        ("busy, and not named well", |one| std::mem::forget(one.paired.load.begin())),
    ];
    for (at, (why, prepare)) in cases.into_iter().enumerate() {
        let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
        let fleet = Fleet::with(&[&one, &two], settings());
        prepare(&one);
        let cookie = if at < 2 { "gl=000000000000abc1" } else { "gl=000000000000ABC1" };
        let (request, head) = ask(&fleet, cookie, &two).await;
        assert!(!request.contains("gl="), "{why}: {request}");
        assert_eq!(set_cookies(&head), [ours(TWO)], "{why}");
        assert_eq!(fleet.forwarder.counters().affinity_hits(), 0, "{why}");
    }
    // It refuses: the client moves.
    let (dead, two) = (Instance::dead(1).await, Instance::listening(2).await);
    let fleet = Fleet::with(&[&dead, &two], settings());
    let (_, head) = ask(&fleet, "gl=000000000000abc1", &two).await;
    assert_eq!(set_cookies(&head), [ours(TWO)]);
    assert_eq!(fleet.forwarder.counters().resends(), 1);
}

#[tokio::test]
async fn a_stale_connection_does_not_move_a_client() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::with(&[&one, &two], settings());
    let first = exchange("GET", "/", &[]);
    let (result, (_, mut stream)) = tokio::join!(fleet.send(&first, no_body()), one.serve());
    assert!(result.is_ok());
    let again = exchange("GET", "/", &[("cookie", "gl=000000000000abc1")]);
    let (result, _served) = tokio::join!(fleet.send(&again, no_body()), async {
        read_head(&mut stream).await;
        drop(stream);
        one.serve().await
    });
    assert_eq!(set_cookies(&result.expect("a response").0), [""; 0]);
    assert_eq!((fleet.forwarder.counters().retries(), fleet.forwarder.counters().resends()), (1, 0));
}

#[tokio::test]
async fn the_backends_own_cookies_stay_and_without_a_setting_so_do_all() {
    const RAW: &[u8] =
        b"HTTP/1.1 200 OK\r\nSet-Cookie: gl=mine\r\nSet-Cookie: s=1; HttpOnly\r\nContent-Length: 0\r\n\r\n";
    for (settings, added) in [(settings(), Some(ours(ONE))), (ForwardSettings::default(), None)] {
        let one = Instance::listening(1).await;
        let fleet = Fleet::with(&[&one], settings);
        let exchange = exchange("GET", "/", &[("cookie", "a=1; gl=mine"), ("cookie", "gl=000000000000abc7")]);
        let (result, request) = tokio::join!(fleet.send(&exchange, no_body()), async {
            let mut stream = one.accept().await;
            let request = read_head(&mut stream).await;
            super::support::write(&mut stream, RAW).await;
            request
        });
        let (head, _) = result.expect("a response");
        let mut expected = vec!["gl=mine", "s=1; HttpOnly"];
        expected.extend(added.as_deref());
        assert_eq!(set_cookies(&head), expected);
        let cookies =
            if added.is_some() { "cookie: a=1\r\n" } else { "cookie: a=1; gl=mine\r\ncookie: gl=000000000000abc7\r\n" };
        assert!(request.contains(&format!("\r\n{cookies}X-Forwarded-For")), "{request}");
    }
}
