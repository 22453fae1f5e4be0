//! Responses as they come over the wire: taken, refused, cut.

use super::support::{House, collect, exchange, no_body, read_head, reset, within, write};
use crate::ForwardSettings;
use http_body::Body as _;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use wire::Kind;

#[tokio::test]
async fn bodies_of_every_framing_arrive_whole() {
    // response, body, bytes that the body promises, connection kept
    let cases: &[(&str, &str, Option<u64>, usize)] = &[
        ("200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", Some(3), 1),
        ("200 OK\r\nContent-Length: 0\r\n\r\n", "", Some(0), 1),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", Some(3), 1),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", Some(0), 1),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: 1\r\n\r\n", "abc", None, 1),
        ("200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "abc", Some(3), 0),
        ("200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n", "abc", Some(3), 0),
        ("200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nX", "a", Some(1), 0),
        ("204 No Content\r\n\r\n", "", Some(0), 1),
        ("204 No Content\r\nContent-Length: 1\r\n\r\nx", "", Some(0), 0),
        ("304 Not Modified\r\nETag: e\r\nContent-Length: 9\r\n\r\n", "", Some(0), 1),
        ("304 Not Modified\r\nContent-Length: 1\r\n\r\nx", "", Some(0), 0),
    ];
    for (raw, text, promised, kept) in cases {
        let house = House::open().await;
        let (result, _stream) = house.answer(&exchange("GET", "/", &[]), format!("HTTP/1.1 {raw}").as_bytes()).await;
        let (head, body) = result.unwrap_or_else(|fault| panic!("{raw:?}: {fault}"));
        if head.status == 200 {
            // A chunked body that came whole has its length told.
            let told = head.headers.get("content-length").map(|length| length.to_str().expect("digits").parse());
            assert_eq!(told.transpose(), Ok(*promised), "{raw:?}");
        }
        assert_eq!(body.size_hint().exact(), *promised, "{raw:?}");
        assert_eq!(body.is_end_stream(), text.is_empty(), "{raw:?}");
        assert_eq!(collect(body).await.expect(raw), text.as_bytes(), "{raw:?}");
        assert_eq!(house.forwarder.idle_connections(), *kept, "{raw:?}");
    }
}

#[tokio::test]
async fn a_head_request_has_a_length_and_no_body() {
    let house = House::open().await;
    let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let (result, _stream) = house.answer(&exchange("HEAD", "/", &[]), raw).await;
    let (head, body) = result.expect("a response");
    assert_eq!(head.headers["content-length"], "10");
    assert!(body.is_end_stream());
    assert_eq!(house.forwarder.idle_connections(), 1);
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let house = House::open().await;
    let (result, stream) = house.answer(&exchange("GET", "/", &[]), b"HTTP/1.1 200 OK\r\n\r\nab").await;
    let (head, body) = result.expect("a response");
    assert!(head.headers.is_empty());
    assert_eq!(body.size_hint().exact(), None);
    drop(stream);
    assert_eq!(collect(body).await.expect("a clean end"), b"ab");
    assert_eq!(house.forwarder.idle_connections(), 0);
}

#[tokio::test]
async fn heads_may_come_in_any_pieces_after_interim_responses() {
    let raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nMS-ASPNETCORE-TOKEN: t\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc";
    for step in [1, 2, 7, 64, 1000] {
        let house = House::open().await;
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            for piece in raw.chunks(step) {
                write(&mut stream, piece).await;
                tokio::task::yield_now().await;
            }
            stream
        };
        let exchange = exchange("GET", "/", &[]);
        let (result, _stream) = tokio::join!(
            async {
                let (head, body) = house.send(&exchange, no_body()).await?;
                collect(body).await.map(|body| (head, body))
            },
            backend
        );
        let (head, body) = result.expect("a response");
        assert_eq!(head.headers.len(), 2, "{step}");
        assert_eq!(body, b"abc", "{step}");
        assert_eq!(house.forwarder.idle_connections(), 1, "{step}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_its_connection_closed() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(70 * 1024));
    let interims = "HTTP/1.1 100 Continue\r\n\r\n".repeat(4000);
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        &huge,
        &interims,
    ];
    for raw in cases {
        let house = House::open().await;
        let shown = &raw[..raw.len().min(60)];
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            // The forwarder may hang up in the middle of it.
            let _cut = within(tokio::io::AsyncWriteExt::write_all(&mut stream, raw.as_bytes())).await;
            let mut rest = Vec::new();
            let _closed = within(stream.read_to_end(&mut rest)).await;
        };
        let exchange = exchange("GET", "/", &[]);
        let (result, ()) = tokio::join!(house.send(&exchange, no_body()), backend);
        let fault = result.err().unwrap_or_else(|| panic!("{shown:?} was taken"));
        assert!(matches!(fault.kind, Kind::BadResponse(_)), "{shown:?}: {fault}");
        assert_eq!(house.forwarder.idle_connections(), 0);
    }
}

