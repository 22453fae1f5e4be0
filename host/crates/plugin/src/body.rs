//! A body on its way past the inspectors that asked for it.
//!
//! Nothing is buffered beyond the chunk in hand and what one verdict made of it: bytes
//! are fetched from the source only when all that came before has been taken on.

use crate::edit::Side;
use crate::stage::{Last, Made, Mode, Stage};
use crate::state::{picture, take_late};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wire::{Exchange, Fault};

/// Largest piece of a body that an inspector is shown, bytes.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Chunks that are swallowed in a row before other requests of the worker get a turn.
const SWALLOWED_MAX: u32 = 16;

/// A body as the plugins let it through.
///
/// One that none of them asked for is the given one, moved. The inspectors are dropped
/// with the body, however it ends.
pub struct PluginBody<B>(Passage<B>);

enum Passage<B> {
    Untouched(B),
    Watched(Box<Watched<B>>),
}

/// A body with at least one inspector, or one of which the host holds some.
struct Watched<B> {
    /// `None` once all of it was taken.
    source: Option<B>,
    trailers: Option<HeaderMap>,
    /// The first holds what comes before the source; each further one has an inspector.
    lanes: Vec<Lane>,
    /// An inspector changes bytes: the length is not known beforehand.
    edits: bool,
    failed: bool,
    /// The exchange as the inspectors see it.
    view: Option<Box<Exchange>>,
}

/// One inspector and what it has let through.
#[derive(Default)]
struct Lane {
    stage: Option<Stage>,
    queue: VecDeque<Bytes>,
    /// What its inspector is being shown and has not answered yet.
    shown: Option<Shown>,
    ended: bool,
}

/// What an inspector is shown that may wait.
enum Shown {
    Chunk(Bytes),
    /// The trailers behind it.
    End(Option<HeaderMap>),
}

impl Lane {
    /// Takes what became of a chunk.
    fn keep(&mut self, chunk: Bytes, made: Made) {
        match made {
            Made::Same => self.queue.push_back(chunk),
            Made::Pieces(pieces) => self.queue.extend(pieces.into_iter().filter(|piece| !piece.is_empty())),
        }
    }

    /// Bytes that have come this far and not beyond.
    fn held(&self) -> u64 {
        let shown = match &self.shown {
            Some(Shown::Chunk(chunk)) => chunk.len(),
            Some(Shown::End(_)) | None => 0,
        };
        self.queue.iter().map(Bytes::len).chain([shown]).map(|length| length as u64).sum()
    }
}

/// What was collected of a body.
pub(crate) struct Collected {
    /// At most as much as was asked for.
    pub(crate) bytes: Bytes,
    /// What came with it beyond that.
    pub(crate) extra: Bytes,
    /// There is no more.
    pub(crate) complete: bool,
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> PluginBody<B> {
    pub(crate) fn untouched(body: B) -> Self {
        Self(Passage::Untouched(body))
    }

    /// A body that is all here.
    pub(crate) fn of(bytes: Bytes) -> Self {
        let mut watched = Watched::new(None);
        watched.put_back([bytes]);
        Self(Passage::Watched(Box::new(watched)))
    }

    /// Adds an inspector behind those that are there.
    pub(crate) fn add(&mut self, stage: Stage, mode: Mode) {
        let watched = self.watched();
        watched.edits |= mode == Mode::Stream;
        watched.lanes.push(Lane { stage: Some(stage), ..Lane::default() });
    }

    /// Shows the exchange as it is now to the inspectors, if there are any.
    pub(crate) fn show(&mut self, exchange: &Exchange) {
        if let Passage::Watched(watched) = &mut self.0
            && watched.lanes.len() > 1
        {
            watched.view = Some(picture(exchange));
        }
    }

    /// The length that is left, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Collects up to `bytes_max` bytes, and sees whether there are more.
    ///
    /// # Cancel safety
    /// What was collected is lost with the future; so is the exchange then.
    pub(crate) async fn collect(&mut self, bytes_max: usize) -> Result<Collected, Fault> {
        let watched = self.watched();
        let mut bytes = BytesMut::new();
        let mut only: Option<Bytes> = None;
        loop {
            let piece = poll_fn(|cx| watched.poll_piece(watched.top(), cx)).await;
            let piece = match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => {
                    let bytes = only.unwrap_or_else(|| bytes.freeze());
                    return Ok(Collected { bytes, extra: Bytes::new(), complete: true });
                }
                Err(fault) => {
                    watched.fail();
                    return Err(fault);
                }
            };
            if bytes.is_empty() && only.is_none() {
                // The usual short body is one piece: it is not copied.
                only = Some(piece);
            } else {
                if let Some(first) = only.take() {
                    bytes.extend_from_slice(&first);
                }
                bytes.extend_from_slice(&piece);
            }
            if only.as_ref().map_or(bytes.len(), Bytes::len) > bytes_max {
                let mut bytes = only.unwrap_or_else(|| bytes.freeze());
                let extra = bytes.split_off(bytes_max);
                return Ok(Collected { bytes, extra, complete: false });
            }
        }
    }

