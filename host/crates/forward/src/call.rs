//! One request and its response on one connection, both directions at once.

use crate::chunked::Taken;
use crate::connection::Connection;
use crate::counters::Counters;
use crate::inbound::{self, Asked, BodyLength, Inbound, Parsed};
use crate::pool::Pool;
use crate::retry::Failure;
use crate::settings::ForwardSettings;
use crate::upload::{Progress, Upload};
use bytes::Bytes;
use http_body::Body;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use wire::{Fault, InFlight, Kind};

/// Room for body bytes in the read buffer, in bytes: what one connection holds
/// of a body of any size.
const BODY_ROOM: usize = 64 * 1024;

/// What the calls of one worker share.
pub(crate) struct Common {
    pub(crate) settings: ForwardSettings,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) counters: Arc<Counters>,
}

/// A request under way. Dropping it closes the connection and leaves the instance.
pub(crate) struct Call<B> {
    common: Rc<Common>,
    connection: Connection,
    upload: Upload<B>,
    /// The request's place on its instance.
    in_flight: InFlight,
    bytes_read: u64,
    length: BodyLength,
    /// Body bytes that came with the head.
    first: Bytes,
    keep: bool,
}

/// What a response that was there at once, and whole, leaves to do.
pub(crate) enum Rest<B> {
    /// The whole body; the connection idles or is closed.
    Whole(Bytes),
    /// More is to come, or still to be sent.
    Streaming(Box<Call<B>>),
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Call<B> {
    /// `connection.head` holds the encoded head.
    pub(crate) fn new(common: Rc<Common>, connection: Connection, upload: Upload<B>, in_flight: InFlight) -> Self {
        Self {
            common,
            connection,
            upload,
            in_flight,
            bytes_read: 0,
            length: BodyLength::UntilClose,
            first: Bytes::new(),
            keep: false,
        }
    }

    /// Gives the upload back, to be sent elsewhere; closes the connection and
    /// leaves the instance.
    pub(crate) fn into_upload(self) -> Upload<B> {
        self.upload
    }

    /// Sends the request until the response's head is there.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>, asked: &Asked<'_>) -> Poll<Result<Inbound, Failure>> {
        loop {
            let progress = match self.upload.poll(&mut self.connection, cx) {
                Ok(progress) => progress,
                Err(fault) => return Poll::Ready(Err(self.failure(fault, false))),
            };
            match self.connection.poll_read_head(cx) {
                Poll::Pending => {
                    let settings = &self.common.settings;
                    let (what, limit) = match self.bytes_read {
                        0 => ("first byte", settings.first_byte_limit()),
                        _ => ("response head", settings.idle_limit()),
                    };
                    let fault = ready!(self.poll_idle(cx, progress, what, limit));
                    return Poll::Ready(Err(self.failure(fault, false)));
                }
                Poll::Ready(Ok(0)) => {
                    let fault = Kind::BackendGone.into();
                    return Poll::Ready(Err(self.failure(fault, true)));
                }
                Poll::Ready(Err(error)) => {
                    let fault = Fault::from(Kind::BackendGone).with_detail(&error);
                    return Poll::Ready(Err(self.failure(fault, is_end(&error))));
                }
                Poll::Ready(Ok(bytes)) => {
                    let from = self.connection.input.len() - bytes;
                    self.bytes_read += bytes as u64;
                    self.connection.deadline.progress();
                    match self.look(from, asked) {
                        Ok(None) => {}
                        Ok(Some(inbound)) => return Poll::Ready(Ok(inbound)),
                        Err(why) => return Poll::Ready(Err(self.failure(Kind::BadResponse(why).into(), false))),
                    }
                }
            }
        }
    }

