//! Connections: reuse, retry, death, and clients that go away.

use super::support::{
    House, TOKEN, body, collect, exchange, no_body, read_head, read_text, read_to_close, reset, upload, within, write,
};
use crate::ForwardSettings;
use bytes::Bytes;
use http_body::Frame;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wire::{Fault, Framing, Kind};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A house with one idle connection, and its other end.
async fn warm(settings: ForwardSettings) -> (House, TcpStream) {
    let house = House::with(settings).await;
    let (result, stream) = house.answer(&exchange("GET", "/warm", &[]), OK).await;
    let (_, body) = result.expect("a response");
    assert_eq!(collect(body).await.expect("whole"), b"ok");
    assert_eq!(house.forwarder.idle_connections(), 1);
    (house, stream)
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let (house, mut stream) = warm(ForwardSettings::default()).await;
    for _ in 0..5 {
        let backend = async {
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("GET /next HTTP/1.1\r\n"), "{head}");
            assert_eq!(head.matches(TOKEN).count(), 1);
            write(&mut stream, OK).await;
        };
        let exchange = exchange("GET", "/next", &[]);
        let (result, ()) = tokio::join!(house.send(&exchange, no_body()), backend);
        assert_eq!(collect(result.expect("a response").1).await.expect("whole"), b"ok");
    }
    let counters = house.forwarder.counters();
    assert_eq!((counters.connects(), counters.reuses(), counters.retries()), (1, 5, 0));
}

#[tokio::test]
async fn an_idle_connection_that_ended_or_spoke_is_not_used() {
    for speaks in [false, true] {
        let (house, mut stream) = warm(ForwardSettings::default()).await;
        let _old = if speaks {
            write(&mut stream, b"HTTP/1.1 408 Request Timeout\r\n\r\n").await;
            Some(stream)
        } else {
            drop(stream);
            None
        };
        // A connection of our own goes through the poller after that, so the poller has seen both.
        let _seen = tokio::join!(TcpStream::connect(house.listener.local_addr().expect("bound")), house.accept());
        let (result, _stream) = house.answer(&exchange("POST", "/", &[]), OK).await;
        assert!(result.is_ok());
        assert_eq!(house.forwarder.counters().retries(), 0);
        assert_eq!(house.forwarder.counters().connects(), 2);
    }
}

