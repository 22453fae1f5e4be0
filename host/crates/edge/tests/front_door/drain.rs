//! Stopping, and the budget of connections.

use crate::support::{PATIENCE, Site, read, with, within};
use gatelodge_edge::{DrainOrder, DrainReport, EdgeSettings};
use std::time::Duration;
use tokio::net::TcpStream;

fn run<F: Future<Output = ()>>(test: impl FnOnce(Site) -> F) {
    with(EdgeSettings::default(), test);
}

const PING: &[u8] = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
const GATE: &[u8] = b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn draining_closes_the_idle_and_answers_the_rest() {
    run(|site| async move {
        let mut silent = site.connect().await;
        let mut idle = site.connect().await;
        idle.send(PING).await;
        assert_eq!(idle.answer().await.status, 200);
        let mut half = site.connect().await;
        half.send(b"GET /ping HTTP/1.1\r\n").await;
        let mut busy = site.connect().await;
        busy.send(GATE).await;
        within(site.seen.waiting.notified()).await;

        site.order.send(DrainOrder::Drain { cut_after: PATIENCE }).unwrap();
        silent.assert_closed("silent").await;
        idle.assert_closed("idle").await;
        assert!(TcpStream::connect(site.addr).await.is_err(), "nothing new is accepted");
        half.send(b"Host: x\r\n\r\n").await;
        let answer = half.answer().await;
        assert!(answer.status == 200 && answer.says_close(), "{answer:?}");
        site.seen.gate.notify_one();
        let answer = busy.answer().await;
        assert!(answer.body == "through" && answer.says_close(), "{answer:?}");
        busy.assert_closed("busy").await;
        let report = within(site.server).await.unwrap().unwrap();
        assert_eq!(report, DrainReport { open: 4, finished: 4, cut: 0 });
    });
}

#[test]
fn what_lies_in_the_backlog_is_answered() {
    run(|site| async move {
        // The order comes in the same turn: the worker has not accepted them yet.
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let stream = std::net::TcpStream::connect(site.addr).unwrap();
            std::io::Write::write_all(&mut &stream, PING).unwrap();
            stream.set_nonblocking(true).unwrap();
            waiting.push(stream);
        }
        site.order.send(DrainOrder::Drain { cut_after: PATIENCE }).unwrap();
        for stream in waiting {
            let mut client = crate::support::Client::from(TcpStream::from_std(stream).unwrap());
            assert_eq!(client.answer().await.status, 200);
        }
        let report = within(site.server).await.unwrap().unwrap();
        assert_eq!((report.finished, report.cut), (3, 0));
    });
}

#[test]
fn the_deadline_and_a_second_order_cut() {
    for second in [false, true] {
        run(|site| async move {
            let mut busy = site.connect().await;
            busy.send(GATE).await;
            within(site.seen.waiting.notified()).await;
            let cut_after = if second { PATIENCE * 10 } else { Duration::from_millis(100) };
            site.order.send(DrainOrder::Drain { cut_after }).unwrap();
            if second {
                tokio::task::yield_now().await;
                site.order.send(DrainOrder::Cut).unwrap();
            }
            assert!(busy.is_reset().await);
            let report = within(site.server).await.unwrap().unwrap();
            assert_eq!(report, DrainReport { open: 1, finished: 0, cut: 1 });
            within(site.seen.dropped.notified()).await;
        });
    }
}

#[test]
fn a_lost_owner_cuts() {
    run(|site| async move {
        let mut idle = site.connect().await;
        idle.send(PING).await;
        assert_eq!(idle.answer().await.status, 200);
        drop(site.order);
        let report = within(site.server).await.unwrap().unwrap();
        assert_eq!(report, DrainReport { open: 1, finished: 0, cut: 1 });
    });
}

#[test]
fn connections_over_budget_are_closed_and_counted() {
    with(EdgeSettings { connections_max: 2, ..EdgeSettings::default() }, |site| async move {
        let mut first = site.connect().await;
        first.send(PING).await;
        assert_eq!(first.answer().await.status, 200);
        let mut second = site.connect().await;
        second.send(PING).await;
        assert_eq!(second.answer().await.status, 200, "at the limit");
        let mut third = site.connect().await;
        third.assert_closed("over the limit").await;
        assert_eq!((read(&site.counters.accepted), read(&site.counters.over_budget)), (3, 1));
        drop(first);
        while read(&site.counters.closed) == 0 {
            tokio::task::yield_now().await;
        }
        site.serves_the_next().await;
    });
}
