//! Requests over several instances: who gets them, and who no longer.

use super::fleet::{Fleet, Instance, OK, ready};
use super::support::{body, collect, exchange, no_body, read_head, read_text, reset, upload, within, write};
use crate::ForwardSettings;
use bytes::Bytes;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use wire::ports::{BackendSignal, BackendState};
use wire::{Framing, Kind};

/// L36: requests one after another are spread evenly over the processes.
#[tokio::test]
async fn sequential_requests_are_spread_evenly() {
    let mut instances = [Instance::listening(1).await, Instance::listening(2).await, Instance::listening(3).await];
    let [a, b, c] = &instances;
    let fleet = Fleet::of(&[a, b, c]);
    let (mut tasks, gate) = (JoinSet::new(), watch::Sender::new(true));
    let heads = instances.each_mut().map(|instance| instance.run(&mut tasks, &gate));
    for _ in 0..300 {
        let (_, body) = fleet.get().await.expect("a response");
        assert_eq!(collect(body).await.expect("whole"), b"ok");
    }
    assert_eq!(heads.each_ref().map(|heads| *heads.borrow()), [100, 100, 100]);
    // Each kept its connection.
    assert_eq!((fleet.forwarder.counters().connects(), fleet.forwarder.idle_connections()), (3, 3));
}

#[tokio::test]
async fn requests_at_once_are_spread_evenly() {
    let mut instances = [Instance::listening(1).await, Instance::listening(2).await, Instance::listening(3).await];
    let [a, b, c] = &instances;
    let fleet = Rc::new(Fleet::of(&[a, b, c]));
    let (mut tasks, gate) = (JoinSet::new(), watch::Sender::new(false));
    let heads = instances.each_mut().map(|instance| instance.run(&mut tasks, &gate));
    let local = LocalSet::new();
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let fleet = Rc::clone(&fleet);
            local.spawn_local(async move { collect(fleet.get().await.expect("a response").1).await })
        })
        .collect();
    let loads = instances.each_ref().map(|instance| &instance.paired.load);
    within(local.run_until(async {
        for (mut heads, at_least) in heads.into_iter().zip([34, 33, 33]) {
            heads.wait_for(|count| *count >= at_least).await.expect("it serves");
            assert_eq!(*heads.borrow(), at_least);
        }
        assert_eq!(loads.map(|load| load.outstanding()), [34, 33, 33]);
        gate.send_replace(true);
        for client in clients {
            assert_eq!(client.await.expect("no panic").expect("whole"), b"ok");
        }
    }))
    .await;
    assert_eq!(loads.map(|load| (load.outstanding(), load.requests())), [(0, 34), (0, 33), (0, 33)]);
}

#[tokio::test]
async fn faults_in_a_row_eject_and_time_brings_back() {
    let (bad, mut good) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::of(&[&bad, &good]);
    let (mut tasks, gate) = (JoinSet::new(), watch::Sender::new(true));
    let served = good.run(&mut tasks, &gate);
    let ejections = || fleet.forwarder.counters().ejections();
    // Four faults are forgotten with one answer.
    for _ in 0..4 {
        let (result, ()) = tokio::join!(fleet.get(), bad.hang_up());
        assert!(matches!(result.err().expect("a fault").kind, Kind::BackendGone));
        assert!(fleet.get().await.is_ok());
    }
    let (result, _stream) = tokio::join!(fleet.get(), async {
        let mut stream = bad.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
        stream
    });
    assert_eq!(result.expect("its own answer").0.status, 500);
    assert!(fleet.get().await.is_ok());
    // Five are not.
    for fault in 1..=5 {
        assert_eq!(ejections(), 0, "{fault}");
        let (result, ()) = tokio::join!(fleet.get(), bad.hang_up());
        assert!(result.is_err());
        if fault < 5 {
            assert!(fleet.get().await.is_ok());
        }
    }
    assert_eq!(ejections(), 1);
    let before = *served.borrow();
    for (seconds, again) in [(10, 1), (20, 2)] {
        for _ in 0..20 {
            assert!(fleet.get().await.is_ok());
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(100)).await;
        tokio::time::resume();
        assert!(fleet.get().await.is_ok(), "its time is not over");
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(101)).await;
        tokio::time::resume();
        // It is back, and one more fault takes it out for twice as long.
        let found = async { while fleet.get().await.is_ok() {} };
        tokio::join!(within(found), bad.hang_up());
        assert_eq!(ejections(), again + 1);
    }
    assert!(*served.borrow() >= before + 42);
}

