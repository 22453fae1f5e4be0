//! A whole body, shown to a plugin at once while the head is held back.

use crate::bindings::contract::types::{Overflow, Response, WholeBody, WholeVerdict};
use crate::body::{Collected, PluginBody, catch_up, reframe};
use crate::edit::{self, Rules, Side};
use crate::fault::Broken;
use crate::instance::Instance;
use crate::plane::Outcome;
use crate::pool::Next;
use crate::seen::{Hook, Said};
use crate::trace::{self, Traced};
use crate::waiting;
use crate::worker::{Slot, Worker};
use bytes::Bytes;
use http_body::Body;
use std::rc::Rc;
use wire::exchange::Held;
use wire::fault::PluginFault;
use wire::{Exchange, Fault};

/// Collects the body, calls the hook and does what it says.
pub(crate) async fn look<B>(
    worker: &Rc<Worker>,
    slot: &Rc<Slot>,
    side: Side,
    wanted: WholeBody,
    mut exchange: Box<Exchange>,
    body: &mut PluginBody<B>,
) -> (Box<Exchange>, Result<Result<Outcome, Broken>, Fault>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let bytes_max = match limit(slot, side, wanted) {
        Ok(bytes_max) => bytes_max,
        Err(broken) => {
            trace::not_called(&exchange, &slot.loaded.common.name, hook(side), broken.kind);
            return (exchange, Ok(Err(broken)));
        }
    };
    let announced_over = body.length().is_some_and(|length| length > bytes_max as u64);
    match wanted.over {
        Overflow::Refuse if announced_over => return (exchange, Ok(too_long(side))),
        Overflow::Pass if announced_over => return (exchange, Ok(Ok(Outcome::Done))),
        _ => {}
    }
    body.show(&exchange);
    let held = Held::new(exchange);
    let collected = body.collect(bytes_max).await;
    exchange = held.release();
    let collected = match collected {
        Ok(collected) => collected,
        Err(fault) => return (exchange, Err(fault)),
    };
    catch_up(&mut exchange);
    if !collected.complete {
        match wanted.over {
            Overflow::Refuse => return (exchange, Ok(too_long(side))),
            Overflow::Pass => {
                body.put_back([collected.bytes, collected.extra]);
                return (exchange, Ok(Ok(Outcome::Done)));
            }
            Overflow::Prefix => {}
        }
    }
    let (exchange, outcome) = if slot.waiting.is_some() {
        Box::pin(call_waiting(worker, slot, side, exchange, collected, body)).await
    } else {
        let _busy = worker.run();
        call(slot, side, exchange, collected, body)
    };
    (exchange, Ok(outcome))
}

/// How much it may ask for.
fn limit(slot: &Slot, side: Side, wanted: WholeBody) -> Result<usize, Broken> {
    let blueprint = &slot.loaded.blueprint;
    let there = match side {
        Side::Request => blueprint.request_whole.is_some(),
        Side::Response => blueprint.response_whole.is_some(),
    };
    if !there {
        let text = format!("it wants to see the body, but exports no {}", hook(side));
        return Err(Broken::new(PluginFault::BadOutput, text));
    }
    let common = &slot.loaded.common;
    let most = common.body_held_bytes_max;
    match usize::try_from(wanted.max) {
        Ok(bytes_max) if bytes_max <= most => Ok(bytes_max),
        _ => {
            common.metrics.count_held_over();
            let text = format!("it asks for bodies of {} bytes as a whole; body_held_bytes_max is {most}", wanted.max);
            Err(Broken::new(PluginFault::BadOutput, text))
        }
    }
}

/// The hook that is shown a whole body of this side.
fn hook(side: Side) -> Hook {
    match side {
        Side::Request => Hook::RequestWhole,
        Side::Response => Hook::ResponseWhole,
    }
}

/// The stated answer where the plugin takes no more: 413 for a request, 502 for a response.
fn too_long(side: Side) -> Result<Outcome, Broken> {
    let (status, text) = match side {
        Side::Request => (413, "The request body is longer than a plugin of this site takes.\n"),
        Side::Response => (502, "The response is longer than a plugin of this site takes.\n"),
    };
    let response =
        Response { status, headers: Vec::new(), body: text.into(), reason: Some("longer than whole-body.max".into()) };
    let (head, body, reason) = edit::answer(response).map_err(|why| Broken::new(PluginFault::BadOutput, why))?;
    Ok(Outcome::Answered(head, body, reason))
}

fn call<B>(
    slot: &Rc<Slot>,
    side: Side,
    exchange: Box<Exchange>,
    collected: Collected,
    body: &mut PluginBody<B>,
) -> (Box<Exchange>, Result<Outcome, Broken>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let mut traced = Traced::begin(&exchange, &slot.loaded.common.name, hook(side));
    let taken = slot.pool.borrow_mut().take(&slot.loaded, exchange.id);
    let mut instance = match taken {
        Ok(instance) => instance,
        Err(broken) => {
            traced.broke(broken.kind);
            body.put_back([collected.bytes, collected.extra]);
            return (exchange, Err(broken));
        }
    };
    let begun = slot.seen.begin(hook(side));
    let (exchange, verdict) = instance.whole(side, &collected.bytes, collected.complete, exchange);
    slot.seen.end(begun);
    carry_out(slot, side, exchange, verdict.map(|verdict| (instance, verdict)), collected, body, traced)
}

