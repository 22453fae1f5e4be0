//! The response body, which drives the rest of the exchange.

use crate::call::{Call, Rest};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wire::Fault;

/// A response body from the backend.
///
/// Polling it also sends what is left of the request, so both directions run at
/// once, each at the pace of its receiver. It reads from the backend only when
/// polled and holds at most one read buffer of 64 KiB.
///
/// The request counts on its instance until the last byte was taken from the
/// backend; dropping the body before that ends it, and closes the connection.
pub struct ResponseBody<B>(State<B>);

enum State<B> {
    /// All of the body is here, and is not empty.
    Whole(Bytes),
    Streaming(Box<Call<B>>),
    Ended,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(rest: Rest<B>) -> Self {
        Self(match rest {
            Rest::Whole(data) if data.is_empty() => State::Ended,
            Rest::Whole(data) => State::Whole(data),
            Rest::Streaming(call) => State::Streaming(call),
        })
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let state = &mut self.get_mut().0;
        let (frame, ended) = match state {
            State::Streaming(call) => match ready!(call.poll_data(cx)) {
                Ok(Some(data)) => (Some(Ok(Frame::data(data))), call.has_ended()),
                Ok(None) => (None, true),
                Err(fault) => {
                    call.common().counters.failed(&fault.kind);
                    // Without `leave`: a connection in doubt is closed.
                    *state = State::Ended;
                    return Poll::Ready(Some(Err(fault)));
                }
            },
            State::Whole(data) => {
                let data = std::mem::take(data);
                *state = State::Ended;
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            State::Ended => return Poll::Ready(None),
        };
        if ended && let State::Streaming(call) = std::mem::replace(state, State::Ended) {
            call.leave();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::Whole(data) => SizeHint::with_exact(data.len() as u64),
            State::Streaming(call) => call.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact),
            State::Ended => SizeHint::with_exact(0),
        }
    }
}
