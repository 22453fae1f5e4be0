//! The plugins of one worker: the phases of a request through the chain.

use crate::bindings::contract::types::{BodyInterest, Verdict};
use crate::bindings::hooks::completion::{Ending as ToldEnding, Summary as Told};
use crate::chain::Loaded;
use crate::edit::{self, Rules, Side};
use crate::engine::PluginEngine;
use crate::fault::Broken;
use crate::pool::{Next, Pool};
use crate::selector::Access;
use crate::settings::FaultPolicy;
use crate::ticker::Pulse;
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use wire::exchange::Source;
use wire::fault::PluginFault;
use wire::ports::{Answer, Ending, Plugins, Step, Summary};
use wire::{Exchange, Fault, Kind, ResponseHead};

/// One worker's plugins. Hooks run to their end without a wait, so one instance
/// per plugin serves the worker.
pub struct Plane {
    pulse: Option<Pulse>,
    /// Deadlines hold only while the engine's clock runs.
    _engine: Arc<PluginEngine>,
    slots: Vec<Slot>,
    wants_completion: bool,
}

/// A plugin with its instances on this worker.
struct Slot {
    loaded: Arc<Loaded>,
    pool: RefCell<Pool>,
}

/// What a plugin's hook came to.
enum Outcome {
    /// Nothing more to do.
    Done,
    /// It answers.
    Answered(ResponseHead, Bytes, Option<Box<str>>),
}

impl Plane {
    pub(crate) fn new(engine: &Arc<PluginEngine>, plugins: &[Arc<Loaded>]) -> Self {
        let slots: Vec<_> =
            plugins.iter().map(|loaded| Slot { loaded: Arc::clone(loaded), pool: RefCell::default() }).collect();
        let wants_completion = slots.iter().any(|slot| slot.loaded.blueprint.completion.is_some());
        Self { pulse: engine.ticker().pulse(), _engine: Arc::clone(engine), slots, wants_completion }
    }

    /// The way in: in order, only plugins whose `match` fits.
    fn way_in(&self, mut exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        let _running = self.pulse.as_ref().map(Pulse::run);
        for slot in &self.slots {
            if !slot.loaded.matcher.matches(&exchange.request) {
                continue;
            }
            if slot.loaded.blueprint.request_head.is_none() {
                exchange.shared.ran |= slot.bit();
                continue;
            }
            let (back, outcome) = slot.request_head(exchange);
            exchange = back;
            match outcome {
                Ok(Outcome::Done) => exchange.shared.ran |= slot.bit(),
                Ok(Outcome::Answered(head, body, reason)) => {
                    exchange.shared.ran |= slot.bit();
                    return (exchange, Step::Answer(Box::new(slot.answer(head, body, reason))));
                }
                Err(broken) => {
                    if let Some(fault) = slot.judge(broken, "request-head") {
                        return (exchange, Step::Fault(fault));
                    }
                }
            }
        }
        (exchange, Step::Continue)
    }

    /// The way out: in reverse, only plugins that saw the request. An answer of one
    /// is what the outer ones see.
    fn way_out(&self, mut exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        let _running = self.pulse.as_ref().map(Pulse::run);
        let mut answered: Option<(&Slot, Bytes, Option<Box<str>>)> = None;
        for slot in self.slots.iter().rev() {
            if !slot.sees_response(&exchange) {
                continue;
            }
            let (back, outcome) = slot.response_head(exchange);
            exchange = back;
            match outcome {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Answered(head, body, reason)) => {
                    exchange.response = Some(head);
                    exchange.source = Source::Plugin(Arc::clone(&slot.loaded.common.name));
                    answered = Some((slot, body, reason));
                }
                Err(broken) => {
                    if let Some(fault) = slot.judge(broken, "response-head") {
                        return (exchange, Step::Fault(fault));
                    }
                }
            }
        }
        let step = match (answered, &exchange.response) {
            (Some((slot, body, reason)), Some(head)) => {
                let head = ResponseHead { status: head.status, reason: None, headers: head.headers.clone() };
                Step::Answer(Box::new(slot.answer(head, body, reason)))
            }
            _ => Step::Continue,
        };
        (exchange, step)
    }

    fn the_end(&self, mut exchange: Box<Exchange>, summary: &Summary) {
        let _running = self.pulse.as_ref().map(Pulse::run);
        let told = told(summary);
        for slot in &self.slots {
            if exchange.shared.ran & slot.bit() != 0 {
                exchange = slot.complete(exchange, &told);
            }
        }
    }
}

impl Plugins for Plane {
    async fn request_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        self.way_in(exchange)
    }

    async fn response_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        self.way_out(exchange)
    }

    fn complete(&self, exchange: Box<Exchange>, summary: &Summary) {
        self.the_end(exchange, summary);
    }

    fn any(&self) -> bool {
        !self.slots.is_empty()
    }

    fn wants_completion(&self) -> bool {
        self.wants_completion
    }
}

impl Slot {
    fn bit(&self) -> u64 {
        1 << self.loaded.common.index
    }

    /// The plugin saw the request, and the response is not its own answer to it.
    fn sees_response(&self, exchange: &Exchange) -> bool {
        let own = matches!(&exchange.source, Source::Plugin(name) if *name == self.loaded.common.name);
        exchange.shared.ran & self.bit() != 0 && self.loaded.blueprint.response_head.is_some() && !own
    }