    /// Looks for a final head after bytes from `from` on were read.
    fn look(&mut self, mut from: usize, asked: &Asked<'_>) -> Result<Option<Inbound>, &'static str> {
        const TOO_LONG: &str = "its head is longer than the limit";
        let bytes_max = self.common.settings.head_bytes_max;
        loop {
            // What came before was no whole head; without the end of one among
            // the new bytes there is none now, and nothing is parsed twice.
            let input = &self.connection.input;
            if from == 0 || input.get(from.saturating_sub(3)..).is_some_and(ends_a_head) {
                let before = input.len();
                match inbound::parse(&mut self.connection.input, asked)? {
                    Parsed::Final(_) if before - self.connection.input.len() > bytes_max => return Err(TOO_LONG),
                    Parsed::Final(inbound) => return Ok(Some(inbound)),
                    Parsed::Interim => {
                        if self.bytes_read - self.connection.input.len() as u64 > bytes_max as u64 {
                            return Err(TOO_LONG);
                        }
                        from = 0;
                        if self.connection.input.is_empty() {
                            return Ok(None);
                        }
                        continue;
                    }
                    Parsed::Partial => {}
                }
            }
            return if self.connection.input.len() > bytes_max { Err(TOO_LONG) } else { Ok(None) };
        }
    }

    /// Takes over what the head says about the body, and the body itself where
    /// all of it has come with the head.
    ///
    /// # Errors
    /// A bad response, if the body is broken already.
    pub(crate) fn enter_body(mut self, length: BodyLength, keep: bool) -> Result<Rest<B>, Fault> {
        self.length = length;
        self.keep = keep;
        match self.take()? {
            Taken::End => return Ok(self.finish(Bytes::new())),
            Taken::More => {}
            Taken::Data(data) if self.has_ended() => return Ok(self.finish(data)),
            Taken::Data(data) => self.first = data,
        }
        Ok(Rest::Streaming(Box::new(self)))
    }

    fn finish(self, data: Bytes) -> Rest<B> {
        self.leave();
        Rest::Whole(data)
    }

    /// The response has ended: the connection idles if it is clean, else it is closed.
    /// A request that was not sent to its end is broken off.
    pub(crate) fn leave(self) {
        let clean = self.keep && self.connection.input.is_empty() && self.upload.is_sent(&self.connection);
        // A retired instance is being stopped: an idle connection would hold it up.
        if clean && !self.in_flight.load().is_retired() {
            self.common.pool.borrow_mut().put(self.connection);
        }
    }

    /// The next bytes of the response body; `None` at its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        if !self.first.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.first))));
        }
        loop {
            let progress = self.upload.poll(&mut self.connection, cx)?;
            match self.take()? {
                Taken::Data(data) => return Poll::Ready(Ok(Some(data))),
                Taken::End => return Poll::Ready(Ok(None)),
                Taken::More => {}
            }
            match self.connection.poll_read(cx, self.room()) {
                Poll::Pending => {
                    let limit = self.common.settings.idle_limit();
                    let fault = ready!(self.poll_idle(cx, progress, "next byte", limit));
                    return Poll::Ready(Err(fault));
                }
                Poll::Ready(Ok(0)) if matches!(self.length, BodyLength::UntilClose) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Kind::Truncated.into())),
                Poll::Ready(Ok(_)) => self.connection.deadline.progress(),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Fault::from(Kind::Truncated).with_detail(&error)));
                }
            }
        }
    }

    /// True once the last byte of the body was taken.
    pub(crate) fn has_ended(&mut self) -> bool {
        match &mut self.length {
            BodyLength::Left(left) => *left == 0,
            BodyLength::UntilClose => false,
            BodyLength::Chunked(chunked) => chunked.reaches_end(&mut self.connection.input),
        }
    }

    /// Bytes left of the body, where that is known.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        match self.length {
            BodyLength::Left(left) => Some(left.saturating_add(self.first.len() as u64)),
            _ => None,
        }
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// Room that the next read of the body can use.
    fn room(&self) -> usize {
        match self.length {
            BodyLength::Left(left) => usize::try_from(left).map_or(BODY_ROOM, |left| left.min(BODY_ROOM)),
            _ => BODY_ROOM,
        }
    }

    fn take(&mut self) -> Result<Taken, Fault> {
        self.length.take(&mut self.connection.input).map_err(|why| Kind::BadResponse(why).into())
    }

    /// Ready with a fault once the backend stood still for too long. While the
    /// client has to bring more, it is not the backend's fault. `what` and `limit`
    /// are for a request that has been sent.
    fn poll_idle(
        &mut self,
        cx: &mut Context<'_>,
        progress: Progress,
        what: &'static str,
        limit: Option<Duration>,
    ) -> Poll<Fault> {
        let (what, limit) = match progress {
            Progress::WaitsForClient => return Poll::Pending,
            Progress::WaitsForBackend => ("sending the request", self.common.settings.idle_limit()),
            Progress::Sent => (what, limit),
        };
        let Some(limit) = limit else { return Poll::Pending };
        ready!(self.connection.deadline.poll(cx, limit));
        Poll::Ready(Kind::BackendTimeout(what, limit).into())
    }

    fn failure(&self, fault: Fault, closed: bool) -> Failure {
        Failure { fault, closed, bytes_written: self.upload.bytes_written, bytes_read: self.bytes_read }
    }
}

/// True if a line ends in `bytes` and an empty one follows, strictly ended or not.
fn ends_a_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// The peer closed or reset the connection.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}
