//! Both directions at once, at the pace of the slower side.

use super::support::{House, body, collect, exchange, read_head, ready, upload, within, write};
use crate::ForwardSettings;
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use wire::{Fault, Framing, Kind};

const PIECE: usize = 64 * 1024;

/// A body of so many pieces that counts the bytes it has handed out.
struct Pieces {
    left: usize,
    handed: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.handed.fetch_add(PIECE, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'p'; PIECE])))))
    }
}

#[tokio::test]
async fn an_echo_of_64_mib_streams_in_both_directions_with_flat_memory() {
    let total = 1024 * PIECE;
    for framing in [Framing::Length(total as u64), Framing::Chunked] {
        let house = House::open().await;
        let handed = Arc::new(AtomicUsize::new(0));
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            // It answers before it has read any of the body, then sends back what comes.
            write(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
            let (mut from, mut to) = stream.split();
            let mut bytes = vec![0; PIECE];
            loop {
                let count = from.read(&mut bytes).await.expect("a request");
                to.write_all(&bytes[..count]).await.expect("a reader");
                if count == 0 || (framing == Framing::Chunked && bytes[..count].ends_with(b"0\r\n\r\n")) {
                    break;
                }
            }
        };
        let client = async {
            let exchange = upload("POST", framing);
            let script = Pieces { left: total / PIECE, handed: Arc::clone(&handed) };
            let request = wire::ports::Forward::send(&house.forwarder, &exchange, script, u64::MAX);
            let (_, mut body) = within(request).await.expect("a head");
            let (mut received, mut most) = (0, 0);
            while received < total {
                let frame = within(body.frame()).await.expect("not the end").expect("no fault");
                received += frame.into_data().expect("data").len();
                most = most.max(handed.load(Relaxed).saturating_sub(received));
            }
            most
        };
        let most = within(async {
            tokio::select! {
                most = client => most,
                () = async { backend.await; std::future::pending().await } => 0,
            }
        })
        .await;
        // What is under way lies in the buffers of four sockets, not with us.
        assert!(most < 24 * 1024 * 1024, "{most} bytes outstanding");
        assert_eq!(handed.load(Relaxed), total);
    }
}

#[tokio::test]
async fn a_backend_that_reads_nothing_stops_the_client() {
    let house = House::with(ForwardSettings { idle_ms_max: 200, ..ForwardSettings::default() }).await;
    let handed = Arc::new(AtomicUsize::new(0));
    let exchange = upload("POST", Framing::Chunked);
    let script = Pieces { left: usize::MAX, handed: Arc::clone(&handed) };
    let request = wire::ports::Forward::send(&house.forwarder, &exchange, script, u64::MAX);
    let (result, _stream) = tokio::join!(within(request), house.accept());
    let fault = result.err().expect("a timeout");
    assert!(matches!(fault.kind, Kind::BackendTimeout("sending the request", _)), "{fault}");
    assert!(handed.load(Relaxed) < 24 * 1024 * 1024, "only what the sockets hold");
}

#[tokio::test]
async fn a_client_that_reads_nothing_stops_the_backend() {
    let house = House::open().await;
    let (result, stream) = house.answer(&exchange("GET", "/", &[]), b"HTTP/1.1 200 OK\r\n\r\n").await;
    let (_, response) = result.expect("a head");
    let piece = vec![b'x'; PIECE];
    let mut taken = 0;
    // It writes until the sockets are full; nobody polls the body meanwhile.
    loop {
        tokio::task::yield_now().await;
        match stream.try_write(&piece) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && taken > 0 => break,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        assert!(taken < 24 * 1024 * 1024, "somebody reads");
    }
    drop(stream);
    assert_eq!(collect(response).await.expect("a clean end").len(), taken);
}

#[tokio::test]
async fn an_early_answer_ends_the_upload() {
    // The backend refuses without reading on, and keeps or closes the connection.
    for closes in [false, true] {
        let house = House::open().await;
        let mut script = body(&["some"]);
        script.stays_open = true;
        let exchange = upload("POST", Framing::Length(1_000_000));
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno").await;
            (!closes).then_some(stream)
        };
        let (result, stream) = tokio::join!(house.send(&exchange, script), backend);
        let (head, body) = result.expect("the early answer");
        assert_eq!(head.status, 413);
        assert_eq!(collect(body).await.expect("whole"), b"no");
        assert_eq!(house.forwarder.idle_connections(), 0, "half a request was sent on it");
        if let Some(mut stream) = stream {
            let (rest, _) = super::support::read_to_close(&mut stream).await;
            assert_eq!(rest, b"some");
        }
    }
}