/// The same, in an instance whose hooks may wait.
///
/// # Cancel safety
/// Dropping it drops the instance and the body; the exchange goes home.
async fn call_waiting<B>(
    worker: &Rc<Worker>,
    slot: &Rc<Slot>,
    side: Side,
    exchange: Box<Exchange>,
    collected: Collected,
    body: &mut PluginBody<B>,
) -> (Box<Exchange>, Result<Outcome, Broken>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let mut traced = Traced::begin(&exchange, &slot.loaded.common.name, hook(side));
    let id = exchange.id;
    let held = Held::new(exchange);
    let ready = waiting::instance(worker, slot, id).await;
    let exchange = held.release();
    let (_seat, until, instance) = match ready {
        Ok(ready) => ready,
        Err(broken) => {
            traced.broke(broken.kind);
            body.put_back([collected.bytes, collected.extra]);
            return (exchange, Err(broken));
        }
    };
    let begun = slot.seen.begin(hook(side));
    let (shown, complete) = (collected.bytes.to_vec(), collected.complete);
    let called = waiting::call(worker, slot, until, instance, None, async |instance| {
        instance.whole_on_fiber(side, shown, complete, exchange).await
    });
    let waiting::Called { instance, exchange, outcome } = called.await;
    slot.seen.end(begun);
    let gone = || Broken::new(PluginFault::Trap, "its instance is gone");
    let verdict = outcome.and_then(|verdict| Ok((instance.ok_or_else(gone)?, verdict)));
    carry_out(slot, side, exchange, verdict, collected, body, traced)
}

/// Does what the hook said.
fn carry_out<B>(
    slot: &Slot,
    side: Side,
    mut exchange: Box<Exchange>,
    verdict: Result<(Box<Instance>, WholeVerdict), Broken>,
    collected: Collected,
    body: &mut PluginBody<B>,
    mut traced: Traced,
) -> (Box<Exchange>, Result<Outcome, Broken>)
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    let id = exchange.id;
    let Collected { bytes, extra, complete } = collected;
    let hook = hook(side);
    let (mut instance, verdict) = match verdict {
        Ok(verdict) => verdict,
        Err(broken) => {
            traced.broke(broken.kind);
            body.put_back([bytes, extra]);
            return (exchange, Err(broken));
        }
    };
    let said = Said::from(&verdict);
    let outcome = obey(slot, side, verdict, &mut exchange);
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
    let again = side == Side::Request && slot.loaded.blueprint.response_head.is_some();
    let next = if again { Next::ThisExchange } else { Next::AnyExchange };
    slot.pool.borrow_mut().put(&slot.loaded, id, instance, next);
    let outcome = match outcome {
        Ok(Obeyed::Kept) => {
            body.put_back([bytes, extra]);
            Ok(Outcome::Done)
        }
        Ok(Obeyed::Replaced(new)) => {
            let length = complete.then_some(new.len() as u64);
            body.put_back([new, extra]);
            reframe(side, &mut exchange, length);
            Ok(Outcome::Done)
        }
        Ok(Obeyed::Answered(outcome)) => Ok(outcome),
        Err(why) => {
            body.put_back([bytes, extra]);
            Err(Broken::new(PluginFault::BadOutput, why))
        }
    };
    (exchange, outcome)
}

enum Obeyed {
    Kept,
    Replaced(Bytes),
    Answered(Outcome),
}

fn obey(slot: &Slot, side: Side, verdict: WholeVerdict, exchange: &mut Exchange) -> Result<Obeyed, String> {
    let rules = Rules { side, slots: &slot.loaded.registration.outputs, path: slot.loaded.common.path_rules };
    match verdict {
        WholeVerdict::Pass => Ok(Obeyed::Kept),
        WholeVerdict::Edited(edits) => edit::apply(edits, rules, exchange).map(|()| Obeyed::Kept),
        WholeVerdict::Replace((edits, bytes)) => {
            let common = &slot.loaded.common;
            if bytes.len() > common.body_held_bytes_max {
                common.metrics.count_held_over();
                let (length, most) = (bytes.len(), common.body_held_bytes_max);
                return Err(format!("it gave {length} bytes of a body at once; body_held_bytes_max is {most}"));
            }
            edit::apply(edits, rules, exchange).map(|()| Obeyed::Replaced(Bytes::from(bytes)))
        }
        WholeVerdict::Respond(response) => {
            edit::answer(response).map(|(head, body, reason)| Obeyed::Answered(Outcome::Answered(head, body, reason)))
        }
    }
}