#[tokio::test]
async fn a_request_on_a_stale_connection_goes_again_only_if_safe() {
    let cases = [
        ("GET", Framing::None, true),
        ("HEAD", Framing::None, true),
        ("POST", Framing::Length(2), false),
        ("GET", Framing::Length(2), false),
        ("DELETE", Framing::None, false),
    ];
    for (method, framing, again) in cases {
        let (house, mut stream) = warm(ForwardSettings::default()).await;
        let backend = async {
            // It takes the request and dies of it without a word.
            read_head(&mut stream).await;
            reset(stream);
            if again {
                let mut fresh = house.accept().await;
                read_head(&mut fresh).await;
                write(&mut fresh, b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        };
        let exchange = upload(method, framing);
        let (result, ()) = tokio::join!(house.send(&exchange, body(&["hi"])), backend);
        match result {
            Ok((head, _)) => assert!(again && head.status == 204, "{method}"),
            Err(fault) => assert!(!again && matches!(fault.kind, Kind::BackendGone), "{method} {fault}"),
        }
        assert_eq!(house.forwarder.counters().retries(), u64::from(again), "{method}");
    }
}

#[tokio::test]
async fn a_request_goes_again_once_at_most() {
    let (house, mut stream) = warm(ForwardSettings::default()).await;
    let backend = async {
        read_head(&mut stream).await;
        drop(stream);
        let mut fresh = house.accept().await;
        read_head(&mut fresh).await;
    };
    let exchange = exchange("GET", "/", &[]);
    let (result, ()) = tokio::join!(house.send(&exchange, no_body()), backend);
    assert!(matches!(result.err().expect("a fault").kind, Kind::BackendGone));
}

#[tokio::test]
async fn a_second_sending_takes_a_new_connection() {
    let house = House::open().await;
    let exchange = exchange("GET", "/", &[]);
    let (mut one, mut two) = two_idle(&house).await;
    let backend = async {
        // The one that is taken dies; the other, as stale perhaps, stays idle.
        let (mut first, mut second) = ([0], [0]);
        let taken = tokio::select! {
            _ = one.peek(&mut first) => &mut one,
            _ = two.peek(&mut second) => &mut two,
        };
        read_head(taken).await;
        taken.shutdown().await.expect("open");
        let mut fresh = house.accept().await;
        read_head(&mut fresh).await;
        write(&mut fresh, OK).await;
        fresh
    };
    let (result, _fresh) = tokio::join!(house.send(&exchange, no_body()), within(backend));
    assert!(result.is_ok());
    assert_eq!((house.forwarder.counters().connects(), house.forwarder.counters().retries()), (3, 1));
}

#[tokio::test]
async fn an_upload_of_which_nothing_was_sent_goes_again_whole() {
    for (framing, wanted) in [(Framing::Length(2), "hi"), (Framing::Chunked, "2\r\nhi\r\n0\r\n\r\n")] {
        let (house, stream) = warm(ForwardSettings::default()).await;
        // The poller has no time to see it, so that the write is the first to know.
        reset(stream);
        let exchange = upload("POST", framing);
        let backend = async {
            let mut fresh = house.accept().await;
            let head = read_head(&mut fresh).await;
            let seen = read_text(&mut fresh, wanted.len()).await;
            write(&mut fresh, OK).await;
            (head, seen, fresh)
        };
        let (result, (head, seen, _fresh)) = tokio::join!(house.send(&exchange, body(&["hi"])), within(backend));
        assert!(result.is_ok());
        assert!(head.starts_with("POST /up HTTP/1.1\r\n"), "{head}");
        assert_eq!(seen, wanted);
        assert_eq!(house.forwarder.counters().retries(), 1);
        assert_eq!(house.forwarder.idle_connections(), 1);
    }
}

/// Makes two connections idle, and gives their other ends.
async fn two_idle(house: &House) -> (TcpStream, TcpStream) {
    let exchange = exchange("GET", "/", &[]);
    let backend = async {
        let (mut one, mut two) = (house.accept().await, house.accept().await);
        read_head(&mut one).await;
        read_head(&mut two).await;
        write(&mut one, OK).await;
        write(&mut two, OK).await;
        (one, two)
    };
    let (one, two, streams) = tokio::join!(house.send(&exchange, no_body()), house.send(&exchange, no_body()), backend);
    assert!(one.is_ok() && two.is_ok());
    streams
}

#[tokio::test]
async fn the_pool_keeps_no_more_than_its_limit_and_nothing_too_old() {
    for (limit, kept) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
        let settings = ForwardSettings { idle_connections_max: limit, ..ForwardSettings::default() };
        let house = House::with(settings).await;
        let _streams = two_idle(&house).await;
        assert_eq!(house.forwarder.idle_connections(), kept, "{limit}");
    }
    let (house, mut old) = warm(ForwardSettings { idle_connection_ms_max: 20, ..ForwardSettings::default() }).await;
    let aged = tokio::time::Instant::now();
    while aged.elapsed().as_millis() <= 20 {
        tokio::task::yield_now().await;
    }
    let (result, _stream) = house.answer(&exchange("GET", "/", &[]), OK).await;
    assert!(result.is_ok());
    assert_eq!(read_to_close(&mut old).await, (Vec::new(), true));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_the_backends_connection_with_it() {
    // While the backend thinks: the future is dropped.
    let house = House::open().await;
    let request = exchange("GET", "/", &[]);
    let mut stream = tokio::select! {
        _ = house.send(&request, no_body()) => panic!("nothing was answered"),
        stream = async { let mut stream = house.accept().await; read_head(&mut stream).await; stream } => stream,
    };
    assert_eq!(read_to_close(&mut stream).await.0, b"");

    // While the response streams: the body is dropped.
    let house = House::open().await;
    let (result, mut stream) = house.answer(&request, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await;
    drop(result.expect("a head"));
    assert_eq!(read_to_close(&mut stream).await.0, b"");
    assert_eq!(house.forwarder.idle_connections(), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_never_ends_cleanly() {
    for (framing, seen) in [(Framing::Chunked, "2\r\nab\r\n"), (Framing::Length(9), "ab")] {
        let house = House::open().await;
        let mut script = body(&["ab"]);
        script.frames.push_back(Err(Fault::from(Kind::ClientGone)));
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            read_to_close(&mut stream).await.0
        };
        let exchange = upload("POST", framing);
        let (result, bytes) = tokio::join!(house.send(&exchange, script), backend);
        assert!(matches!(result.err().expect("a fault").kind, Kind::ClientGone));
        assert!(seen.as_bytes().starts_with(&bytes), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_declared_is_an_abort() {
    for (pieces, length) in [(&["ab"][..], 3), (&["ab", "cd"][..], 3)] {
        let house = House::open().await;
        let backend = async { read_to_close(&mut house.accept().await).await };
        let exchange = upload("POST", Framing::Length(length));
        let (result, _) = tokio::join!(house.send(&exchange, body(pieces)), backend);
        assert!(matches!(result.err().expect("a fault").kind, Kind::BadRequest(_)));
    }
}

#[tokio::test]
async fn uploads_are_framed_anew() {
    let pieces = &["abc", "", "0123456789abcdef"];
    let cases = [
        (Framing::Chunked, "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"),
        (Framing::Length(19), "abc0123456789abcdef"),
    ];
    for (framing, wanted) in cases {
        let house = House::open().await;
        let mut script = body(pieces);
        let trailers = http::HeaderMap::from_iter([(http::header::HOST, http::HeaderValue::from_static("evil"))]);
        script.frames.push_back(Ok(Frame::trailers(trailers)));
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            let seen = read_text(&mut stream, wanted.len()).await;
            write(&mut stream, OK).await;
            seen
        };
        let exchange = upload("POST", framing);
        let (result, seen) = tokio::join!(house.send(&exchange, script), backend);
        assert!(result.is_ok());
        assert_eq!(seen, wanted);
        assert_eq!(house.forwarder.idle_connections(), 1);
    }
}

#[tokio::test]
async fn the_body_limit_is_exact() {
    for framing in [Framing::Chunked, Framing::Length(4)] {
        for (limit, taken) in [(4, true), (3, false)] {
            let house = House::open().await;
            let mut script = body(&["ab"]);
            script.frames.push_back(Ok(Frame::data(Bytes::from_static(b"cd"))));
            let exchange = upload("POST", framing);
            let send = within(wire::ports::Forward::send(&house.forwarder, &exchange, script, limit));
            let backend = async {
                if !taken && matches!(framing, Framing::Length(_)) {
                    return;
                }
                let mut stream = house.accept().await;
                read_head(&mut stream).await;
                if taken {
                    write(&mut stream, OK).await;
                } else {
                    assert!(!read_to_close(&mut stream).await.0.ends_with(b"0\r\n\r\n"));
                }
            };
            let (result, ()) = tokio::join!(send, backend);
            match result {
                Ok(_) => assert!(taken, "{framing:?}"),
                Err(fault) => assert!(!taken && matches!(fault.kind, Kind::BodyTooLarge(3)), "{framing:?} {fault}"),
            }
        }
    }
}
