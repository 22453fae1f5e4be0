//! Bodies on their way through: the request's is counted, the reply's tells its end.

use crate::generation::Generation;
use crate::rescue;
use crate::trace::Traced;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use observe::metrics::Counter;
use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use wire::ports::{Ending, Plugins, Summary};
use wire::{Exchange, Fault, Kind, RequestId};

/// A request body whose bytes are counted where somebody asks for the count, and held
/// to a limit where plugins stand between the client and the room that forwards.
pub struct Counted<B> {
    inner: B,
    meter: Option<Rc<Meter>>,
}

/// What has come from the client, and how much of it may.
pub(crate) struct Meter {
    seen: Cell<u64>,
    /// Not known before the handler is.
    bytes_max: Cell<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { seen: Cell::new(0), bytes_max: Cell::new(u64::MAX) }
    }
}

impl Meter {
    pub(crate) fn seen(&self) -> u64 {
        self.seen.get()
    }

    /// Sets the limit.
    ///
    /// # Errors
    /// More than that has come already.
    pub(crate) fn limit(&self, bytes_max: u64) -> Result<(), Kind> {
        self.bytes_max.set(bytes_max);
        if self.seen.get() > bytes_max { Err(Kind::BodyTooLarge(bytes_max)) } else { Ok(()) }
    }

    fn count(&self, bytes: usize) -> Result<(), Kind> {
        self.seen.set(self.seen.get().saturating_add(bytes as u64));
        self.limit(self.bytes_max.get())
    }
}

impl<B> Counted<B> {
    pub(crate) fn new(inner: B, meter: Option<Rc<Meter>>) -> Self {
        Self { inner, meter }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(ctx);
        if let (Some(meter), Poll::Ready(Some(Ok(frame)))) = (&self.meter, &polled)
            && let Some(data) = frame.data_ref()
            && let Err(kind) = meter.count(data.len())
        {
            return Poll::Ready(Some(Err(kind.into())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where the bytes of a reply come from.
pub enum Payload<B> {
    /// All at once; `None` once handed over.
    Full(Option<Bytes>),
    /// From the backend.
    Stream(B),
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for Payload<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b)))),
            Self::Stream(body) => Pin::new(body).poll_frame(ctx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// What is told of an exchange when its last byte has gone, or never will.
pub(crate) struct Record<F, P, S> {
    pub(crate) generation: Rc<Generation<F, P, S>>,
    pub(crate) exchange: Box<Exchange>,
    pub(crate) status: StatusCode,
    /// How it ends if nothing goes wrong any more.
    pub(crate) ending: Ending,
    /// What only a completion hook asks for.
    pub(crate) times: Option<Times>,
    pub(crate) detail: Option<Box<str>>,
    /// For an asker with the key.
    pub(crate) traced: Option<Traced>,
}

/// Facts that are gathered only where a plugin has a completion hook.
pub(crate) struct Times {
    pub(crate) started: Instant,
    pub(crate) first_byte: Duration,
    pub(crate) bytes_in: Rc<Meter>,
    pub(crate) bytes_out: u64,
    pub(crate) upstream: Option<SocketAddr>,
}

impl<F, P: Plugins, S> Record<F, P, S> {
    fn end(self, fault: Option<&Fault>, complete: bool) {
        let counters = &self.generation.counters;
        let ending = match fault {
            None if complete => self.ending,
            None => Ending::ClientGone,
            Some(fault) => rescue::ending(fault),
        };
        if ending == Ending::ClientGone {
            counters.count(Counter::ClientsGone);
        }
        if let Some(fault) = fault {
            let request = RequestId(self.exchange.id);
            rescue::tell(
                &self.generation.log,
                counters,
                Some(&self.exchange),
                request,
                &self.exchange.conn,
                fault,
                None,
            );
        }
        let last = self.traced.map(|traced| traced.last(&self.exchange));
        if let Some(times) = self.times {
            let summary = Summary {
                status: Some(self.status),
                ending,
                duration: times.started.elapsed(),
                first_byte: Some(times.first_byte),
                bytes_in: times.bytes_in.seen(),
                bytes_out: times.bytes_out,
                upstream: times.upstream,
                detail: fault.map(|fault| fault.to_string().into_boxed_str()).or(self.detail),
            };
            self.generation.plugins.complete(self.exchange, &summary);
        } else {
            self.generation.plugins.forget(&self.exchange);
        }
        if let Some(last) = last {
            last.tell(&self.generation.log, self.status, ending.as_str());
        }
    }
}

/// A reply's body. When its last byte has been taken, when it fails, and when
/// it is dropped before that (the client went away), the exchange is told, once.
pub struct Told<B, F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
    payload: P::Body<Payload<B>>,
    record: Option<Record<F, P, S>>,
}

impl<B, F, P, S> Told<B, F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
    pub(crate) fn new(payload: P::Body<Payload<B>>, record: Option<Record<F, P, S>>) -> Self {
        Self { payload, record }
    }
}

impl<B, F, P, S> Body for Told<B, F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.payload).poll_frame(ctx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(times) = this.record.as_mut().and_then(|record| record.times.as_mut()) {
                    times.bytes_out = times.bytes_out.saturating_add(length);
                }
            }
            Poll::Ready(Some(Err(fault))) => {
                if let Some(record) = this.record.take() {
                    record.end(Some(fault), false);
                }
            }
            Poll::Ready(None) => {
                if let Some(record) = this.record.take() {
                    record.end(None, true);
                }
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.payload.size_hint()
    }
}

impl<B, F, P, S> Drop for Told<B, F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
    fn drop(&mut self) {
        // A server stops asking once the announced length is reached, and never
        // asks for the body of a reply to HEAD: whether the exchange is complete
        // is what the source of the bytes says.
        if let Some(record) = self.record.take() {
            let unwanted = record.exchange.request.method == http::Method::HEAD;
            let complete = unwanted || self.payload.is_end_stream();
            record.end(None, complete);
        }
    }
}

// Nothing here is pinned in place: the sources are `Unpin` themselves.
impl<B, F, P, S> Unpin for Told<B, F, P, S>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
    P: Plugins,
{
}

#[cfg(test)]
mod tests;