    fn request_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Result<Outcome, Broken>) {
        let next = if self.loaded.blueprint.response_head.is_some() { Next::ThisExchange } else { Next::AnyExchange };
        self.head(exchange, Side::Request, next)
    }

    fn response_head(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Result<Outcome, Broken>) {
        self.head(exchange, Side::Response, Next::AnyExchange)
    }

    /// One head hook: an instance, the call, the verdict, the instance back.
    fn head(&self, exchange: Box<Exchange>, side: Side, next: Next) -> (Box<Exchange>, Result<Outcome, Broken>) {
        let id = exchange.id;
        let mut instance = match self.pool.borrow_mut().take(&self.loaded, id) {
            Ok(instance) => instance,
            Err(broken) => return (exchange, Err(broken)),
        };
        let registration = &self.loaded.registration;
        let (mut exchange, verdict) = match side {
            Side::Request => instance.request_head(&registration.request_view, exchange),
            Side::Response => instance.response_head(&registration.response_view, exchange),
        };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            // A trap leaves the instance in no known state: it is dropped here.
            Err(broken) => return (exchange, Err(broken)),
        };
        let rules = Rules { side, slots: &registration.outputs, path: self.loaded.common.path_rules };
        let outcome = obey(verdict, rules, &mut exchange);
        match &outcome {
            Ok(_) => instance.keep(),
            Err(_) => instance.undo(&mut exchange),
        }
        self.pool.borrow_mut().put(&self.loaded, id, instance, next);
        (exchange, outcome.map_err(|why| Broken::new(PluginFault::BadOutput, why)))
    }

    fn complete(&self, exchange: Box<Exchange>, told: &Told) -> Box<Exchange> {
        let id = exchange.id;
        self.pool.borrow_mut().forget(id);
        if self.loaded.blueprint.completion.is_none() {
            return exchange;
        }
        let taken = self.pool.borrow_mut().take(&self.loaded, id);
        let mut instance = match taken {
            Ok(instance) => instance,
            Err(broken) => {
                self.report(&broken, "completion");
                return exchange;
            }
        };
        let view: &[Access] = &self.loaded.registration.completion_view;
        let (exchange, outcome) = instance.complete(view, exchange, told);
        match outcome {
            Ok(()) => self.pool.borrow_mut().put(&self.loaded, id, instance, Next::AnyExchange),
            Err(broken) => self.report(&broken, "completion"),
        }
        exchange
    }

    fn answer(&self, head: ResponseHead, body: Bytes, reason: Option<Box<str>>) -> Answer {
        let plugin = Arc::clone(&self.loaded.common.name);
        Answer { plugin, status: head.status, headers: head.headers, body, reason }
    }

    /// Counts and tells a fault.
    fn report(&self, broken: &Broken, hook: &str) {
        self.pool.borrow_mut().count_fault();
        let common = &self.loaded.common;
        common.metrics.count_fault(broken.kind);
        common.log.fault(&common.name, broken.kind, &format!("hook {hook}: {}", broken.text));
    }

    /// What a fault does to the request, by the plugin's policy.
    fn judge(&self, broken: Broken, hook: &str) -> Option<Fault> {
        self.report(&broken, hook);
        match self.loaded.on_fault.of(broken.kind) {
            FaultPolicy::Skip => None,
            FaultPolicy::Refuse => {
                let name = &self.loaded.common.name;
                let detail = format!("plugin \"{name}\", hook {hook}: {}", broken.text);
                Some(Fault::new(Kind::Plugin(Arc::clone(name), broken.kind)).with_detail(detail))
            }
        }
    }
}

/// Does what a verdict says, or says why it can't be done.
fn obey(verdict: Verdict, rules: Rules<'_>, exchange: &mut Exchange) -> Result<Outcome, String> {
    match verdict {
        Verdict::Pass => Ok(Outcome::Done),
        Verdict::Edited(edits) | Verdict::Inspect((edits, BodyInterest::Skip)) => {
            edit::apply(edits, rules, exchange).map(|()| Outcome::Done)
        }
        Verdict::Inspect(_) => Err("it wants to see the body: body hooks come in a later version".to_owned()),
        Verdict::Respond(response) => {
            edit::answer(response).map(|(head, body, reason)| Outcome::Answered(head, body, reason))
        }
    }
}

fn told(summary: &Summary) -> Told {
    let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    Told {
        status: summary.status.map(|status| status.as_u16()),
        ending: match summary.ending {
            Ending::Complete => ToldEnding::Complete,
            Ending::ClientGone => ToldEnding::ClientGone,
            Ending::BackendGone => ToldEnding::UpstreamGone,
            Ending::Refused => ToldEnding::Refused,
            Ending::TimedOut => ToldEnding::TimedOut,
            Ending::Fault => ToldEnding::Fault,
        },
        duration_us: micros(summary.duration),
        first_byte_us: summary.first_byte.map(micros),
        bytes_in: summary.bytes_in,
        bytes_out: summary.bytes_out,
        upstream: summary.upstream.map(|address| address.to_string()),
        detail: summary.detail.as_deref().map(str::to_owned),
    }
}
