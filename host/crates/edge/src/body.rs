//! A client's request body, and who is guilty when it ends early.

use crate::conn::Progress;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use wire::{Fault, Framing, Kind};

/// The body of an admitted request. Trailers are read and dropped: no field may
/// come in past admission.
///
/// Its faults are the client's: [`Kind::ClientGone`] where the connection ended
/// early, [`Kind::BadRequest`] for broken chunks, [`Kind::RequestTimeout`] where
/// it stopped coming. The first poll sends `100 Continue` if the client waits for it.
pub struct RequestBody(Option<Reading>);

struct Reading {
    incoming: Incoming,
    progress: Rc<Progress>,
    read: bool,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, framing: Framing, progress: &Rc<Progress>) -> Self {
        if !framing.has_body() {
            return Self(None);
        }
        progress.body_began();
        Self(Some(Reading { incoming, progress: Rc::clone(progress), read: false }))
    }

    /// A request without a body, for doors and tests that have none to read.
    #[must_use]
    pub fn empty() -> Self {
        Self(None)
    }
}

impl Reading {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.progress.body_is_expired() {
            return Poll::Ready(Some(Err(Kind::RequestTimeout.into())));
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => {
                self.progress.body_waits(cx);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                self.progress.body_moved();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(classify(&error)))),
            Poll::Ready(_) => {
                self.read = true;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.progress.body_ended(self.read || self.incoming.is_end_stream());
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let polled = reading.poll(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|reading| reading.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |reading| reading.incoming.size_hint())
    }
}

/// hyper tells broken chunks (RFC 9112 §7.1) from an early end only by the
/// kind of the system error inside.
fn classify(error: &hyper::Error) -> Fault {
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let kind = match io.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Kind::BadRequest("broken chunked coding (RFC 9112 §7.1)")
        }
        _ => Kind::ClientGone,
    };
    Fault::new(kind).with_detail(io.map_or_else(|| error.to_string(), ToString::to_string))
}
