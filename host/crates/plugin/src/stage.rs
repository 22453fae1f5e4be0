//! One plugin's inspector of one body: what it says to each chunk, checked and done.

mod flight;

use crate::bindings::contract::types::{ChunkVerdict, EndVerdict, Header, Patch, Response, Tail};
use crate::edit::{self, Side};
use crate::fault::Broken;
use crate::instance::{Instance, Shown, Word};
use crate::pool::{Lent, Next};
use crate::seen::{Hook, Said};
use crate::trace::{self, Traced};
use crate::waiting::{self, Called};
use crate::worker::{Slot, Worker};
use bytes::Bytes;
use flight::Flight;
use http::HeaderMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime::component::ResourceAny;
use wire::exchange::Held;
use wire::fault::PluginFault;
use wire::ports::Answer;
use wire::{Exchange, Fault, Kind};

/// Most trailer fields that a plugin may end a body with.
const TRAILERS_MAX: usize = 64;

/// What a plugin asked to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It may look only.
    Observe,
    /// It may change.
    Stream,
}

/// An open inspector, with the instance that it lives in.
pub(crate) struct Stage {
    worker: Rc<Worker>,
    slot: Rc<Slot>,
    side: Side,
    mode: Mode,
    exchange: u64,
    /// `None` once it is closed, and while a call of it waits.
    open: Option<Open>,
    flight: Option<Flight>,
    /// It has changed bytes, so that the body can't go on without it.
    changed: bool,
    /// The hook that runs, or whose answer is being carried out.
    traced: Traced,
}

/// An inspector between two calls.
struct Open {
    instance: Box<Instance>,
    body: ResourceAny,
    lent: Lent,
}

/// What a stage makes of a chunk or an end.
pub(crate) enum Made {
    /// The bytes as they came.
    Same,
    /// These pieces instead.
    Pieces(Vec<Bytes>),
}

/// What the end of a body became.
#[derive(Default)]
pub(crate) struct Last {
    pub(crate) data: Bytes,
    /// `None`: as they came.
    pub(crate) trailers: Option<HeaderMap>,
}

impl Stage {
    /// Opens an inspector in an instance that is kept for it.
    pub(crate) fn open(
        worker: &Rc<Worker>,
        slot: &Rc<Slot>,
        side: Side,
        mode: Mode,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Self, Broken>) {
        let mut traced = match has_hook(slot, side, &exchange) {
            Ok(()) => Traced::begin(&exchange, &slot.loaded.common.name, hook(side)),
            Err(broken) => return (exchange, Err(broken)),
        };
        let id = exchange.id;
        let taken = slot.pool.borrow_mut().lend(&slot.loaded, id);
        let mut instance = match taken {
            Ok(instance) => instance,
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let lent = Lent::new(slot);
        let begun = slot.seen.begin(hook(side));
        let (exchange, opened) = instance.open(side, exchange);
        slot.seen.end(begun);
        let opened = opened.map(|body| Open { instance, body, lent });
        Self::opened((worker, slot), (side, mode), exchange, opened, traced)
    }

    /// The same, in an instance whose hooks may wait.
    ///
    /// # Cancel safety
    /// Dropping it drops the instance, and sends the exchange home.
    pub(crate) async fn open_waiting(
        worker: &Rc<Worker>,
        slot: &Rc<Slot>,
        side: Side,
        mode: Mode,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Self, Broken>) {
        let mut traced = match has_hook(slot, side, &exchange) {
            Ok(()) => Traced::begin(&exchange, &slot.loaded.common.name, hook(side)),
            Err(broken) => return (exchange, Err(broken)),
        };
        let id = exchange.id;
        let held = Held::new(exchange);
        let lent = waiting::lent(worker, slot, id).await;
        let exchange = held.release();
        let (lent, until, instance) = match lent {
            Ok(lent) => lent,
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let begun = slot.seen.begin(hook(side));
        let called = waiting::call(worker, slot, until, instance, None, async |instance| {
            instance.open_on_fiber(side, exchange).await
        });
        let Called { instance, exchange, outcome } = called.await;
        slot.seen.end(begun);
        let opened = outcome.and_then(|body| {
            let instance = instance.ok_or_else(|| Broken::new(PluginFault::Trap, "its instance is gone"))?;
            Ok(Open { instance, body, lent })
        });
        Self::opened((worker, slot), (side, mode), exchange, opened, traced)
    }

    fn opened(
        (worker, slot): (&Rc<Worker>, &Rc<Slot>),
        (side, mode): (Side, Mode),
        exchange: Box<Exchange>,
        opened: Result<Open, Broken>,
        mut traced: Traced,
    ) -> (Box<Exchange>, Result<Self, Broken>) {
        let stage = match opened {
            Ok(mut open) => {
                slot.seen.said(hook(side), Said::Open);
                traced.said(Said::Open);
                open.instance.keep_late(&exchange);
                let (open, flight) = (Some(open), None);
                let (worker, slot) = (Rc::clone(worker), Rc::clone(slot));
                let (changed, traced) = (false, Traced::default());
                Ok(Self { worker, slot, side, mode, exchange: exchange.id, open, flight, changed, traced })
            }
            Err(broken) => {
                traced.broke(broken.kind);
                Err(broken)
            }
        };
        (exchange, stage)
    }

    /// True while it wants more of the body.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some() || self.flight.is_some()
    }

    /// Shows it a chunk. `None` where its hooks may wait: [`Stage::poll_chunk`] has the outcome.
    ///
    /// # Errors
    /// It refuses the body, or failed and its policy is to refuse.
    pub(crate) fn chunk(&mut self, data: &Bytes, view: &mut Option<Box<Exchange>>) -> Option<Result<Made, Fault>> {
        if self.slot.waiting.is_some() {
            self.depart(view, || Shown::Chunk(data.to_vec()));
            return None;
        }
        let side = self.side;
        let verdict = self.call(view, |instance, body, exchange| instance.chunk(side, body, data, exchange));
        Some(verdict.map_or(Ok(Made::Same), |verdict| self.chunk_said(data, verdict, view)))
    }

    /// What it made of the chunk that it was shown; once it has said so.
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        data: &Bytes,
        view: &mut Option<Box<Exchange>>,
    ) -> Poll<Result<Made, Fault>> {
        Poll::Ready(match ready!(self.poll_flight(cx, view)) {
            None => Ok(Made::Same),
            Some(Ok(Word::Chunk(verdict))) => self.chunk_said(data, Ok(verdict), view),
            Some(Ok(Word::End(_))) => self.chunk_said(data, Err(another_hook()), view),
            Some(Err(broken)) => self.chunk_said(data, Err(broken), view),
        })
    }

