//! From a handler's reply to hyper's response.

use super::progress::Progress;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use wire::Fault;
use wire::ports::Reply;

pin_project! {
    /// A reply's body as hyper takes it; `None` inside is an empty one.
    pub(crate) struct ReplyBody<B> {
        #[pin]
        body: Option<B>,
        // `Content-Length` stands in the head: hyper must hold the body to it.
        length_is_promised: bool,
        ended: Ended,
    }
}

/// Tells when hyper lets go of the body: its last byte is in hyper's buffer.
struct Ended(Rc<Progress>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.reply_ended();
    }
}

/// Turns a handler's reply into hyper's; `close` ends the connection after it.
///
/// Framing stays ours: `Transfer-Encoding` is dropped, `Content-Length` goes
/// only where RFC 9110 §8.6 lets it.
pub(crate) fn response<B>(reply: Reply<B>, close: bool, progress: Rc<Progress>) -> Response<ReplyBody<B>> {
    let Reply { mut head, body, .. } = reply;
    if head.status.is_informational() {
        // No handler may answer with one: an upgrade is not a reply, and hyper would take it for one.
        return empty(StatusCode::INTERNAL_SERVER_ERROR, true, progress);
    }
    head.headers.remove(TRANSFER_ENCODING);
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    }
    if close {
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let length_is_promised = head.headers.contains_key(CONTENT_LENGTH);
    let mut response = Response::new(ReplyBody { body: Some(body), length_is_promised, ended: Ended(progress) });
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if let Some(reason) = head.reason.and_then(|reason| ReasonPhrase::try_from(reason).ok()) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// The answer to `OPTIONS *` (RFC 9110 §9.3.7).
pub(crate) fn server_options<B>(progress: Rc<Progress>) -> Response<ReplyBody<B>> {
    let mut response = empty(StatusCode::OK, false, progress);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(wire::admit::ALLOW));
    response
}

fn empty<B>(status: StatusCode, close: bool, progress: Rc<Progress>) -> Response<ReplyBody<B>> {
    let mut response = Response::new(ReplyBody { body: None, length_is_promised: false, ended: Ended(progress) });
    *response.status_mut() = status;
    if close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl<B: Body<Data = Bytes, Error = Fault>> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            // Said too early, hyper would write another length than the promised one.
            Some(body) => !self.length_is_promised && body.is_end_stream(),
            None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(_) if self.length_is_promised => SizeHint::default(),
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
