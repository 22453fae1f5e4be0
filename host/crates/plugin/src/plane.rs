//! The plugins of one worker: the phases of a request through the chain.

use crate::bindings::contract::types::{BodyInterest, Verdict};
use crate::bindings::hooks::completion::Summary as Told;
use crate::body::{PluginBody, catch_up, has_body, reframe};
use crate::chain::Loaded;
use crate::edit::{self, Rules, Side};
use crate::engine::PluginEngine;
use crate::fault::Broken;
use crate::instance::Blueprint;
use crate::pool::Next;
use crate::seen::{Hook, Said};
use crate::selector::Access;
use crate::settings::Isolation;
use crate::stage::{Mode, Stage};
use crate::state::picture;
use crate::summary::told;
use crate::trace::{self, Traced};
use crate::waiting;
use crate::whole;
use crate::worker::{Busy, Slot, Worker};
use bytes::Bytes;
use http_body::Body;
use std::rc::Rc;
use std::sync::Arc;
use wire::exchange::{Held, Source};
use wire::fault::PluginFault;
use wire::ports::{Answer, Plugins, Step, Summary};
use wire::{Exchange, Fault, ResponseHead};

/// One worker's plugins. Hooks run to their end without a wait, so one instance
/// per plugin serves the worker, but for those that hold a body.
pub struct Plane {
    worker: Rc<Worker>,
    slots: Vec<Rc<Slot>>,
    wants_completion: bool,
    completion_reads_response: bool,
    wants_request_bodies: bool,
    may_wait: bool,
    /// Some plugin keeps an instance for an exchange between its hooks.
    keeps: bool,
}

/// What a plugin's hook came to.
pub(crate) enum Outcome {
    /// Nothing more to do.
    Done,
    /// It wants to see the body.
    Looks(BodyInterest),
    /// It answers.
    Answered(ResponseHead, Bytes, Option<Box<str>>),
}

impl Plane {
    pub(crate) fn new(engine: &Arc<PluginEngine>, plugins: &[Arc<Loaded>]) -> Self {
        let slots: Vec<_> =
            plugins.iter().filter(|loaded| loaded.sees_requests).map(|loaded| Rc::new(Slot::new(loaded))).collect();
        let any = |wants: fn(&Blueprint) -> bool| slots.iter().any(|slot| wants(&slot.loaded.blueprint));
        let wants_completion = any(|blueprint| blueprint.completion.is_some());
        let wants_request_bodies = slots.iter().any(|slot| slot.wants_request_bodies());
        let completion_reads_response = slots.iter().any(|slot| slot.loaded.reads_response_at_end);
        let collects = any(|blueprint| blueprint.request_whole.is_some() || blueprint.response_whole.is_some());
        let may_wait = collects || slots.iter().any(|slot| slot.waiting.is_some());
        let keeps = slots.iter().any(|slot| slot.keeps());
        let worker = Rc::new(Worker::new(engine));
        Self { worker, slots, wants_completion, completion_reads_response, wants_request_bodies, may_wait, keeps }
    }

    /// The way in: in order, only plugins whose `match` fits.
    async fn way_in<B>(&self, mut exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, PluginBody<B>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let mut body = PluginBody::untouched(body);
        let mut running = Some(self.worker.run());
        for slot in &self.slots {
            if !slot.loaded.matcher.matches(&exchange.request) {
                continue;
            }
            if slot.loaded.blueprint.request_head.is_none() {
                exchange.shared.ran |= slot.bit();
                continue;
            }
            let (back, outcome) = if slot.waiting.is_some() {
                drop(running.take());
                let called = Box::pin(self.waiting_head(slot, exchange, Side::Request)).await;
                running = Some(self.worker.run());
                called
            } else {
                slot.request_head(exchange)
            };
            let (back, shown) = self.show(slot, Side::Request, back, outcome, &mut body, &mut running).await;
            exchange = back;
            let (hook, outcome) = match shown {
                Ok(shown) => shown,
                Err(fault) => return (exchange, Step::Fault(fault), body),
            };
            match outcome {
                Ok(Outcome::Done | Outcome::Looks(_)) => exchange.shared.ran |= slot.bit(),
                Ok(Outcome::Answered(head, bytes, reason)) => {
                    exchange.shared.ran |= slot.bit();
                    return (exchange, Step::Answer(Box::new(slot.answer(head, bytes, reason))), body);
                }
                Err(broken) => {
                    if let Some(fault) = slot.judge(broken, hook) {
                        return (exchange, Step::Fault(fault), body);
                    }
                }
            }
        }
        body.show(&exchange);
        (exchange, Step::Continue, body)
    }