    /// Puts bytes back in front of what was not collected.
    pub(crate) fn put_back<const N: usize>(&mut self, pieces: [Bytes; N]) {
        self.watched().put_back(pieces);
    }

    fn watched(&mut self) -> &mut Watched<B> {
        if let Passage::Untouched(_) = &self.0 {
            let empty = Passage::Watched(Box::new(Watched::new(None)));
            if let Passage::Untouched(body) = std::mem::replace(&mut self.0, empty) {
                self.0 = Passage::Watched(Box::new(Watched::new(Some(body))));
            }
        }
        match &mut self.0 {
            Passage::Watched(watched) => watched,
            Passage::Untouched(_) => unreachable!("made a watched one just above"),
        }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Watched<B> {
    fn new(source: Option<B>) -> Self {
        let lanes = vec![Lane::default()];
        Self { source, trailers: None, lanes, edits: false, failed: false, view: None }
    }

    fn top(&self) -> usize {
        self.lanes.len() - 1
    }

    fn put_back<const N: usize>(&mut self, pieces: [Bytes; N]) {
        if self.has_ended(self.top()) {
            // All inspectors have had their say: what follows is known.
            self.lanes.truncate(1);
            self.edits = false;
        }
        let top = self.top();
        if let Some(lane) = self.lanes.get_mut(top) {
            for piece in pieces.into_iter().rev().filter(|piece| !piece.is_empty()) {
                lane.queue.push_front(piece);
            }
        }
    }

    /// The next bytes behind the inspector of a lane; `None` at their end.
    fn poll_piece(&mut self, level: usize, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        let mut swallowed = 0;
        loop {
            ready!(self.poll_shown(level, cx))?;
            let Some(lane) = self.lanes.get_mut(level) else { return Poll::Ready(Ok(None)) };
            if let Some(piece) = lane.queue.pop_front() {
                return Poll::Ready(Ok(Some(piece)));
            }
            if lane.ended {
                return Poll::Ready(Ok(None));
            }
            let Some(below) = level.checked_sub(1) else {
                return self.poll_source(cx);
            };
            if swallowed == SWALLOWED_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            swallowed += 1;
            match ready!(self.poll_piece(below, cx))? {
                Some(piece) => self.feed(level, piece)?,
                None => self.finish(level)?,
            }
        }
    }

    /// Hands a piece to a lane's inspector, in chunks; and the end with the last one, where
    /// the source knows it: whoever takes a body of known length never asks beyond it.
    fn feed(&mut self, level: usize, mut piece: Bytes) -> Result<(), Fault> {
        let view = &mut self.view;
        let Some(lane) = self.lanes.get_mut(level) else { return Ok(()) };
        match lane.stage.as_mut().filter(|stage| stage.is_open()) {
            None => lane.queue.push_back(piece),
            Some(stage) => {
                let chunk = piece.split_to(piece.len().min(CHUNK_BYTES_MAX));
                match stage.chunk(&chunk, view) {
                    Some(made) => lane.keep(chunk, made?),
                    None => lane.shown = Some(Shown::Chunk(chunk)),
                }
                if !piece.is_empty()
                    && let Some(lane) = level.checked_sub(1).and_then(|below| self.lanes.get_mut(below))
                {
                    lane.queue.push_front(piece);
                }
            }
        }
        self.finish_after_last(level)
    }

    /// Waits for what a lane's inspector makes of what it was shown, if there is anything.
    fn poll_shown(&mut self, level: usize, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let view = &mut self.view;
        let Some(lane) = self.lanes.get_mut(level) else { return Poll::Ready(Ok(())) };
        let (Some(shown), Some(stage)) = (&lane.shown, &mut lane.stage) else { return Poll::Ready(Ok(())) };
        match shown {
            Shown::Chunk(chunk) => {
                let made = ready!(stage.poll_chunk(cx, chunk, view))?;
                if let Some(Shown::Chunk(chunk)) = lane.shown.take() {
                    lane.keep(chunk, made);
                }
                Poll::Ready(self.finish_after_last(level))
            }
            Shown::End(_) => {
                let last = ready!(stage.poll_end(cx, view))?;
                if let Some(Shown::End(trailers)) = lane.shown.take() {
                    self.finished(level, trailers, last);
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Tells a lane's inspector the end if nothing more comes to it.
    fn finish_after_last(&mut self, level: usize) -> Result<(), Fault> {
        let waits = self.lanes.get(level).is_none_or(|lane| lane.shown.is_some() || lane.ended);
        let last = !waits && level.checked_sub(1).is_some_and(|below| self.has_ended(below));
        if last { self.finish(level) } else { Ok(()) }
    }

    /// Tells a lane's inspector the end.
    fn finish(&mut self, level: usize) -> Result<(), Fault> {
        let trailers = self.trailers.take();
        let view = &mut self.view;
        let Some(lane) = self.lanes.get_mut(level) else { return Ok(()) };
        let none = HeaderMap::new();
        let last = match lane.stage.as_mut().filter(|stage| stage.is_open()) {
            None => Last::default(),
            Some(stage) => match stage.end(trailers.as_ref().unwrap_or(&none), view) {
                Some(last) => last?,
                None => {
                    lane.shown = Some(Shown::End(trailers));
                    return Ok(());
                }
            },
        };
        self.finished(level, trailers, last);
        Ok(())
    }

    /// Nothing more comes out of a lane but its inspector's last words.
    fn finished(&mut self, level: usize, trailers: Option<HeaderMap>, last: Last) {
        let Some(lane) = self.lanes.get_mut(level) else { return };
        lane.ended = true;
        lane.queue.extend(Some(last.data).filter(|data| !data.is_empty()));
        self.trailers = match last.trailers {
            Some(instead) => Some(instead).filter(|trailers| !trailers.is_empty()),
            None => trailers,
        };
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Fault>> {
        while let Some(source) = &mut self.source {
            match ready!(Pin::new(source).poll_frame(cx)) {
                Some(Err(fault)) => return Poll::Ready(Err(fault)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Poll::Ready(Ok(Some(data))),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                None => self.source = None,
            }
        }
        Poll::Ready(Ok(None))
    }

    /// True once nothing more comes out of a lane.
    fn has_ended(&self, level: usize) -> bool {
        let Some(lane) = self.lanes.get(level) else { return true };
        if !lane.queue.is_empty() || lane.shown.is_some() {
            return false;
        }
        lane.ended
            || match level.checked_sub(1) {
                None => self.source.as_ref().is_none_or(Body::is_end_stream),
                Some(below) => !lane.stage.as_ref().is_some_and(Stage::is_open) && self.has_ended(below),
            }
    }

    /// It broke: nothing more comes, and this is not its end.
    fn fail(&mut self) {
        self.failed = true;
        self.source = None;
        self.close();
        self.lanes.clear();
    }

    fn close(&mut self) {
        for lane in &mut self.lanes {
            if let Some(stage) = &mut lane.stage {
                stage.close(&mut self.view);
            }
        }
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        for lane in &mut self.lanes {
            if let Some(stage) = &mut lane.stage {
                stage.close(&mut self.view);
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error = Fault> + Unpin> Body for PluginBody<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let watched = match &mut self.get_mut().0 {
            Passage::Untouched(body) => return Pin::new(body).poll_frame(cx),
            Passage::Watched(watched) => watched,
        };
        Poll::Ready(match ready!(watched.poll_piece(watched.top(), cx)) {
            Ok(Some(data)) => Some(Ok(Frame::data(data))),
            Ok(None) => watched.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            Err(fault) => {
                watched.fail();
                Some(Err(fault))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Passage::Untouched(body) => body.is_end_stream(),
            Passage::Watched(watched) => {
                !watched.failed && watched.trailers.is_none() && watched.has_ended(watched.top())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Passage::Untouched(body) => body.size_hint(),
            Passage::Watched(watched) if watched.edits => SizeHint::default(),
            Passage::Watched(watched) => {
                let held = watched.lanes.iter().map(Lane::held).sum();
                match watched.source.as_ref().map_or(Some(0), |source| source.size_hint().exact()) {
                    Some(rest) => SizeHint::with_exact(rest.saturating_add(held)),
                    None => SizeHint::default(),
                }
            }
        }
    }
}

/// Sets the framing of a message anew once a plugin may change its body: `Some` where the
/// length is known.
pub(crate) fn reframe(side: Side, exchange: &mut Exchange, length: Option<u64>) {
    match (side, &mut exchange.response) {
        (Side::Request, _) => {
            exchange.request.framing = length.map_or(wire::Framing::Chunked, wire::Framing::Length);
        }
        (Side::Response, Some(head)) => {
            head.headers.remove(http::header::CONTENT_LENGTH);
            if let Some(length) = length {
                head.headers.insert(http::header::CONTENT_LENGTH, length.into());
            }
        }
        (Side::Response, None) => {}
    }
}

/// True where a message has a body that hooks may ask for.
pub(crate) fn has_body(side: Side, exchange: &Exchange) -> bool {
    use http::{Method, StatusCode};
    match (side, &exchange.response) {
        (Side::Request, _) => exchange.request.framing.has_body(),
        (Side::Response, Some(head)) => {
            let status = head.status;
            let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            exchange.request.method != Method::HEAD && !bare && !status.is_informational()
        }
        (Side::Response, None) => false,
    }
}

/// What body hooks wrote reaches the hook that runs next.
pub(crate) fn catch_up(exchange: &mut Exchange) {
    if exchange.shared.late.is_some() {
        take_late(exchange);
    }
}
