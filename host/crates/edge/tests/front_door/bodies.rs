//! Request bodies: chunks, expectations, early ends and early replies.

use crate::support::{Site, with, within};
use gatelodge_edge::EdgeSettings;
use tokio::io::AsyncWriteExt as _;

fn run<F: Future<Output = ()>>(test: impl FnOnce(Site) -> F) {
    with(EdgeSettings::default(), test);
}

const POST: &str = "POST /echo HTTP/1.1\r\nHost: x\r\n";

#[test]
fn chunks_are_read_strictly() {
    run(|site| async move {
        let extensions = format!("1;{}\r\nh\r\n0\r\n\r\n", "x".repeat(20_000));
        for (chunks, body) in [
            ("2\r\nhi\r\n0\r\n\r\n", Some("hi")),
            ("2;a=b\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", Some("hi!")),
            ("02\r\nhi\r\n000\r\n\r\n", Some("hi")),
            ("0\r\nX-Trailer: 1\r\nMS-ASPNETCORE-TOKEN: x\r\nContent-Length: 5\r\n\r\n", Some("")),
            ("2;\nxx\r\n0\r\n\r\n", None),
            ("2;\r0\r\n\r\n", None),
            ("2\nhi\r\n0\r\n\r\n", None),
            ("2\r\nhi\n0\r\n\r\n", None),
            ("2\r\nhi0\n0\r\n\r\n", None),
            ("ab\n0\r\n\r\n", None),
            ("0x2\r\nhi\r\n0\r\n\r\n", None),
            ("+2\r\nhi\r\n0\r\n\r\n", None),
            ("1_0\r\nhi\r\n0\r\n\r\n", None),
            ("\r\n\r\n", None),
            (";\r\nhi\r\n0\r\n\r\n", None),
            ("FFFFFFFFFFFFFFFFF\r\nhi\r\n0\r\n\r\n", None),
            (extensions.as_str(), None),
        ] {
            let what = &chunks[..chunks.len().min(40)];
            let mut client = site.connect().await;
            client.try_send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes()).await;
            let answer = client.answer().await;
            let seen = site.seen.requests.borrow_mut().pop().unwrap();
            match body {
                Some(body) => {
                    assert_eq!((answer.status, answer.body.as_str()), (200, body), "{what:?}");
                    assert_eq!(seen.fields, "", "{what:?}");
                    client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
                    assert_eq!(client.answer().await.status, 200, "{what:?}");
                }
                None => {
                    assert!(answer.status == 400 && answer.says_close(), "{what:?}: {answer:?}");
                    assert!(seen.body.unwrap().unwrap_err().starts_with("BadRequest"), "{what:?}");
                    client.assert_closed(what).await;
                }
            }
            site.serves_the_next().await;
        }
    });
}

#[test]
fn a_body_that_ends_early_is_the_clients_fault() {
    run(|site| async move {
        for head in [
            "Content-Length: 10\r\n\r\nhi",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
        ] {
            let before = site.seen.requests.borrow().len();
            let mut client = site.connect().await;
            client.send(format!("{POST}{head}").as_bytes()).await;
            within(client.stream.shutdown()).await.unwrap();
            // Nobody is there to answer; what counts is that the body did not end well.
            assert!(client.try_answer("POST").await.is_none_or(|answer| answer.status == 400), "{head:?}");
            let requests = site.seen.requests.borrow();
            assert_eq!(requests.len(), before + 1, "{head:?}");
            let body = &requests[before].body;
            assert!(body.as_ref().is_none_or(|body| body.as_ref().is_err_and(|kind| kind == "ClientGone")), "{body:?}");
        }
        site.serves_the_next().await;
    });
}

#[test]
fn expectations_are_answered_when_the_body_is_wanted() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(format!("{POST}Content-Length: 2\r\nExpect: \t100-Continue \r\n\r\n").as_bytes()).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.head.as_str()), (100, "HTTP/1.1 100 Continue\r\n\r\n"));
        client.send(b"hi").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hi"));
        assert_eq!(site.seen.requests.borrow()[0].fields, "", "Expect goes no further");
        client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);

        // A refusal comes in place of 100, and the body is never taken for a request.
        let mut client = site.connect().await;
        client.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 36\r\nExpect: 100-continue\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.status == 401 && answer.says_close(), "{answer:?}");
        client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").await;
        client.assert_closed("early answer to an expectation").await;

        let mut client = site.connect().await;
        client.send(b"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200, "nothing to wait for without a body");
        assert!(!site.seen.lines().iter().any(|line| line.contains("smuggled")));
    });
}

#[test]
fn an_unread_body_is_never_a_request() {
    run(|site| async move {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let chunked = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
        let large = "y".repeat(1 << 20);
        for (framing, body) in [
            (format!("Content-Length: {}", smuggled.len()), smuggled),
            (format!("Content-Length: {}", smuggled.len() + 1), smuggled),
            ("Content-Length: 1048576".to_owned(), large.as_str()),
            ("Transfer-Encoding: chunked".to_owned(), chunked.as_str()),
        ] {
            let mut client = site.connect().await;
            client.send(format!("POST /early HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n").as_bytes()).await;
            client.try_send(body.as_bytes()).await;
            let answer = client.answer().await;
            assert!(answer.status == 401 && answer.says_close() && answer.whole, "{framing}: {answer:?}");
            client.try_send(smuggled.as_bytes()).await;
            site.serves_the_next().await;
        }
        assert!(site.seen.attacked().iter().all(|line| line == "POST /early @x"), "{:?}", site.seen.lines());
    });
}

#[test]
fn a_body_of_a_get_is_kept() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(b"GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(client.answer().await.body, "hi");
    });
}

#[test]
fn a_large_body_streams_through() {
    run(|site| async move {
        let mut client = site.connect().await;
        client.send(format!("{POST}Content-Length: 8388608\r\n\r\n").as_bytes()).await;
        let piece = vec![b'z'; 1 << 20];
        for _ in 0..8 {
            client.send(&piece).await;
        }
        assert_eq!(client.answer().await.body.len(), 8 << 20);
    });
}