    /// The way out: in reverse, only plugins that saw the request. An answer of one
    /// is what the outer ones see.
    async fn way_out<B>(&self, mut exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, PluginBody<B>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let mut body = PluginBody::untouched(body);
        let mut running = Some(self.worker.run());
        catch_up(&mut exchange);
        let mut answered: Option<(&Slot, Option<Box<str>>)> = None;
        for slot in self.slots.iter().rev() {
            if !slot.sees_response(&exchange) {
                continue;
            }
            let (back, outcome) = if slot.waiting.is_some() {
                drop(running.take());
                let called = Box::pin(self.waiting_head(slot, exchange, Side::Response)).await;
                running = Some(self.worker.run());
                called
            } else {
                slot.response_head(exchange)
            };
            let (back, shown) = self.show(slot, Side::Response, back, outcome, &mut body, &mut running).await;
            exchange = back;
            let (hook, outcome) = match shown {
                Ok(shown) => shown,
                Err(fault) => return (exchange, Step::Fault(fault), body),
            };
            match outcome {
                Ok(Outcome::Done | Outcome::Looks(_)) => {}
                Ok(Outcome::Answered(head, bytes, reason)) => {
                    exchange.response = Some(head);
                    exchange.source = Source::Plugin(Arc::clone(&slot.loaded.common.name));
                    // What was there is dropped, with those that looked at it.
                    body = PluginBody::of(bytes);
                    answered = Some((slot, reason));
                }
                Err(broken) => {
                    if let Some(fault) = slot.judge(broken, hook) {
                        return (exchange, Step::Fault(fault), body);
                    }
                }
            }
        }
        body.show(&exchange);
        let step = match (answered, &exchange.response) {
            (Some((slot, reason)), Some(head)) => {
                let head = ResponseHead { status: head.status, reason: None, headers: head.headers.clone() };
                Step::Answer(Box::new(slot.answer(head, Bytes::new(), reason)))
            }
            _ => Step::Continue,
        };
        (exchange, step, body)
    }