    fn chunk_said(
        &mut self,
        data: &Bytes,
        verdict: Result<ChunkVerdict, Broken>,
        view: &mut Option<Box<Exchange>>,
    ) -> Result<Made, Fault> {
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(broken) => return self.failed(broken, view),
        };
        let said = Said::from(&verdict);
        let is_last = matches!(verdict, ChunkVerdict::Done | ChunkVerdict::ReplaceDone(_) | ChunkVerdict::PatchDone(_));
        let made = match verdict {
            ChunkVerdict::Pass | ChunkVerdict::Done => Ok(Made::Same),
            ChunkVerdict::Replace(bytes) | ChunkVerdict::ReplaceDone(bytes) => {
                Ok(Made::Pieces(vec![Bytes::from(bytes)]))
            }
            ChunkVerdict::Patch(patches) | ChunkVerdict::PatchDone(patches) => patched(data, patches).map(Made::Pieces),
            ChunkVerdict::Abort(response) => return self.refused(response, view),
        };
        match made.and_then(|made| self.check(made)) {
            Ok(made) => {
                self.said(said);
                if is_last {
                    self.close(view);
                }
                Ok(made)
            }
            Err(why) => self.failed(Broken::new(PluginFault::BadOutput, why), view),
        }
    }

    /// Tells it the end and closes it. `None` where its hooks may wait: [`Stage::poll_end`] has
    /// the outcome.
    ///
    /// # Errors
    /// As for a chunk.
    pub(crate) fn end(
        &mut self,
        trailers: &HeaderMap,
        view: &mut Option<Box<Exchange>>,
    ) -> Option<Result<Last, Fault>> {
        let list = || -> Vec<Header> {
            let all = trailers.iter();
            all.map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
                .collect()
        };
        if self.slot.waiting.is_some() {
            self.depart(view, || Shown::End(list()));
            return None;
        }
        let side = self.side;
        let verdict = self.call(view, |instance, body, exchange| instance.end(side, body, &list(), exchange));
        Some(verdict.map_or_else(|| Ok(Last::default()), |verdict| self.end_said(verdict, view)))
    }

    /// What it made of the end that it was told; once it has said so.
    pub(crate) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        view: &mut Option<Box<Exchange>>,
    ) -> Poll<Result<Last, Fault>> {
        Poll::Ready(match ready!(self.poll_flight(cx, view)) {
            None => Ok(Last::default()),
            Some(Ok(Word::End(verdict))) => self.end_said(Ok(verdict), view),
            Some(Ok(Word::Chunk(_))) => self.end_said(Err(another_hook()), view),
            Some(Err(broken)) => self.end_said(Err(broken), view),
        })
    }

    fn end_said(
        &mut self,
        verdict: Result<EndVerdict, Broken>,
        view: &mut Option<Box<Exchange>>,
    ) -> Result<Last, Fault> {
        let tail = match verdict {
            Ok(EndVerdict::Pass) => {
                self.said(Said::Pass);
                None
            }
            Ok(EndVerdict::Finish(tail)) => Some(tail),
            Ok(EndVerdict::Abort(response)) => return self.refused(response, view).map(|_| Last::default()),
            Err(broken) => return self.failed(broken, view).map(|_| Last::default()),
        };
        let Some(tail) = tail else {
            self.close(view);
            return Ok(Last::default());
        };
        match self.check_tail(tail) {
            Ok(last) => {
                self.said(Said::Finish);
                self.close(view);
                Ok(last)
            }
            Err(why) => self.failed(Broken::new(PluginFault::BadOutput, why), view).map(|_| Last::default()),
        }
    }

    /// Closes the inspector and gives its instance back; its last words are heard.
    pub(crate) fn close(&mut self, view: &mut Option<Box<Exchange>>) {
        self.give_up(view);
        let Some(open) = self.open.take() else { return };
        let Some(exchange) = view.take() else { return };
        if self.slot.waiting.is_some() {
            *view = self.close_waiting(open, exchange);
            return;
        }
        let Open { mut instance, body, lent } = open;
        drop(lent);
        let _busy = self.worker.run();
        instance.arm(self.slot.loaded.deadline);
        let traced = Traced::begin(&exchange, &self.slot.loaded.common.name, hook(self.side));
        let begun = self.slot.seen.begin(hook(self.side));
        let (exchange, closed) = instance.close(self.side, body, exchange);
        self.slot.seen.end(begun);
        closed_with(&self.slot, self.side, (self.exchange, &exchange), closed.map(|()| instance), traced);
        *view = Some(exchange);
    }

    /// Its answer was carried out.
    fn said(&mut self, said: Said) {
        self.slot.seen.said(hook(self.side), said);
        self.traced.said(said);
        self.traced.end();
    }

    /// Calls into its instance; `None` if it is closed.
    fn call<T>(
        &mut self,
        view: &mut Option<Box<Exchange>>,
        call: impl FnOnce(&mut Instance, ResourceAny, Box<Exchange>) -> (Box<Exchange>, Result<T, Broken>),
    ) -> Option<Result<T, Broken>> {
        let Open { instance, body, .. } = self.open.as_mut()?;
        let exchange = view.take()?;
        let _busy = self.worker.run();
        instance.arm(self.slot.loaded.deadline);
        self.traced = Traced::begin(&exchange, &self.slot.loaded.common.name, hook(self.side));
        let begun = self.slot.seen.begin(hook(self.side));
        let (exchange, outcome) = call(instance, *body, exchange);
        self.slot.seen.end(begun);
        if outcome.is_ok() {
            instance.keep_late(&exchange);
        } else {
            // A trap leaves the instance in no known state.
            self.open = None;
        }
        *view = Some(exchange);
        Some(outcome)
    }

    /// Holds what it made to its limits.
    fn check(&mut self, made: Made) -> Result<Made, String> {
        if let Made::Pieces(pieces) = &made {
            if self.mode == Mode::Observe {
                return Err("it asked to observe the body, and answered with other bytes".to_owned());
            }
            self.bound(pieces.iter().map(Bytes::len).sum())?;
            self.changed = true;
        }
        Ok(made)
    }

    fn bound(&self, bytes: usize) -> Result<(), String> {
        let common = &self.slot.loaded.common;
        let most = common.body_held_bytes_max;
        if bytes > most {
            common.metrics.count_held_over();
            return Err(format!("it gave {bytes} bytes of a body at once; body_held_bytes_max is {most}"));
        }
        Ok(())
    }

    /// The same for its last words: without bytes they change nothing.
    fn check_tail(&self, tail: Tail) -> Result<Last, String> {
        if self.mode == Mode::Observe && !tail.data.is_empty() {
            return Err("it asked to observe the body, and added bytes to its end".to_owned());
        }
        self.bound(tail.data.len())?;
        Ok(Last { data: Bytes::from(tail.data), trailers: tail.trailers.map(fields).transpose()? })
    }

    /// A fault in the middle of a body: the policy, but never a body half changed.
    fn failed(&mut self, broken: Broken, view: &mut Option<Box<Exchange>>) -> Result<Made, Fault> {
        self.traced.broke(broken.kind);
        self.traced.end();
        self.close(view);
        if self.changed {
            return Err(self.slot.refusal(broken, hook(self.side)));
        }
        match self.slot.judge(broken, hook(self.side)) {
            Some(fault) => Err(fault),
            None => Ok(Made::Same),
        }
    }

    /// It refuses the body.
    fn refused(&mut self, response: Response, view: &mut Option<Box<Exchange>>) -> Result<Made, Fault> {
        let (head, body, reason) = match edit::answer(response) {
            Ok(answer) => answer,
            Err(why) => return self.failed(Broken::new(PluginFault::BadOutput, why), view),
        };
        self.said(Said::Abort);
        self.close(view);
        let plugin = Arc::clone(&self.slot.loaded.common.name);
        let detail = reason.clone();
        let answer = Answer { plugin, status: head.status, headers: head.headers, body, reason };
        Err(Fault { detail, ..Fault::new(Kind::Aborted(Arc::new(answer))) })
    }
}