#[tokio::test]
async fn the_head_limit_is_exact() {
    for (over, taken) in [(0, true), (1, false)] {
        let house = House::open().await;
        let (before, after) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n");
        let raw = format!("{before}{}{after}", "x".repeat(65_536 - before.len() - after.len() + over));
        let (result, _stream) = house.answer(&exchange("GET", "/", &[]), raw.as_bytes()).await;
        assert_eq!(result.is_ok(), taken, "{over}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_head_is_the_backends_fault() {
    for (raw, by_reset) in [("", false), ("", true), ("HTTP/1.1 20", false), ("HTTP/1.1 100 Continue\r\n\r\n", false)] {
        let mut house = House::open().await;
        let backend = async {
            let mut stream = house.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, raw.as_bytes()).await;
            if by_reset {
                reset(stream);
            }
        };
        let exchange = exchange("GET", "/", &[]);
        let (result, ()) = tokio::join!(house.send(&exchange, no_body()), backend);
        let fault = result.err().expect("a fault");
        assert!(matches!(fault.kind, Kind::BackendGone), "{raw:?}: {fault}");
        let signal = within(house.signals.recv()).await;
        assert_eq!(signal, Some(wire::ports::BackendSignal::Suspect { start: 1 }));
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_never_a_clean_end() {
    let cases = [
        ("Content-Length: 10\r\n\r\nabcde", false),
        ("Content-Length: 10\r\n\r\nabcde", true),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", false),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n", false),
        ("X: until close\r\n\r\nabcde", true),
    ];
    for (raw, by_reset) in cases {
        let house = House::open().await;
        let raw = format!("HTTP/1.1 200 OK\r\n{raw}");
        let (result, stream) = house.answer(&exchange("GET", "/", &[]), raw.as_bytes()).await;
        let (_, body) = result.expect("a head");
        if by_reset {
            reset(stream);
        } else {
            drop(stream);
        }
        let fault = collect(body).await.expect_err("not a clean end");
        assert!(matches!(fault.kind, Kind::Truncated), "{raw:?}: {fault}");
        let truncated = house.forwarder.counters().faults().find(|(class, _)| *class == "truncated");
        assert_eq!(truncated, Some(("truncated", 1)));
    }
}

#[tokio::test]
async fn broken_chunks_end_the_body_with_a_fault() {
    let house = House::open().await;
    let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX";
    let (result, _stream) = house.answer(&exchange("GET", "/", &[]), raw).await;
    let (_, body) = result.expect("a head");
    let fault = collect(body).await.expect_err("broken framing");
    assert!(matches!(fault.kind, Kind::BadResponse(_)), "{fault}");
}

fn impatient() -> ForwardSettings {
    ForwardSettings { idle_ms_max: 800, ..ForwardSettings::default() }
}

#[tokio::test]
async fn silence_before_the_head_is_cut() {
    let house = House::with(impatient()).await;
    let exchange = exchange("GET", "/", &[]);
    let (result, _stream) = tokio::join!(house.send(&exchange, no_body()), house.accept());
    let fault = result.err().expect("a timeout");
    assert!(matches!(fault.kind, Kind::BackendTimeout("first byte", limit) if limit == Duration::from_millis(800)));
}

#[tokio::test]
async fn the_first_byte_has_a_limit_of_its_own() {
    let first = |first_byte_ms_max| ForwardSettings { first_byte_ms_max, ..impatient() };
    let exchange = exchange("GET", "/", &[]);
    // Shorter and longer than the idle limit of 800 ms.
    for limit in [100, 1_600] {
        let house = House::with(first(limit)).await;
        let (result, _stream) = tokio::join!(house.send(&exchange, no_body()), house.accept());
        let fault = result.err().expect("a timeout");
        assert!(
            matches!(fault.kind, Kind::BackendTimeout("first byte", at) if at == Duration::from_millis(limit)),
            "{fault}"
        );
    }
    // After the first byte the idle limit holds again, though the timer is armed for a longer one.
    let house = House::with(first(30_000)).await;
    let (result, _stream) = house.answer(&exchange, b"HTTP/1.1 200").await;
    let fault = result.err().expect("a timeout");
    assert!(
        matches!(fault.kind, Kind::BackendTimeout("response head", at) if at == Duration::from_millis(800)),
        "{fault}"
    );
}

#[tokio::test]
async fn silence_inside_the_body_is_cut() {
    let house = House::with(impatient()).await;
    let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let (result, _stream) = house.answer(&exchange("GET", "/", &[]), raw).await;
    let fault = collect(result.expect("a head").1).await.expect_err("a timeout");
    assert!(matches!(fault.kind, Kind::BackendTimeout("next byte", _)), "{fault}");
}

#[tokio::test]
async fn a_trickle_is_not_cut() {
    let house = House::with(impatient()).await;
    let exchange = exchange("GET", "/", &[]);
    let trickle = async {
        let mut stream = house.accept().await;
        read_head(&mut stream).await;
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        // The head alone takes longer than the limit, and so does the body.
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n".chunks(4);
        for piece in head.chain(b"123456789ab".chunks(1)) {
            beat.tick().await;
            write(&mut stream, piece).await;
        }
    };
    let request = async { collect(house.send(&exchange, no_body()).await?.1).await };
    let (body, ()) = tokio::join!(request, trickle);
    assert_eq!(body.expect("each piece came in time"), b"123456789ab");
}

#[tokio::test]
async fn a_timer_that_fires_for_an_earlier_request_does_no_harm() {
    // The connection's one timer is armed by the first request and fires during the third.
    let house = House::with(ForwardSettings { idle_ms_max: 400, ..ForwardSettings::default() }).await;
    let exchange = exchange("GET", "/", &[]);
    let backend = async {
        let mut stream = house.accept().await;
        for _ in 0..3 {
            read_head(&mut stream).await;
            tokio::time::sleep(Duration::from_millis(160)).await;
            write(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
        stream
    };
    let requests = async {
        for _ in 0..3 {
            assert!(house.send(&exchange, no_body()).await.is_ok());
        }
    };
    let ((), _stream) = tokio::join!(requests, backend);
    assert_eq!(house.forwarder.counters().connects(), 1);
}

#[tokio::test]
async fn a_response_cut_at_any_byte_is_a_fault_and_only_the_whole_is_not() {
    for raw in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2;x\r\ncd\r\n0\r\nT: t\r\n\r\n",
    ] {
        for cut in 0..=raw.len() {
            let house = House::open().await;
            let exchange = exchange("GET", "/", &[]);
            let backend = async {
                let mut stream = house.accept().await;
                read_head(&mut stream).await;
                write(&mut stream, &raw.as_bytes()[..cut]).await;
            };
            let request = async {
                let (_, body) = house.send(&exchange, no_body()).await?;
                collect(body).await
            };
            let (result, ()) = tokio::join!(request, backend);
            match result {
                Ok(body) => assert!(cut == raw.len() && body == b"abcd", "{cut} of {raw:?}: {body:?}"),
                Err(fault) => assert!(
                    cut < raw.len() && matches!(fault.kind, Kind::BackendGone | Kind::Truncated),
                    "{cut} of {raw:?}: {fault}"
                ),
            }
        }
    }
}