    /// Shows a plugin the body if its head hook asked for it; the hook that came last,
    /// and what that came to. A wait for the whole body does not count as running.
    ///
    /// # Errors
    /// As [`Plane::look`].
    async fn show<'a, B>(
        &'a self,
        slot: &Rc<Slot>,
        side: Side,
        mut exchange: Box<Exchange>,
        outcome: Result<Outcome, Broken>,
        body: &mut PluginBody<B>,
        running: &mut Option<Busy<'a>>,
    ) -> (Box<Exchange>, Result<(Hook, Result<Outcome, Broken>), Fault>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let (head, whole) = match side {
            Side::Request => (Hook::RequestHead, Hook::RequestWhole),
            Side::Response => (Hook::ResponseHead, Hook::ResponseWhole),
        };
        let interest = match outcome {
            Ok(Outcome::Looks(interest)) => interest,
            outcome => return (exchange, Ok((head, outcome))),
        };
        exchange.shared.ran |= slot.bit();
        let mut hook = head;
        if matches!(interest, BodyInterest::Whole(_)) {
            hook = whole;
            *running = None;
        } else if slot.waiting.is_some() {
            *running = None;
        }
        let (exchange, looked) = self.look(slot, side, interest, exchange, body).await;
        running.get_or_insert_with(|| self.worker.run());
        (exchange, looked.map(|outcome| (hook, outcome)))
    }

    /// Gives a plugin the sight of a body that its head hook asked for.
    ///
    /// # Errors
    /// The body itself failed, or an earlier plugin's inspector of it; the inner ones are
    /// this plugin's own.
    async fn look<B>(
        &self,
        slot: &Rc<Slot>,
        side: Side,
        interest: BodyInterest,
        mut exchange: Box<Exchange>,
        body: &mut PluginBody<B>,
    ) -> (Box<Exchange>, Result<Result<Outcome, Broken>, Fault>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        if !has_body(side, &exchange) {
            let can_look = slot.can_look(side, &interest, &exchange);
            return (exchange, Ok(can_look.map(|()| Outcome::Done)));
        }
        let mode = match interest {
            BodyInterest::Skip => return (exchange, Ok(Ok(Outcome::Done))),
            BodyInterest::Observe => Mode::Observe,
            BodyInterest::Stream => Mode::Stream,
            BodyInterest::Whole(wanted) => return whole::look(&self.worker, slot, side, wanted, exchange, body).await,
        };
        exchange.shared.late.get_or_insert_default();
        let (mut exchange, stage) = if slot.waiting.is_some() {
            Box::pin(Stage::open_waiting(&self.worker, slot, side, mode, exchange)).await
        } else {
            Stage::open(&self.worker, slot, side, mode, exchange)
        };
        let outcome = stage.map(|stage| {
            catch_up(&mut exchange);
            body.add(stage, mode);
            // Closed with the right view even if a later hook ends the exchange.
            body.show(&exchange);
            if mode == Mode::Stream {
                reframe(side, &mut exchange, None);
            }
            Outcome::Done
        });
        (exchange, Ok(outcome))
    }

    /// A head hook that may wait. Its seat, instance and call end together.
    ///
    /// # Cancel safety
    /// Dropping it ends the outgoing calls and drops the instance; the exchange goes home.
    async fn waiting_head(
        &self,
        slot: &Slot,
        exchange: Box<Exchange>,
        side: Side,
    ) -> (Box<Exchange>, Result<Outcome, Broken>) {
        self.worker.afters.start();
        let (id, loaded) = (exchange.id, &slot.loaded);
        let registration = &loaded.registration;
        let (hook, view) = match side {
            Side::Request => (Hook::RequestHead, &registration.request_view),
            Side::Response => (Hook::ResponseHead, &registration.response_view),
        };
        let mut traced = Traced::begin(&exchange, &loaded.common.name, hook);
        let held = Held::new(exchange);
        let ready = waiting::instance(&self.worker, slot, id).await;
        let exchange = held.release();
        let (_seat, until, instance) = match ready {
            Ok(ready) => ready,
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let begun = slot.seen.begin(hook);
        let called = waiting::call(&self.worker, slot, until, instance, None, async |instance| {
            instance.head_on_fiber(side, view, exchange).await
        });
        let waiting::Called { instance, mut exchange, outcome } = called.await;
        slot.seen.end(begun);
        let (verdict, mut instance) = match (outcome, instance) {
            (Ok(verdict), Some(instance)) => (verdict, instance),
            (outcome, _) => {
                let broken = outcome.err().unwrap_or_else(|| Broken::new(PluginFault::Trap, "its instance is gone"));
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let rules = Rules { side, slots: &registration.outputs, path: loaded.common.path_rules };
        let said = Said::from(&verdict);
        let outcome = obey(verdict, rules, &mut exchange);
        match &outcome {
            Ok(_) => {
                slot.seen.said(hook, said);
                traced.said(said);
                instance.keep();
            }
            Err(_) => {
                traced.broke(PluginFault::BadOutput);
                instance.undo(&mut exchange);
            }
        }
        slot.pool.borrow_mut().put(loaded, id, instance, slot.after_head(side));
        (exchange, outcome.map_err(|why| Broken::new(PluginFault::BadOutput, why)))
    }

    /// A completion hook that may wait: it is told a picture of the exchange, and goes on by itself.
    fn complete_waiting(&self, slot: &Rc<Slot>, exchange: &Exchange, told: &Told) {
        if slot.loaded.blueprint.completion.is_none() {
            return;
        }
        let (worker, slot, exchange, told) =
            (Rc::clone(&self.worker), Rc::clone(slot), picture(exchange), told.clone());
        let call = async move {
            let id = exchange.id;
            let mut traced = Traced::begin(&exchange, &slot.loaded.common.name, Hook::Completion);
            let (_seat, until, instance) = match waiting::instance(&worker, &slot, id).await {
                Ok(ready) => ready,
                Err(broken) => {
                    traced.broke(broken.kind);
                    return slot.report(&broken, Hook::Completion);
                }
            };
            let view = &slot.loaded.registration.completion_view;
            let begun = slot.seen.begin(Hook::Completion);
            let called = waiting::call(&worker, &slot, until, instance, None, async |instance| {
                instance.complete_on_fiber(view, exchange, told).await
            });
            let waiting::Called { instance, outcome, .. } = called.await;
            slot.seen.end(begun);
            match (outcome, instance) {
                (Err(broken), _) => {
                    traced.broke(broken.kind);
                    slot.report(&broken, Hook::Completion);
                }
                (Ok(()), Some(instance)) => {
                    traced.said(Said::Pass);
                    slot.seen.said(Hook::Completion, Said::Pass);
                    slot.pool.borrow_mut().put(&slot.loaded, id, instance, Next::AnyExchange);
                }
                (Ok(()), None) => {}
            }
        };
        self.worker.afters.run(Box::pin(call));
    }

    /// Drops the instances that were kept for it: no hook but the last one comes any more.
    fn let_go(&self, exchange: u64) {
        if self.keeps {
            self.slots.iter().filter(|slot| slot.keeps()).for_each(|slot| slot.pool.borrow_mut().forget(exchange));
        }
    }

    fn the_end(&self, mut exchange: Box<Exchange>, summary: &Summary) {
        let _running = self.worker.run();
        catch_up(&mut exchange);
        let told = told(summary);
        self.let_go(exchange.id);
        for slot in &self.slots {
            if exchange.shared.ran & slot.bit() != 0 {
                if slot.waiting.is_some() {
                    self.complete_waiting(slot, &exchange, &told);
                } else {
                    exchange = slot.complete(exchange, &told);
                }
            }
        }
    }
}

impl Plugins for Plane {
    type Body<B>
        = PluginBody<B>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin;

    async fn request_head<B>(&self, exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, PluginBody<B>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        self.way_in(exchange, body).await
    }

    async fn response_head<B>(&self, exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, PluginBody<B>)
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        self.way_out(exchange, body).await
    }

    fn untouched<B>(body: B) -> PluginBody<B>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        PluginBody::untouched(body)
    }

    fn complete(&self, exchange: Box<Exchange>, summary: &Summary) {
        self.the_end(exchange, summary);
    }

    fn forget(&self, exchange: &Exchange) {
        self.let_go(exchange.id);
    }

    fn any(&self) -> bool {
        !self.slots.is_empty()
    }

    fn wants_completion(&self) -> bool {
        self.wants_completion
    }

    fn may_wait(&self) -> bool {
        self.may_wait
    }

    fn completion_reads_response(&self) -> bool {
        self.completion_reads_response
    }

    fn wants_request_bodies(&self) -> bool {
        self.wants_request_bodies
    }
}