#[tokio::test]
async fn the_last_one_is_never_ejected() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::of(&[&one, &two]);
    let fail = async |instance: &Instance| {
        let (result, ()) = tokio::join!(fleet.get(), instance.hang_up());
        assert!(result.is_err());
    };
    // Both reach the limit; the first to do so is ejected, the other serves on.
    for _ in 0..5 {
        fail(&one).await;
        if fleet.forwarder.counters().ejections() == 0 {
            fail(&two).await;
        }
    }
    for _ in 0..20 {
        fail(&two).await;
    }
    assert_eq!(fleet.forwarder.counters().ejections(), 1);

    let only = Instance::listening(3).await;
    fleet.publish(&[&only]);
    for _ in 0..20 {
        fail(&only).await;
    }
    assert_eq!((fleet.forwarder.counters().ejections(), only.paired.load.was_ejected()), (1, false));
}

#[tokio::test]
async fn the_number_of_faults_is_exact_and_a_clients_fault_is_none() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::with(&[&one, &two], ForwardSettings { eject_faults_max: 1, ..ForwardSettings::default() });
    let broken = upload("POST", Framing::Length(9));
    let (result, _) = tokio::join!(fleet.send(&broken, body(&["ab"])), one.accept());
    assert!(matches!(result.err().expect("a fault").kind, Kind::BadRequest(_)));
    assert_eq!(fleet.forwarder.counters().ejections(), 0);
    tokio::join!(async { assert!(fleet.get().await.is_err()) }, two.hang_up());
    assert_eq!(fleet.forwarder.counters().ejections(), 1);
}

#[tokio::test]
async fn an_upload_that_is_refused_goes_to_another_whole() {
    let (dead, other) = (Instance::dead(1).await, Instance::listening(2).await);
    let mut fleet = Fleet::of(&[&dead, &other]);
    let exchange = upload("POST", Framing::Chunked);
    let wanted = "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let mut script = body(&["ab"]);
    script.frames.push_back(Ok(http_body::Frame::data(Bytes::from_static(b"cd"))));
    let (result, seen) = tokio::join!(fleet.send(&exchange, script), async {
        let mut stream = other.accept().await;
        assert!(read_head(&mut stream).await.starts_with("POST /up HTTP/1.1\r\n"));
        let seen = read_text(&mut stream, wanted.len()).await;
        write(&mut stream, OK).await;
        seen
    });
    assert!(result.is_ok());
    assert_eq!(seen, wanted);
    assert_eq!((fleet.suspects(), fleet.forwarder.counters().resends()), (vec![1], 1));
    assert_eq!((dead.paired.load.outstanding(), other.paired.load.requests()), (0, 1));
}

#[tokio::test]
async fn a_connection_reset_before_a_byte_was_sent_is_as_refused() {
    let (one, other) = (Instance::dead(1).await, Instance::listening(2).await);
    let listener = std::net::TcpListener::bind(one.paired.addr).expect("the port is free again");
    let mut fleet = Fleet::of(&[&one, &other]);
    let exchange = upload("POST", Framing::Length(2));
    let backend = async {
        // The request's future waits for its connection; it is reset before it may go on.
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_nonblocking(true).expect("a socket option");
        reset(tokio::net::TcpStream::from_std(stream).expect("a socket"));
        other.serve().await
    };
    let (result, _served) = tokio::join!(fleet.send(&exchange, body(&["hi"])), backend);
    assert!(result.is_ok(), "{:?}", result.err());
    assert_eq!((fleet.suspects(), fleet.forwarder.counters().resends()), (vec![1], 1));
}

#[tokio::test]
async fn each_instance_is_tried_once_and_then_a_successor_is_waited_for() {
    let dead = [Instance::dead(1).await, Instance::dead(2).await, Instance::dead(3).await];
    let next = Instance::listening(4).await;
    let [a, b, c] = &dead;
    let mut fleet = Fleet::of(&[a, b, c]);
    let fault = fleet.get().await.err().expect("nobody is there");
    assert!(matches!(fault.kind, Kind::ConnectFailed), "{fault}");
    assert_eq!(fleet.suspects(), [1, 2, 3]);

    let fleet = Fleet::with(&[a, b, c], ForwardSettings::default());
    let (result, _served) = tokio::join!(fleet.get(), async {
        fleet.waits(1).await;
        // One of the dead is still published beside its successor.
        fleet.publish(&[c, &next]);
        next.serve().await
    });
    assert!(result.is_ok());
}

