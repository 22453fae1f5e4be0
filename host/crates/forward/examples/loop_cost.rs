//! CPU time of one forwarded request on the worker's thread, next to the floor:
//! the same bytes written and read without any HTTP.
//!
//! `cargo run --release -p gatelodge-forward --example loop_cost`
//! For Linux. Read the ratio; absolute times change from machine to machine.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use bytes::Bytes;
use gatelodge_forward::{ForwardSettings, Forwarder};
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body_util::{BodyExt as _, Empty};
use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use wire::exchange::ConnFacts;
use wire::ports::{BackendState, Forward as _, Paired};
use wire::{CanonicalPath, Exchange, Fault, Framing, PairingToken, RequestHead, Scheme};

const CLIENTS: usize = 64;
const REQUESTS: usize = 200_000;
const ROUNDS: usize = 4;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\nETag: \"5f-1\"\r\nAccept-Ranges: bytes\r\n\r\nhi\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = backend()?;
    let (mut floor, mut codec) = (u64::MAX, u64::MAX);
    for _ in 0..ROUNDS {
        floor = floor.min(measure(|left| run_floor(addr, left))?);
        codec = codec.min(measure(|left| run_forwarder(addr, left))?);
    }
    println!("floor    {floor:6} ns per request: one write, one read");
    println!("forward  {codec:6} ns per request: {:.2} x floor", codec as f64 / floor as f64);
    Ok(())
}

/// A backend with a thread per connection that answers each read with the same bytes.
fn backend() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).is_ok_and(|count| count > 0) && stream.write_all(RESPONSE).is_ok() {}
            });
        }
    });
    Ok(addr)
}

/// Nanoseconds on the processor per request of this thread.
fn measure<F: Future<Output = ()> + 'static>(
    client: impl Fn(Rc<Cell<usize>>) -> F,
) -> Result<u64, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let left = Rc::new(Cell::new(REQUESTS));
    let before = on_cpu()?;
    local.block_on(&runtime, client(Rc::clone(&left)));
    Ok((on_cpu()? - before) / REQUESTS as u64)
}

fn on_cpu() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn took_one(left: &Cell<usize>) -> bool {
    let some = left.get() > 0;
    left.set(left.get().saturating_sub(1));
    some
}

async fn run_floor(addr: SocketAddr, left: Rc<Cell<usize>>) {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let left = Rc::clone(&left);
            tokio::task::spawn_local(async move {
                let mut stream = TcpStream::connect(addr).await.expect("the backend listens");
                let mut bytes = vec![0; 8192];
                let request = vec![b'x'; 330];
                while took_one(&left) {
                    stream.write_all(&request).await.expect("the backend reads");
                    let _count = stream.read(&mut bytes).await.expect("the backend writes");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

async fn run_forwarder(addr: SocketAddr, left: Rc<Cell<usize>>) {
    let token = PairingToken::from_random([7; 32]);
    let load = wire::Load::new(std::time::Instant::now());
    let (_state, seen) =
        watch::channel(BackendState::Ready([Paired { addr, token, start: 1, affinity: 1, load }].into()));
    let (signals, _kept) = mpsc::channel(8);
    let forwarder =
        Forwarder::new(ForwardSettings::default(), seen, signals, Arc::new(AtomicUsize::new(0)), Arc::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (left, forwarder) = (Rc::clone(&left), forwarder.clone());
            tokio::task::spawn_local(async move {
                let exchange = exchange();
                while took_one(&left) {
                    let body = Empty::<Bytes>::new().map_err(|never| -> Fault { match never {} });
                    let (_, body) = forwarder.send(&exchange, body, 1).await.expect("a response");
                    let whole = body.collect().await.expect("a whole body");
                    assert_eq!(whole.to_bytes().len(), 3);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
}

fn exchange() -> Exchange {
    let client = SocketAddr::from(([203, 0, 113, 7], 51_812));
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("wrk"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("accept-encoding", HeaderValue::from_static("gzip, br"));
    headers.insert("cookie", HeaderValue::from_static("session=0123456789abcdef"));
    let request = RequestHead {
        method: Method::GET,
        target: http::uri::PathAndQuery::from_static("/index.html?x=1"),
        path: CanonicalPath::AsSent,
        authority: HeaderValue::from_static("127.0.0.1:8080"),
        version: Version::HTTP_11,
        headers,
        framing: Framing::None,
        expects_continue: false,
        trace: None,
    };
    Exchange::new(Arc::new(ConnFacts::new(client, client, Scheme::Http, false)), request, 1)
}
