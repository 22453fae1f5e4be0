//! Time and numbers at their limits, with a scripted listener and a paused clock.

use super::{ACCEPT_PAUSE, Accept, Limits, run};
use crate::connection::Io;
use crate::guard::Door;
use crate::house::{Health, House, Refusal};
use crate::status::StatusPage;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{Mutex, Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);
/// What the clock adds by its own grain.
const GRAIN: Duration = Duration::from_millis(5);
/// Between host and peer; less than the metrics page has.
const PIPE_BYTES: usize = 1024;
const PAGE_BYTES: usize = 1 << 20;

/// A host whose status never comes, whose metrics are long and whose reloads wait for a permit.
struct Script {
    reloads: Arc<Semaphore>,
    reload_starts: mpsc::Sender<()>,
}

impl House for Script {
    async fn status(&self) -> StatusPage {
        pending().await
    }

    async fn metrics(&self) -> String {
        "m".repeat(PAGE_BYTES)
    }

    fn health(&self) -> Health {
        Health { ok: true, state: "ready".to_owned() }
    }

    async fn reload(&self) -> Result<String, Refusal> {
        self.reload_starts.send(()).await.unwrap();
        self.reloads.acquire().await.unwrap().forget();
        Ok("done".to_owned())
    }

    async fn stop(&self) {
        pending().await
    }
}

type Accepted = io::Result<(Box<dyn Io>, Door)>;

struct Scripted(Mutex<mpsc::Receiver<Accepted>>);

impl Accept for Scripted {
    async fn accept(&self) -> Accepted {
        match self.0.lock().await.recv().await {
            Some(accepted) => accepted,
            None => pending().await,
        }
    }
}