/// A plugin that asks for a body has the hook for it.
fn has_hook(slot: &Slot, side: Side, exchange: &Exchange) -> Result<(), Broken> {
    let blueprint = &slot.loaded.blueprint;
    let there = match side {
        Side::Request => blueprint.request_body.is_some(),
        Side::Response => blueprint.response_body.is_some(),
    };
    if there {
        return Ok(());
    }
    trace::not_called(exchange, &slot.loaded.common.name, hook(side), PluginFault::BadOutput);
    Err(Broken::new(PluginFault::BadOutput, format!("it wants to see the body, but exports no {}", hook(side))))
}

/// The instance of an inspector that is closed goes back, unless its destructor failed.
fn closed_with(
    slot: &Slot,
    side: Side,
    (id, exchange): (u64, &Exchange),
    closed: Result<Box<Instance>, Broken>,
    mut traced: Traced,
) {
    match closed {
        Ok(mut instance) => {
            slot.seen.said(hook(side), Said::Close);
            traced.said(Said::Close);
            instance.keep_late(exchange);
            let again = side == Side::Request && slot.loaded.blueprint.response_head.is_some();
            let next = if again { Next::ThisExchange } else { Next::AnyExchange };
            slot.pool.borrow_mut().put(&slot.loaded, id, instance, next);
        }
        Err(broken) => {
            traced.broke(broken.kind);
            slot.report(&broken, hook(side));
        }
    }
}

