//! Calls of an inspector whose hooks may wait: begun, waited for, given up.

use super::{Open, Stage, closed_with, hook};
use crate::fault::Broken;
use crate::instance::{Shown, Word};
use crate::pool::Lent;
use crate::seen::Begun;
use crate::state::picture;
use crate::trace::Traced;
use crate::waiting::{self, Call, Called, Waiting};
use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use wasmtime::component::ResourceAny;
use wire::Exchange;
use wire::fault::PluginFault;

/// A call of an inspector that waits. It has the instance, and the exchange.
pub(super) struct Flight {
    call: Call<Called<Word>>,
    body: ResourceAny,
    lent: Lent,
    begun: Begun,
    /// Told when nobody wants the body any more.
    left: Rc<Cell<bool>>,
}

impl Stage {
    /// The same, where its hooks may wait: it goes on by itself if its destructor is not over
    /// at once. The exchange, as the destructor left it or as it was.
    pub(super) fn close_waiting(&self, open: Open, exchange: Box<Exchange>) -> Option<Box<Exchange>> {
        let (worker, slot, side, id) = (Rc::clone(&self.worker), Rc::clone(&self.slot), self.side, self.exchange);
        let shown = picture(&exchange);
        let back = Rc::new(Cell::new(None));
        let done = Rc::clone(&back);
        self.worker.afters.run(Box::pin(async move {
            let Open { mut instance, body, lent } = open;
            let Some(until) = slot.waiting.as_ref().map(Waiting::until) else { return };
            instance.arm(slot.loaded.deadline);
            let traced = Traced::begin(&shown, &slot.loaded.common.name, hook(side));
            let begun = slot.seen.begin(hook(side));
            let called = waiting::call(&worker, &slot, until, instance, None, async |instance| {
                instance.close_on_fiber(side, body, shown).await
            });
            let Called { instance, exchange, outcome } = called.await;
            slot.seen.end(begun);
            drop(lent);
            let closed =
                outcome.and_then(|()| instance.ok_or_else(|| Broken::new(PluginFault::Trap, "its instance is gone")));
            closed_with(&slot, side, (id, &exchange), closed, traced);
            done.set(Some(exchange));
        }));
        Some(back.take().unwrap_or(exchange))
    }

    /// Ends a call that waits: nobody wants the body any more. The exchange comes back.
    pub(super) fn give_up(&mut self, view: &mut Option<Box<Exchange>>) {
        let Some(mut flight) = self.flight.take() else { return };
        flight.left.set(true);
        if let Poll::Ready(Called { exchange, .. }) = waiting::at_once(&mut flight.call) {
            *view = Some(exchange);
        }
        self.slot.seen.end(flight.begun);
        self.traced = Traced::default();
    }

    /// Begins a call into its instance that may wait.
    pub(super) fn depart(&mut self, view: &mut Option<Box<Exchange>>, shown: impl FnOnce() -> Shown) {
        let Some(until) = self.slot.waiting.as_ref().map(Waiting::until) else { return };
        if view.is_none() {
            return;
        }
        let (Some(open), Some(exchange)) = (self.open.take(), view.take()) else { return };
        let Open { mut instance, body, lent } = open;
        instance.arm(self.slot.loaded.deadline);
        self.traced = Traced::begin(&exchange, &self.slot.loaded.common.name, hook(self.side));
        let begun = self.slot.seen.begin(hook(self.side));
        let left = Rc::new(Cell::new(false));
        let (worker, slot, side) = (Rc::clone(&self.worker), Rc::clone(&self.slot), self.side);
        let (told, shown) = (Rc::clone(&left), shown());
        let call = Box::pin(async move {
            waiting::call(&worker, &slot, until, instance, Some(&told), async |instance| {
                instance.show_on_fiber(side, body, shown, exchange).await
            })
            .await
        });
        self.flight = Some(Flight { call, body, lent, begun, left });
    }

    /// Waits for the outcome of a call; `None` if none was begun.
    pub(super) fn poll_flight(
        &mut self,
        cx: &mut Context<'_>,
        view: &mut Option<Box<Exchange>>,
    ) -> Poll<Option<Result<Word, Broken>>> {
        let Some(flight) = &mut self.flight else { return Poll::Ready(None) };
        let Called { instance, exchange, outcome } = ready!(flight.call.as_mut().poll(cx));
        let Some(Flight { body, lent, begun, .. }) = self.flight.take() else { return Poll::Ready(None) };
        self.slot.seen.end(begun);
        if let Some(mut instance) = instance {
            instance.keep_late(&exchange);
            self.open = Some(Open { instance, body, lent });
        }
        *view = Some(exchange);
        Poll::Ready(Some(outcome))
    }
}