#[tokio::test]
async fn what_was_written_to_a_new_connection_is_never_sent_again() {
    for method in ["POST", "GET"] {
        let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
        let fleet = Fleet::of(&[&one, &two]);
        let exchange = exchange(method, "/", &[]);
        let (result, ()) = tokio::join!(fleet.send(&exchange, no_body()), one.hang_up());
        assert!(matches!(result.err().expect("a fault").kind, Kind::BackendGone));
        assert_eq!((two.paired.load.requests(), fleet.forwarder.counters().resends()), (0, 0), "{method}");
    }
}

#[tokio::test]
async fn a_request_on_a_stale_connection_goes_to_another_instance() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let mut fleet = Fleet::of(&[&one]);
    let (result, (_, mut stream)) = tokio::join!(fleet.get(), one.serve());
    assert!(result.is_ok());
    let _busy = two.paired.load.begin();
    fleet.publish(&[&one, &two]);
    let (result, _served) = tokio::join!(fleet.get(), async {
        read_head(&mut stream).await;
        drop(stream);
        two.serve().await
    });
    assert!(result.is_ok());
    let counters = fleet.forwarder.counters();
    assert_eq!((counters.retries(), counters.resends(), counters.ejections()), (1, 1, 0));
    assert_eq!(fleet.suspects(), [1]);
    assert_eq!((one.paired.load.outstanding(), two.paired.load.outstanding()), (0, 1));
}

#[tokio::test]
async fn retired_instances_count_as_a_backend_that_is_busy() {
    let (old, new) = (Instance::listening(1).await, Instance::listening(2).await);
    let fleet = Fleet::of(&[&old]);
    old.paired.load.retire();
    let (result, _served) = tokio::join!(fleet.get(), async {
        fleet.waits(1).await;
        fleet.publish(&[&new]);
        new.serve().await
    });
    assert!(result.is_ok());
    assert_eq!((old.paired.load.requests(), old.paired.load.outstanding()), (0, 0));

    // And it wakes one that has gone idle instead.
    let mut fleet = Fleet::of(&[&old]);
    let forwarder = fleet.forwarder.clone();
    let exchange = exchange("GET", "/", &[]);
    let send = within(wire::ports::Forward::send(&forwarder, &exchange, no_body(), 1));
    let (result, _served) = tokio::join!(send, async {
        fleet.waits(1).await;
        assert!(fleet.signals.try_recv().is_err(), "nothing to wake while it is replaced");
        fleet.state.send_replace(BackendState::Idle);
        assert_eq!(within(fleet.signals.recv()).await, Some(BackendSignal::Wake));
        fleet.state.send_replace(ready(&[&new]));
        new.serve().await
    });
    assert!(result.is_ok());
}

#[tokio::test]
async fn a_refused_instance_may_be_chosen_again_once_the_state_has_changed() {
    let one = Instance::dead(1).await;
    let settings = ForwardSettings { waiting_ms_max: 10_000, suspect_ms_max: 10_000, ..ForwardSettings::default() };
    let mut fleet = Fleet::with(&[&one], settings);
    let forwarder = fleet.forwarder.clone();
    let exchange = exchange("GET", "/", &[]);
    let send = within(wire::ports::Forward::send(&forwarder, &exchange, no_body(), 1));
    let (result, ()) = tokio::join!(send, async {
        fleet.waits(1).await;
        let listener = tokio::net::TcpListener::bind(one.paired.addr).await.expect("the port is free again");
        fleet.state.send_replace(BackendState::Idle);
        while within(fleet.signals.recv()).await != Some(BackendSignal::Wake) {}
        fleet.publish(&[&one]);
        let (mut stream, _) = within(listener.accept()).await.expect("a connection");
        read_head(&mut stream).await;
        write(&mut stream, OK).await;
    });
    assert!(result.is_ok(), "{:?}", result.err());
}
