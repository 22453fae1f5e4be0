//! One plugin's inspector of one body: what it says to each chunk, checked and done.

use crate::bindings::contract::types::{ChunkVerdict, EndVerdict, Header, Patch, Response, Tail};
use crate::edit::{self, Side};
use crate::fault::Broken;
use crate::instance::Instance;
use crate::pool::Next;
use crate::seen::{Hook, Said};
use crate::trace::{self, Traced};
use crate::worker::{Slot, Worker};
use bytes::Bytes;
use http::HeaderMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmtime::component::ResourceAny;
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
    /// `None` once it is closed.
    open: Option<(Box<Instance>, ResourceAny)>,
    /// It has changed bytes, so that the body can't go on without it.
    changed: bool,
    /// The hook that runs, or whose answer is being carried out.
    traced: Traced,
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
        let blueprint = &slot.loaded.blueprint;
        let has_hook = match side {
            Side::Request => blueprint.request_body.is_some(),
            Side::Response => blueprint.response_body.is_some(),
        };
        if !has_hook {
            let text = format!("it wants to see the body, but exports no {}", hook(side));
            trace::not_called(&exchange, &slot.loaded.common.name, hook(side), PluginFault::BadOutput);
            return (exchange, Err(Broken::new(PluginFault::BadOutput, text)));
        }
        let id = exchange.id;
        let mut traced = Traced::begin(&exchange, &slot.loaded.common.name, hook(side));
        let mut instance = match slot.pool.borrow_mut().lend(&slot.loaded, id) {
            Ok(instance) => instance,
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let begun = slot.seen.begin(hook(side));
        let (exchange, opened) = instance.open(side, exchange);
        slot.seen.end(begun);
        let opened = match opened {
            Ok(resource) => {
                slot.seen.said(hook(side), Said::Open);
                traced.said(Said::Open);
                instance.keep_late(&exchange);
                let open = Some((instance, resource));
                let (worker, slot) = (Rc::clone(worker), Rc::clone(slot));
                let traced = Traced::default();
                Ok(Self { worker, slot, side, mode, exchange: id, open, changed: false, traced })
            }
            Err(broken) => {
                traced.broke(broken.kind);
                slot.pool.borrow_mut().settle();
                Err(broken)
            }
        };
        (exchange, opened)
    }

    /// True while it wants more of the body.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Shows it a chunk.
    ///
    /// # Errors
    /// It refuses the body, or failed and its policy is to refuse.
    pub(crate) fn chunk(&mut self, data: &Bytes, view: &mut Option<Box<Exchange>>) -> Result<Made, Fault> {
        let side = self.side;
        let verdict = self.call(view, |instance, body, exchange| instance.chunk(side, body, data, exchange));
        let verdict = match verdict {
            None => return Ok(Made::Same),
            Some(Ok(verdict)) => verdict,
            Some(Err(broken)) => return self.failed(broken, view),
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

    /// Tells it the end and closes it.
    ///
    /// # Errors
    /// As for a chunk.
    pub(crate) fn end(&mut self, trailers: &HeaderMap, view: &mut Option<Box<Exchange>>) -> Result<Last, Fault> {
        let side = self.side;
        let list: Vec<Header> = trailers
            .iter()
            .map(|(name, value)| Header { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() })
            .collect();
        let verdict = self.call(view, |instance, body, exchange| instance.end(side, body, &list, exchange));
        let tail = match verdict {
            None => None,
            Some(Ok(EndVerdict::Pass)) => {
                self.said(Said::Pass);
                None
            }
            Some(Ok(EndVerdict::Finish(tail))) => Some(tail),
            Some(Ok(EndVerdict::Abort(response))) => return self.refused(response, view).map(|_| Last::default()),
            Some(Err(broken)) => return self.failed(broken, view).map(|_| Last::default()),
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
        let Some((mut instance, resource)) = self.open.take() else { return };
        self.slot.pool.borrow_mut().settle();
        let Some(exchange) = view.take() else { return };
        let _busy = self.worker.run();
        instance.arm(self.slot.loaded.deadline);
        let mut traced = Traced::begin(&exchange, &self.slot.loaded.common.name, hook(self.side));
        let begun = self.slot.seen.begin(hook(self.side));
        let (exchange, closed) = instance.close(self.side, resource, exchange);
        self.slot.seen.end(begun);
        match closed {
            Ok(()) => {
                self.slot.seen.said(hook(self.side), Said::Close);
                traced.said(Said::Close);
                instance.keep_late(&exchange);
                let again = self.side == Side::Request && self.slot.loaded.blueprint.response_head.is_some();
                let next = if again { Next::ThisExchange } else { Next::AnyExchange };
                self.slot.pool.borrow_mut().put(&self.slot.loaded, self.exchange, instance, next);
            }
            Err(broken) => {
                traced.broke(broken.kind);
                self.slot.report(&broken, hook(self.side));
            }
        }
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
        let (instance, resource) = self.open.as_mut()?;
        let exchange = view.take()?;
        let _busy = self.worker.run();
        instance.arm(self.slot.loaded.deadline);
        self.traced = Traced::begin(&exchange, &self.slot.loaded.common.name, hook(self.side));
        let begun = self.slot.seen.begin(hook(self.side));
        let (exchange, outcome) = call(instance, *resource, exchange);
        self.slot.seen.end(begun);
        if outcome.is_ok() {
            instance.keep_late(&exchange);
        } else {
            // A trap leaves the instance in no known state.
            self.open = None;
            self.slot.pool.borrow_mut().settle();
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

impl Drop for Stage {
    fn drop(&mut self) {
        // Closed by its flow in all ways that have a view; here the instance goes with it.
        if self.open.take().is_some() {
            self.slot.pool.borrow_mut().settle();
        }
    }
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
