//! Several workers behind one port, which share nothing but it.

use crate::support::{PATIENCE, Recorder, read};
use gatelodge_edge::{Counters, Door, DrainOrder, EdgeSettings, serve};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use tokio::sync::watch;
use tokio::task::LocalSet;

/// One connection lands at a worker by chance: 64 of them leave one of two out
/// once in 2^63 runs.
const CONNECTIONS: u64 = 64;

#[test]
fn workers_on_their_own_threads_serve_one_port() {
    let door = Door::bind(&["http://127.0.0.1:0".parse().unwrap()], 2, 128).unwrap();
    let addr = door.bound()[0].addr;
    let (order, _) = watch::channel(DrainOrder::Run);
    let workers: Vec<_> = door
        .into_workers()
        .into_iter()
        .map(|listeners| {
            let counters = Arc::new(Counters::default());
            let (drain, counted) = (order.subscribe(), Arc::clone(&counters));
            let worker = thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let settings = watch::channel(Arc::new(EdgeSettings::default())).1;
                let served = serve(listeners, settings, counted, Rc::new(Recorder::default()), drain);
                LocalSet::new().block_on(&runtime, served).unwrap()
            });
            (worker, counters)
        })
        .collect();

    for _ in 0..CONNECTIONS {
        let mut client = TcpStream::connect(addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET /close HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    order.send(DrainOrder::Drain { cut_after: PATIENCE }).unwrap();
    let mut accepted = Vec::new();
    for (worker, counters) in workers {
        assert_eq!(worker.join().unwrap().cut, 0);
        accepted.push(read(&counters.accepted));
    }
    assert_eq!(accepted.iter().sum::<u64>(), CONNECTIONS);
    // Elsewhere the workers take from one queue, and one of them may be faster.
    assert!(!cfg!(target_os = "linux") || accepted.iter().all(|count| *count > 0), "{accepted:?}");
}

#[test]
fn changed_limits_hold_for_connections_accepted_from_then_on() {
    crate::support::with(EdgeSettings::default(), |site| async move {
        let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100));
        let mut old = site.connect().await;
        old.send(long.as_bytes()).await;
        assert_eq!(old.answer().await.status, 200);
        let mut narrow = EdgeSettings::default();
        narrow.rules.target_bytes_max = 100;
        site.settings.send_replace(Arc::new(narrow));
        let mut new = site.connect().await;
        new.send(long.as_bytes()).await;
        assert_eq!(new.answer().await.status, 414);
        old.send(long.as_bytes()).await;
        assert_eq!(old.answer().await.status, 200);
    });
}