impl Slot {
    /// The plugin saw the request, and the response is not its own answer to it.
    fn sees_response(&self, exchange: &Exchange) -> bool {
        let own = matches!(&exchange.source, Source::Plugin(name) if *name == self.loaded.common.name);
        exchange.shared.ran & self.bit() != 0 && self.loaded.blueprint.response_head.is_some() && !own
    }

    fn request_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Result<Outcome, Broken>) {
        self.head(exchange, Side::Request, self.after_head(Side::Request))
    }

    fn response_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Result<Outcome, Broken>) {
        self.head(exchange, Side::Response, self.after_head(Side::Response))
    }

    /// With memory of its own for each exchange it is the exchange's until that is over.
    fn keeps(&self) -> bool {
        self.loaded.isolation == Isolation::Request
    }

    /// Whether an exchange may call its instance again after a head hook.
    fn after_head(&self, side: Side) -> Next {
        let blueprint = &self.loaded.blueprint;
        let again = match side {
            Side::Request => blueprint.response_head.is_some() || self.wants_request_bodies(),
            Side::Response => blueprint.response_body.is_some() || blueprint.response_whole.is_some(),
        };
        if again { Next::ThisExchange } else { Next::AnyExchange }
    }

    fn wants_request_bodies(&self) -> bool {
        self.loaded.blueprint.request_body.is_some() || self.loaded.blueprint.request_whole.is_some()
    }

    /// A plugin that asks for a body has the hook for it, whether or not there is one.
    fn can_look(&self, side: Side, interest: &BodyInterest, exchange: &Exchange) -> Result<(), Broken> {
        let blueprint = &self.loaded.blueprint;
        let (hook, there) = match (side, interest) {
            (_, BodyInterest::Skip) => return Ok(()),
            (Side::Request, BodyInterest::Whole(_)) => (Hook::RequestWhole, blueprint.request_whole.is_some()),
            (Side::Request, _) => (Hook::RequestBody, blueprint.request_body.is_some()),
            (Side::Response, BodyInterest::Whole(_)) => (Hook::ResponseWhole, blueprint.response_whole.is_some()),
            (Side::Response, _) => (Hook::ResponseBody, blueprint.response_body.is_some()),
        };
        if there {
            return Ok(());
        }
        trace::not_called(exchange, &self.loaded.common.name, hook, PluginFault::BadOutput);
        Err(Broken::new(PluginFault::BadOutput, format!("it wants to see the body, but exports no {hook}")))
    }

    /// One head hook: an instance, the call, the verdict, the instance back.
    fn head(&self, exchange: Box<Exchange>, side: Side, next: Next) -> (Box<Exchange>, Result<Outcome, Broken>) {
        let id = exchange.id;
        let hook = match side {
            Side::Request => Hook::RequestHead,
            Side::Response => Hook::ResponseHead,
        };
        let mut traced = Traced::begin(&exchange, &self.loaded.common.name, hook);
        let mut instance = match self.pool.borrow_mut().take(&self.loaded, id) {
            Ok(instance) => instance,
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let registration = &self.loaded.registration;
        let begun = self.seen.begin(hook);
        let (mut exchange, verdict) = match side {
            Side::Request => instance.request_head(&registration.request_view, exchange),
            Side::Response => instance.response_head(&registration.response_view, exchange),
        };
        self.seen.end(begun);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            // A trap leaves the instance in no known state: it is dropped here.
            Err(broken) => {
                traced.broke(broken.kind);
                return (exchange, Err(broken));
            }
        };
        let rules = Rules { side, slots: &registration.outputs, path: self.loaded.common.path_rules };
        let said = Said::from(&verdict);
        let outcome = obey(verdict, rules, &mut exchange);
        match &outcome {
            Ok(_) => {
                self.seen.said(hook, said);
                traced.said(said);
                instance.keep();
            }
            Err(_) => {
                traced.broke(PluginFault::BadOutput);
                instance.undo(&mut exchange);
            }
        }
        self.pool.borrow_mut().put(&self.loaded, id, instance, next);
        (exchange, outcome.map_err(|why| Broken::new(PluginFault::BadOutput, why)))
    }

    fn complete(&self, exchange: Box<Exchange>, told: &Told) -> Box<Exchange> {
        let id = exchange.id;
        if self.loaded.blueprint.completion.is_none() {
            return exchange;
        }
        let mut traced = Traced::begin(&exchange, &self.loaded.common.name, Hook::Completion);
        let taken = self.pool.borrow_mut().take(&self.loaded, id);
        let mut instance = match taken {
            Ok(instance) => instance,
            Err(broken) => {
                traced.broke(broken.kind);
                self.report(&broken, Hook::Completion);
                return exchange;
            }
        };
        let view: &[Access] = &self.loaded.registration.completion_view;
        let begun = self.seen.begin(Hook::Completion);
        let (exchange, outcome) = instance.complete(view, exchange, told);
        self.seen.end(begun);
        match outcome {
            Ok(()) => {
                self.seen.said(Hook::Completion, Said::Pass);
                traced.said(Said::Pass);
                self.pool.borrow_mut().put(&self.loaded, id, instance, Next::AnyExchange);
            }
            Err(broken) => {
                traced.broke(broken.kind);
                self.report(&broken, Hook::Completion);
            }
        }
        exchange
    }

    pub(crate) fn answer(&self, head: ResponseHead, body: Bytes, reason: Option<Box<str>>) -> Answer {
        let plugin = Arc::clone(&self.loaded.common.name);
        Answer { plugin, status: head.status, headers: head.headers, body, reason }
    }
}

/// Does what a verdict says, or says why it can't be done.
fn obey(verdict: Verdict, rules: Rules<'_>, exchange: &mut Exchange) -> Result<Outcome, String> {
    match verdict {
        Verdict::Pass => Ok(Outcome::Done),
        Verdict::Edited(edits) | Verdict::Inspect((edits, BodyInterest::Skip)) => {
            edit::apply(edits, rules, exchange).map(|()| Outcome::Done)
        }
        Verdict::Inspect((edits, interest)) => edit::apply(edits, rules, exchange).map(|()| Outcome::Looks(interest)),
        Verdict::Respond(response) => {
            edit::answer(response).map(|(head, body, reason)| Outcome::Answered(head, body, reason))
        }
    }
}
