//! The request body on its way to the backend.

use crate::connection::Connection;
use bytes::{Buf as _, Bytes};
use http_body::Body;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use wire::{Fault, Framing, Kind};

/// How far the request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All of it is with the system.
    Sent,
    /// The client has to bring more.
    WaitsForClient,
    /// The backend has to take more.
    WaitsForBackend,
}

/// The request body, framed anew: whatever framing the client used, the backend
/// gets one length or plain chunks without extensions and trailers.
pub(crate) struct Upload<B> {
    /// Dropped as soon as all of it was taken, so that the client's side knows.
    body: Option<B>,
    framing: Framing,
    bytes_taken: u64,
    bytes_max: u64,
    prefix: Prefix,
    chunk: Bytes,
    suffix: &'static [u8],
    /// Bytes written of the head and the body.
    pub(crate) bytes_written: u64,
    /// The backend takes no more.
    stopped: bool,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Upload<B> {
    pub(crate) fn new(body: B, framing: Framing, bytes_max: u64) -> Self {
        Self {
            body: framing.has_body().then_some(body),
            framing,
            bytes_taken: 0,
            bytes_max,
            prefix: Prefix::default(),
            chunk: Bytes::new(),
            suffix: b"",
            bytes_written: 0,
            stopped: false,
        }
    }

    /// Makes ready to be sent from the beginning; only for a request of which
    /// no body byte was written.
    pub(crate) fn rewind(&mut self) {
        self.stopped = false;
        self.bytes_written = 0;
    }

    /// True once all of the request was written.
    pub(crate) fn is_sent(&self, connection: &Connection) -> bool {
        self.body.is_none() && !self.stopped && connection.head.is_empty() && !self.has_pending()
    }

    /// Sends as much as both sides allow.
    ///
    /// A backend that takes no more may have answered before it closed: then the
    /// answer here is `Sent`, and only reading tells how the exchange ends.
    ///
    /// # Errors
    /// The client's side failed, or broke a limit: the backend's request is to be aborted.
    pub(crate) fn poll(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Result<Progress, Fault> {
        if self.stopped {
            return Ok(Progress::Sent);
        }
        loop {
            let waits = self.poll_take(cx)?;
            if connection.head.is_empty() && !self.has_pending() {
                return Ok(if waits { Progress::WaitsForClient } else { Progress::Sent });
            }
            match connection.poll_write(cx, [self.prefix.left(), &self.chunk, self.suffix]) {
                Poll::Pending => return Ok(Progress::WaitsForBackend),
                Poll::Ready(Ok((of_body, all))) => {
                    connection.deadline.progress();
                    self.bytes_written += all as u64;
                    self.advance(of_body);
                }
                Poll::Ready(Err(_)) => {
                    self.stopped = true;
                    return Ok(Progress::Sent);
                }
            }
        }
    }

    fn has_pending(&self) -> bool {
        !self.prefix.left().is_empty() || !self.chunk.is_empty() || !self.suffix.is_empty()
    }

    /// Fetches the next piece once the last one is written. True: the client has to bring it.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Result<bool, Fault> {
        while !self.has_pending()
            && let Some(body) = &mut self.body
        {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Err(fault))) => return Err(fault),
                Poll::Ready(None) => self.end()?,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are dropped: they could carry any name (RFC 9110 §6.5.1).
                    if let Ok(data) = frame.into_data() {
                        self.accept(data)?;
                    }
                }
            }
        }
        Ok(false)
    }

    fn accept(&mut self, data: Bytes) -> Result<(), Fault> {
        // An empty chunk would be the end of the body.
        if data.is_empty() {
            return Ok(());
        }
        self.bytes_taken += data.len() as u64;
        if self.bytes_taken > self.bytes_max {
            return Err(Kind::BodyTooLarge(self.bytes_max).into());
        }
        match self.framing {
            Framing::Chunked => {
                self.prefix = Prefix::of_chunk(data.len());
                self.suffix = b"\r\n";
                if self.body.as_ref().is_none_or(Body::is_end_stream) {
                    self.body = None;
                    self.suffix = b"\r\n0\r\n\r\n";
                }
            }
            Framing::Length(length) if self.bytes_taken > length => {
                return Err(Kind::BadRequest("the body is longer than its Content-Length").into());
            }
            Framing::Length(length) if self.bytes_taken == length => self.body = None,
            Framing::Length(_) | Framing::None => {}
        }
        self.chunk = data;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.body = None;
        match self.framing {
            Framing::Chunked => self.suffix = b"0\r\n\r\n",
            Framing::Length(length) if self.bytes_taken < length => {
                return Err(Kind::BadRequest("the body is shorter than its Content-Length").into());
            }
            Framing::Length(_) | Framing::None => {}
        }
        Ok(())
    }

    fn advance(&mut self, mut bytes: usize) {
        bytes -= self.prefix.advance(bytes);
        let of_chunk = bytes.min(self.chunk.len());
        self.chunk.advance(of_chunk);
        if self.chunk.is_empty() {
            // The room it lay in is the client side's to use again.
            self.chunk = Bytes::new();
        }
        let of_suffix = (bytes - of_chunk).min(self.suffix.len());
        self.suffix = self.suffix.get(of_suffix..).unwrap_or_default();
    }
}

/// A chunk's size line: at most 16 digits and CRLF.
#[derive(Default)]
struct Prefix {
    line: [u8; 18],
    from: usize,
    to: usize,
}

impl Prefix {
    fn of_chunk(size: usize) -> Self {
        let mut line = [0; 18];
        let mut room: &mut [u8] = &mut line;
        // 16 digits hold every size, so the line fits.
        let fits = write!(room, "{size:x}\r\n").is_ok();
        let left = room.len();
        Self { line, from: 0, to: if fits { 18 - left } else { 0 } }
    }

    fn left(&self) -> &[u8] {
        self.line.get(self.from..self.to).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) -> usize {
        let share = bytes.min(self.to - self.from);
        self.from += share;
        share
    }
}