/// The answer to another call than the one that was made.
fn another_hook() -> Broken {
    Broken::new(PluginFault::Trap, "another hook of it answered")
}

/// The hook that an inspector of this side is.
fn hook(side: Side) -> Hook {
    match side {
        Side::Request => Hook::RequestBody,
        Side::Response => Hook::ResponseBody,
    }
}

/// The chunk with its patches: what is kept is not copied.
fn patched(data: &Bytes, patches: Vec<Patch>) -> Result<Vec<Bytes>, String> {
    let mut pieces = Vec::with_capacity(patches.len() * 2 + 1);
    let mut from = 0;
    for (index, patch) in patches.into_iter().enumerate() {
        let at = usize::try_from(patch.at).unwrap_or(usize::MAX);
        let to = at.saturating_add(usize::try_from(patch.remove).unwrap_or(usize::MAX));
        if at < from || to > data.len() {
            let length = data.len();
            return Err(format!("patch {index} ({at} to {to}) is out of order or beyond the chunk's {length} bytes"));
        }
        pieces.push(data.slice(from..at));
        pieces.push(Bytes::from(patch.insert));
        from = to;
    }
    pieces.push(data.slice(from..));
    Ok(pieces)
}

/// Trailers, held to the rules of any field that a plugin writes.
fn fields(list: Vec<Header>) -> Result<HeaderMap, String> {
    if list.len() > TRAILERS_MAX {
        return Err(format!("it ends the body with {} trailers; at most {TRAILERS_MAX}", list.len()));
    }
    let mut headers = HeaderMap::with_capacity(list.len());
    for Header { name, value } in list {
        headers.append(edit::writable(&name)?, edit::field_value(&name, value)?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::patched;
    use crate::bindings::contract::types::Patch;
    use bytes::Bytes;

    #[test]
    fn patches_keep_their_order_and_their_places() {
        let data = Bytes::from_static(b"0123456789");
        for (patches, expected) in [
            (&[][..], Some("0123456789")),
            (&[(0, 0, "a")], Some("a0123456789")),
            (&[(10, 0, "z")], Some("0123456789z")),
            (&[(0, 10, "")], Some("")),
            (&[(2, 3, "xy"), (5, 0, "!"), (9, 1, "")], Some("01xy!5678")),
            (&[(5, 1, ""), (4, 1, "")], None),
            (&[(2, 3, ""), (4, 1, "")], None),
            (&[(9, 2, "")], None),
            (&[(11, 0, "")], None),
            (&[(4_294_967_295, 4_294_967_295, "")], None),
        ] {
            let list = patches.iter().map(|(at, remove, insert)| Patch {
                at: *at,
                remove: *remove,
                insert: insert.as_bytes().to_vec(),
            });
            let made = patched(&data, list.collect()).ok().map(|pieces| pieces.concat());
            assert_eq!(made.as_deref(), expected.map(str::as_bytes), "{patches:?}");
        }
    }
}