#[tokio::test]
async fn an_early_answer_on_a_closed_connection_is_still_read() {
    let house = House::open().await;
    let handed = Arc::new(AtomicUsize::new(0));
    let exchange = upload("POST", Framing::Chunked);
    let script = Pieces { left: usize::MAX, handed };
    let request = wire::ports::Forward::send(&house.forwarder, &exchange, script, u64::MAX);
    let backend = async {
        let mut stream = house.accept().await;
        read_head(&mut stream).await;
        write(&mut stream, b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n").await;
        stream.shutdown().await.expect("open");
        // Then it reads no more, and goes.
        drop(stream);
    };
    let (result, ()) = tokio::join!(within(request), backend);
    assert_eq!(result.expect("the early answer").0.status, 413);
}

#[tokio::test]
async fn events_arrive_one_by_one() {
    let house = House::open().await;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (result, mut stream) = house.answer(&exchange("GET", "/", &[]), head).await;
    let (_, mut response) = result.expect("a head");
    for number in 0..5 {
        write(&mut stream, format!("9\r\ndata: {number}\n\n\r\n").as_bytes()).await;
        let frame = within(response.frame()).await.expect("an event").expect("no fault");
        assert_eq!(frame.into_data().expect("data"), format!("data: {number}\n\n"));
    }
    write(&mut stream, b"0\r\n\r\n").await;
    assert!(within(response.frame()).await.is_none());
    assert_eq!(house.forwarder.idle_connections(), 1);
}

#[tokio::test]
async fn a_slow_client_is_not_the_backends_timeout() {
    let house = House::with(ForwardSettings { idle_ms_max: 50, ..ForwardSettings::default() }).await;
    let mut script = body(&["ab"]);
    script.stays_open = true;
    let exchange = upload("POST", Framing::Length(3));
    let request = house.send(&exchange, script);
    let waited = tokio::time::timeout(Duration::from_millis(300), async { tokio::join!(request, house.accept()) });
    assert!(waited.await.is_err(), "it waits for the client");
}

#[tokio::test]
async fn a_length_above_32_bits_is_kept() {
    let house = House::open().await;
    let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n";
    let (result, _stream) = house.answer(&exchange("GET", "/", &[]), raw).await;
    let (head, response) = result.expect("a head");
    assert_eq!(head.headers["content-length"], "5368709120");
    assert_eq!(response.size_hint().exact(), Some(5_368_709_120));
}

/// A body that shows by its count whether anybody still holds it.
struct Held {
    script: super::support::Script,
    _count: Arc<()>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Pin::new(&mut self.script).poll_frame(cx)
    }
}

#[tokio::test]
async fn a_request_body_is_let_go_once_all_of_it_was_taken() {
    for (framing, on_the_wire) in [(Framing::Length(2), "ab"), (Framing::Chunked, "2\r\nab\r\n0\r\n\r\n")] {
        let house = House::open().await;
        let held = Arc::new(());
        let exchange = upload("POST", framing);
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            super::support::read_text(&mut stream, on_the_wire.len()).await;
            write(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
            stream
        };
        let request = house.send(&exchange, Held { script: body(&["ab"]), _count: Arc::clone(&held) });
        let (result, _stream) = tokio::join!(request, backend);
        let _response = result.expect("a head, whose body goes on");
        assert_eq!(Arc::strong_count(&held), 1, "{framing:?}");
    }
}

#[tokio::test]
async fn a_connection_idles_as_soon_as_the_last_byte_was_read() {
    let cases = [("Content-Length: 2", "ab"), ("Transfer-Encoding: chunked", "2\r\nab\r\n0\r\nT: x\r\n\r\n")];
    for (field, rest) in cases {
        let house = House::open().await;
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
        let (result, mut stream) = house.answer(&exchange("GET", "/", &[]), head.as_bytes()).await;
        let (_, mut response) = result.expect("a head");
        assert!(!response.is_end_stream());
        write(&mut stream, rest.as_bytes()).await;
        let frame = within(response.frame()).await.expect("data").expect("no fault");
        assert_eq!(frame.into_data().expect("data"), "ab");
        assert!(response.is_end_stream(), "{field}");
        assert_eq!(house.forwarder.idle_connections(), 1, "{field}");
    }
}

#[tokio::test]
async fn a_backend_that_reads_slowly_is_not_cut() {
    const READ: usize = 8 * PIECE;
    const READS: usize = 32;
    let mut house = House::with(ForwardSettings { idle_ms_max: 800, ..ForwardSettings::default() }).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a socket option");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    house.listener = socket.listen(8).expect("it listens");
    house.state.send_replace(ready(&house.listener, 2));

    let exchange = upload("POST", Framing::Length((READ * READS) as u64));
    let script = Pieces { left: READ * READS / PIECE, handed: Arc::default() };
    let request = wire::ports::Forward::send(&house.forwarder, &exchange, script, u64::MAX);
    let backend = async {
        let mut stream = house.accept().await;
        read_head(&mut stream).await;
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        let mut bytes = vec![0; READ];
        for _ in 0..READS {
            beat.tick().await;
            stream.read_exact(&mut bytes).await.expect("more of the body");
        }
        write(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await;
        stream
    };
    let (result, _stream) = tokio::join!(within(request), within(backend));
    assert_eq!(result.expect("an answer").0.status, 204);
}