struct Running {
    arrivals: mpsc::Sender<Accepted>,
    reloads: Arc<Semaphore>,
    reload_starts: mpsc::Receiver<()>,
    stop: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(limits: Limits) -> Self {
        let (arrivals, on_arrival) = mpsc::channel(64);
        let (starts, reload_starts) = mpsc::channel(64);
        let (reloads, stop) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
        let house = Arc::new(Script { reloads: Arc::clone(&reloads), reload_starts: starts });
        let on_stop = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            run(&Scripted(Mutex::new(on_arrival)), house, limits, on_stop.notified()).await;
        });
        Self { arrivals, reloads, reload_starts, stop, task }
    }

    async fn connect(&self) -> DuplexStream {
        let (host, peer) = duplex(PIPE_BYTES);
        self.arrivals.send(Ok((Box::new(host), Door::Socket { peer: 0, allowed: [0, 0] }))).await.unwrap();
        peer
    }

    async fn ask(&self, text: &str) -> DuplexStream {
        let mut peer = self.connect().await;
        peer.write_all(text.as_bytes()).await.unwrap();
        peer
    }

    async fn is_healthy(&self) {
        let answer = rest(self.ask("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

/// Everything until the end of the connection, which comes within a minute.
async fn rest(mut peer: DuplexStream) -> String {
    let mut text = String::new();
    timeout(60 * SECOND, peer.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

fn at(since: Instant, wanted: Duration) {
    let took = since.elapsed();
    assert!(took >= wanted && took <= wanted + GRAIN, "{took:?} instead of {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn each_step_of_a_request_has_ten_seconds() {
    let host = Running::start(Limits::default());
    for (sent, wanted) in [
        ("", ""),
        ("GET /hea", ""),
        ("GET /health HTTP/1.1\r\nHost: localhost\r\n", ""),
        ("POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n1", "HTTP/1.1 408 Request Timeout\r\n"),
        ("POST /stop HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", "HTTP/1.1 408 "),
        ("POST /stop HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 504 Gateway Timeout\r\n"),
        ("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 504 Gateway Timeout\r\n"),
    ] {
        let started = Instant::now();
        let answer = rest(host.ask(sent).await).await;
        at(started, 10 * SECOND);
        assert_eq!(answer.is_empty(), wanted.is_empty(), "{sent:?}: {answer:?}");
        assert!(answer.starts_with(wanted), "{sent:?}: {answer:?}");
        host.is_healthy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_now_and_then_buys_no_time() {
    let host = Running::start(Limits::default());
    let fields = "X-Slow: 1\r\n".repeat(10);
    for (start, drip) in [
        ("GET /health HTTP/1.1\r\n", fields.as_str()),
        ("POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n", "slow, so very slow, and slower"),
    ] {
        let started = Instant::now();
        let mut peer = host.ask(start).await;
        for byte in drip.bytes() {
            let mut answer = [0; 8];
            if timeout(SECOND, peer.read(&mut answer)).await.is_ok() {
                break;
            }
            peer.write_all(&[byte]).await.unwrap();
        }
        at(started, 10 * SECOND);
        host.is_healthy().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_less_than_the_deadline_is_enough() {
    let host = Running::start(Limits::default());
    for halves in [
        ["GET /health HT", "TP/1.1\r\nHost: localhost\r\n\r\n"],
        ["POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab", "cd"],
    ] {
        host.reloads.add_permits(1);
        let mut peer = host.ask(halves[0]).await;
        let mut early = [0; 1];
        assert!(timeout(9 * SECOND, peer.read(&mut early)).await.is_err(), "{halves:?}");
        peer.write_all(halves[1].as_bytes()).await.unwrap();
        let answer = rest(peer).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_frees_the_seat_after_ten_seconds() {
    let host = Running::start(Limits { connections_max: 1, ..Limits::default() });
    let started = Instant::now();
    let unread = host.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    host.is_healthy().await;
    at(started, 10 * SECOND);
    let got = rest(unread).await;
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.len() <= PIPE_BYTES, "{}", got.len());
    // Whoever reads gets all of it.
    let whole = rest(host.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
    assert!(whole.ends_with(&format!("\r\n\r\n{}", "m".repeat(PAGE_BYTES))));
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_as_long_as_it_takes() {
    let mut host = Running::start(Limits::default());
    let mut peer = host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    host.reload_starts.recv().await.unwrap();
    assert!(timeout(3600 * SECOND, peer.read_u8()).await.is_err());
    host.reloads.add_permits(1);
    assert!(rest(peer).await.ends_with("\r\n\r\n{\"message\":\"done\"}"));
}

#[tokio::test(start_paused = true)]
async fn sixteen_connections_are_served_and_the_seventeenth_waits() {
    let limits = Limits { reloads_max: 16, ..Limits::default() };
    assert_eq!(limits.connections_max, 16);
    let mut host = Running::start(limits);
    let mut seated = Vec::new();
    for _ in 0..16 {
        seated.push(host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
        host.reload_starts.recv().await.unwrap();
    }
    let mut waiting = host.ask("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(timeout(3600 * SECOND, waiting.read_u8()).await.is_err());
    // One of them goes away, and its place is taken.
    drop(seated.pop());
    let answer = rest(waiting).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    host.reloads.add_permits(16);
    for peer in seated {
        assert!(rest(peer).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn eight_reloads_wait_and_the_ninth_is_sent_away() {
    let mut host = Running::start(Limits::default());
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
        host.reload_starts.recv().await.unwrap();
    }
    let ninth = rest(host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await).await;
    assert!(ninth.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{ninth}");
    assert!(ninth.ends_with("{\"error\":\"too many reloads wait already\"}"), "{ninth}");
    host.is_healthy().await;
    host.reloads.add_permits(1);
    host.is_healthy().await;
    let again = host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    host.reload_starts.recv().await.unwrap();
    host.reloads.add_permits(8);
    for peer in waiting.into_iter().chain([again]) {
        assert!(rest(peer).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_answers_out_and_cuts_what_is_left_after_two_seconds() {
    let mut host = Running::start(Limits::default());
    let silent = host.connect().await;
    let half = host.ask("GET /health HT").await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        peers.push(host.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
        host.reload_starts.recv().await.unwrap();
    }
    let started = Instant::now();
    host.stop.notify_one();
    let late = host.connect().await;
    host.reloads.add_permits(1);
    let lucky = rest(peers.remove(0)).await;
    assert!(lucky.starts_with("HTTP/1.1 200 OK\r\n"), "{lucky}");
    assert_eq!(rest(peers.remove(0)).await, "");
    at(started, 2 * SECOND);
    host.task.await.unwrap();
    for cut in [silent, half, late] {
        assert_eq!(rest(cut).await, "");
    }
    at(started, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_connections_takes_no_time() {
    let host = Running::start(Limits::default());
    host.is_healthy().await;
    let started = Instant::now();
    host.stop.notify_one();
    host.task.await.unwrap();
    at(started, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_failed_accept_is_followed_by_a_pause_and_not_by_the_end() {
    let host = Running::start(Limits::default());
    let started = Instant::now();
    for _ in 0..3 {
        host.arrivals.send(Err(io::Error::other("too many open files"))).await.unwrap();
    }
    host.is_healthy().await;
    at(started, 3 * ACCEPT_PAUSE);
}
