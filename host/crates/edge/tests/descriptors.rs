//! A worker without file descriptors pauses, counts, and goes on when there are
//! some again. Alone in its process, whose limit it lowers.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use bytes::Bytes;
use gatelodge_edge::{Counters, Door, DrainOrder, EdgeSettings, RequestBody, serve};
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};
use wire::ports::{Handle, Reply};
use wire::{ConnFacts, Fault, RequestHead, ResponseHead};

struct NoContent;

type NoBody = http_body_util::combinators::MapErr<Empty<Bytes>, fn(Infallible) -> Fault>;

impl Handle<RequestBody> for NoContent {
    type Body = NoBody;

    async fn handle(&self, _: &Arc<ConnFacts>, _: RequestHead, _: RequestBody) -> Reply<NoBody> {
        let body = Empty::new().map_err((|never| match never {}) as fn(Infallible) -> Fault);
        Reply { head: ResponseHead::new(StatusCode::NO_CONTENT), body, close: true }
    }

    fn refuse(&self, _: &Arc<ConnFacts>, fault: Fault) -> Reply<NoBody> {
        panic!("nothing here is refused: {fault}")
    }
}

/// Opens files until the system gives no more.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[test]
fn a_worker_without_descriptors_pauses_and_recovers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let door = Door::bind(&["http://127.0.0.1:0".parse().unwrap()], 1, 64).unwrap();
        let addr = door.bound()[0].addr;
        let counters = Arc::new(Counters::default());
        let settings = watch::channel(Arc::new(EdgeSettings { accept_pause_ms: 50, ..EdgeSettings::default() })).1;
        let (_order, drain) = watch::channel(DrainOrder::Run);
        let listeners = door.into_workers().remove(0);
        spawn_local(serve(listeners, settings, Arc::clone(&counters), Rc::new(NoContent), drain));

        let socket = TcpSocket::new_v4().unwrap();
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
        let taken = take_all();
        // The system completes the connection; the worker can't accept it.
        let mut client = socket.connect(addr).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let failures = || counters.accept_failures.load(Ordering::Relaxed);
        timeout(Duration::from_secs(10), async {
            while failures() < 3 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .unwrap();
        let before = failures();
        sleep(Duration::from_millis(500)).await;
        assert!(failures() - before <= 11, "it spins: {before} and then {}", failures());

        drop(taken);
        let mut answer = String::new();
        timeout(Duration::from_secs(10), client.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    });
}
