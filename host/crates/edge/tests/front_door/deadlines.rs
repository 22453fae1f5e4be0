//! Slow peers: each wait has its own deadline, and passing it is counted.

use crate::support::{read, with, within};
use gatelodge_edge::EdgeSettings;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep};

/// Short enough for a test, long enough for a busy machine to tell apart.
const SHORT: u64 = 300;
/// A deadline that must not be the one that passed.
const LONG: u64 = 60_000;

fn settings() -> EdgeSettings {
    EdgeSettings {
        first_byte_ms_max: LONG,
        head_ms_max: LONG,
        idle_ms_max: LONG,
        body_idle_ms_max: LONG,
        body_total_ms_max: LONG,
        write_idle_ms_max: LONG,
        ..EdgeSettings::default()
    }
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    with(EdgeSettings { first_byte_ms_max: SHORT, ..settings() }, |site| async move {
        let began = Instant::now();
        let mut client = site.connect().await;
        client.assert_closed("nothing said").await;
        assert!(began.elapsed() >= Duration::from_millis(SHORT));
        assert_eq!(read(&site.counters.first_byte_timeouts), 1);
        site.serves_the_next().await;
    });
}

#[test]
fn half_a_head_gets_408() {
    with(EdgeSettings { head_ms_max: SHORT, ..settings() }, |site| async move {
        for half in ["G", "GET / HTTP/1.1\r\nHost: x\r\n", "PRI * HTT", "\r\n"] {
            let mut client = site.connect().await;
            client.send(half.as_bytes()).await;
            // The sniffer knows that preface at once; everything else waits for more.
            let want = if half.starts_with("PRI ") { 505 } else { 408 };
            let answer = client.answer().await;
            assert!(answer.status == want && answer.says_close(), "{half:?}: {answer:?}");
            client.assert_closed(half).await;
        }
        assert_eq!(read(&site.counters.head_timeouts), 3);
        site.serves_the_next().await;
    });
}

#[test]
fn a_dripped_head_gets_no_more_time() {
    with(EdgeSettings { head_ms_max: SHORT, ..settings() }, |site| async move {
        let mut client = site.connect().await;
        client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        let began = Instant::now();
        let mut drip = interval(Duration::from_millis(SHORT / 10));
        loop {
            drip.tick().await;
            client.try_send(b"X").await;
            if read(&site.counters.head_timeouts) > 0 {
                break;
            }
            assert!(began.elapsed() < Duration::from_millis(LONG / 4), "still dripping");
        }
        assert_eq!(client.answer().await.status, 408);
    });
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    with(EdgeSettings { idle_ms_max: 3 * SHORT, ..settings() }, |site| async move {
        let mut client = site.connect().await;
        for _ in 0..3 {
            client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
            assert_eq!(client.answer().await.status, 200);
            // Together longer than the limit: each request begins a new wait.
            sleep(Duration::from_millis(SHORT * 3 / 2)).await;
        }
        client.assert_closed("idle").await;
        assert_eq!(read(&site.counters.idle_timeouts), 1);
    });
}

#[test]
fn no_deadline_runs_while_a_handler_works() {
    let all = EdgeSettings {
        first_byte_ms_max: SHORT,
        head_ms_max: SHORT,
        idle_ms_max: SHORT,
        body_idle_ms_max: SHORT,
        body_total_ms_max: SHORT,
        write_idle_ms_max: SHORT,
        ..settings()
    };
    with(all, |site| async move {
        let mut client = site.connect().await;
        client.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n").await;
        within(site.seen.waiting.notified()).await;
        sleep(Duration::from_millis(2 * SHORT)).await;
        site.seen.gate.notify_one();
        assert_eq!(client.answer().await.body, "through");
    });
}

#[test]
fn a_body_that_stops_gets_408() {
    with(EdgeSettings { body_idle_ms_max: SHORT, ..settings() }, |site| async move {
        for head in [
            "Content-Length: 9\r\n\r\n",
            "Content-Length: 9\r\n\r\nhi",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        ] {
            let mut client = site.connect().await;
            client.send(format!("POST /echo HTTP/1.1\r\nHost: x\r\n{head}").as_bytes()).await;
            let answer = client.answer().await;
            assert!(answer.status == 408 && answer.says_close(), "{head:?}: {answer:?}");
            client.assert_closed(head).await;
            let seen = site.seen.requests.borrow_mut().pop().unwrap();
            assert_eq!(seen.body, Some(Err("RequestTimeout".to_owned())), "{head:?}");
        }
        assert_eq!(read(&site.counters.body_timeouts), 3);
        site.serves_the_next().await;
    });
}

#[test]
fn a_dripped_body_ends_with_its_total() {
    with(EdgeSettings { body_idle_ms_max: 3 * SHORT, body_total_ms_max: 5 * SHORT, ..settings() }, |site| async move {
        let mut client = site.connect().await;
        let began = Instant::now();
        client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n").await;
        let mut drip = interval(Duration::from_millis(SHORT / 10));
        while read(&site.counters.body_timeouts) == 0 {
            drip.tick().await;
            client.try_send(b"X").await;
            assert!(began.elapsed() < Duration::from_millis(LONG / 4), "still dripping");
        }
        assert!(began.elapsed() >= Duration::from_millis(5 * SHORT), "the idle limit did not cut it");
        assert_eq!(client.answer().await.status, 408);
    });
}

#[test]
fn a_client_that_does_not_read_is_reset() {
    with(EdgeSettings { write_idle_ms_max: SHORT, ..settings() }, |site| async move {
        let mut client = site.connect_with(|socket| socket.set_recv_buffer_size(4_096).unwrap()).await;
        client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let began = Instant::now();
        while read(&site.counters.write_timeouts) == 0 {
            assert!(began.elapsed() < Duration::from_millis(LONG / 4), "still waiting for the reader");
            sleep(Duration::from_millis(20)).await;
        }
        assert!(client.is_reset().await);
        site.serves_the_next().await;
    });
}
