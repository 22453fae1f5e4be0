//! What a request body may hold where plugins stand before the handler.

use super::{Counted, Meter};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wire::{Fault, Kind};

/// Pieces as they come: of an announced length, or chunked where none is known.
struct Pieces(VecDeque<&'static [u8]>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Fault;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

/// What comes of the pieces: how many bytes, and the limit that ended it.
fn drink(meter: &Rc<Meter>, pieces: &[&'static [u8]]) -> (usize, Option<u64>) {
    let mut body = Counted::new(Pieces(pieces.iter().copied().collect()), Some(Rc::clone(meter)));
    let mut got = 0;
    loop {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => got += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(Some(Err(Fault { kind: Kind::BodyTooLarge(most), .. }))) => return (got, Some(most)),
            Poll::Ready(None) => return (got, None),
            _ => panic!("another fault, or a wait"),
        }
    }
}

#[test]
fn a_limit_holds_at_its_edge_however_the_bytes_come() {
    let table: [(&[&'static [u8]], _); 6] = [
        (&[], (0, None)),
        (&[b"0123456789"], (10, None)),
        (&[b"01234", b"56789"], (10, None)),
        (&[b"0123456789a"], (0, Some(10))),
        (&[b"0123456789", b"a"], (10, Some(10))),
        (&[b"0123", b"4567", b"89ab"], (8, Some(10))),
    ];
    for (pieces, expected) in table {
        let meter = Rc::new(Meter::default());
        assert!(meter.limit(10).is_ok());
        assert_eq!(drink(&meter, pieces), expected, "{pieces:?}");
    }
}

#[test]
fn what_came_before_the_limit_was_known_counts() {
    for (length, fits) in [(9, true), (10, true), (11, false)] {
        let meter = Rc::new(Meter::default());
        let piece: &'static [u8] = b"0123456789a".split_at(length).0;
        assert_eq!(drink(&meter, &[piece]), (length, None), "no limit yet");
        assert_eq!(meter.limit(10).is_ok(), fits, "{length}");
        assert_eq!(meter.seen(), length as u64);
    }
}
