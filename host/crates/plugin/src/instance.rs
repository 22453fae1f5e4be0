//! One live instance: a store, its hooks, and the way in and out of them.

use crate::bindings::contract::types::Verdict;
use crate::bindings::hooks::{
    completion, lifecycle, request_body, request_head, request_whole, response_body, response_head, response_whole,
    timer,
};
use crate::breaker::Probe;
use crate::budget::{Budget, FIRST_LOOK_TICKS, Judgement};
use crate::fault::Broken;
use crate::fiber::FiberClock;
use crate::seen::{End, Hook, Said, Shard};
use crate::selector::Access;
use crate::state::{Common, Phase, State};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::InstancePre;
use wasmtime::{Store, UpdateDeadline};
use wire::Exchange;
use wire::fault::PluginFault;

mod body;
mod fiber;
mod tick;

pub(crate) use fiber::{FiberIndices, Shown, Word};

/// Most bytes that one call hands from the sandbox to the host, lists and strings
/// counted with their headers: a guest can't make the host allocate more. At the edge: fault `bad-output`.
pub(crate) const HANDED_OVER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most handles of an instance.
const HANDLES_MAX: usize = 1_024;
/// A view buffer larger than this is given back after its use, bytes.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// A plugin's code, linked: instances are made from it.
pub(crate) struct Blueprint {
    pub(crate) pre: InstancePre<State>,
    pub(crate) common: Arc<Common>,
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) request_head: Option<request_head::GuestIndices>,
    pub(crate) request_body: Option<request_body::GuestIndices>,
    pub(crate) request_whole: Option<request_whole::GuestIndices>,
    pub(crate) response_head: Option<response_head::GuestIndices>,
    pub(crate) response_body: Option<response_body::GuestIndices>,
    pub(crate) response_whole: Option<response_whole::GuestIndices>,
    pub(crate) completion: Option<completion::GuestIndices>,
    pub(crate) timer: Option<timer::GuestIndices>,
    /// Present where its hooks may wait: they are called by these then.
    pub(crate) fiber: Option<FiberIndices>,
}

/// A configured instance.
pub(crate) struct Instance {
    store: Store<State>,
    hooks: Hooks,
    /// In place of `hooks` where they may wait.
    fiber: Option<Box<fiber::Fiber>>,
    view: ViewBuffer,
    /// Hooks it has run.
    pub(crate) calls: u64,
    /// The next hook decides whether its plugin is held back any longer.
    pub(crate) probe: Option<Probe>,
}

/// The functions of an instance that the host calls.
#[derive(Default)]
struct Hooks {
    request_head: Option<request_head::Guest>,
    request_body: Option<request_body::Guest>,
    request_whole: Option<request_whole::Guest>,
    response_head: Option<response_head::Guest>,
    response_body: Option<response_body::Guest>,
    response_whole: Option<response_whole::Guest>,
    completion: Option<completion::Guest>,
    timer: Option<timer::Guest>,
}

/// Why no instance came about.
pub(crate) enum Unborn {
    /// It died in its start function or in `configure`.
    Broken(Broken),
    /// `configure` refused, with its text.
    Refused(String),
}

impl Blueprint {
    /// Makes an instance and asks it for its registration. The deadline covers all
    /// of it, and stays in force for the first hook.
    pub(crate) fn start(
        &self,
        deadline: Duration,
        trial: bool,
        seen: &Arc<Shard>,
    ) -> Result<(Instance, lifecycle::Registration), Unborn> {
        let begun = seen.begin(Hook::Configure);
        let mut store = self.store(deadline, trial, seen, None);
        let born = self.instantiate(&mut store);
        seen.end(begun);
        let (hooks, told) = Self::born(&mut store, seen, born)?;
        let view = ViewBuffer::default();
        Ok((Instance { store, hooks, fiber: None, view, calls: 0, probe: None }, told))
    }

    /// What came of an instance's start.
    fn born<H>(
        store: &mut Store<State>,
        seen: &Shard,
        born: wasmtime::Result<(H, Result<lifecycle::Registration, String>)>,
    ) -> Result<(H, lifecycle::Registration), Unborn> {
        store.data_mut().pause();
        let (hooks, told) = born.map_err(|error| Unborn::Broken(Broken::of(&error, store.data().limiter.denied)))?;
        let told = told.map_err(|text| Unborn::Refused(crate::text::escape(&text, 2 * 1024)))?;
        seen.said(Hook::Configure, Said::Pass);
        Ok((hooks, told))
    }

    /// A store with its limits; with a clock for hooks that may wait.
    fn store(
        &self,
        deadline: Duration,
        trial: bool,
        seen: &Arc<Shard>,
        clock: Option<Arc<FiberClock>>,
    ) -> Store<State> {
        let state = State::new(Arc::clone(&self.common), deadline, trial, seen.birth());
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(FIRST_LOOK_TICKS);
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            if let Some(clock) = &clock {
                return Ok(match clock.look(state.budget.deadline(), &mut state.times) {
                    // By the runtime's own way to yield: woken at once, it would keep sockets waiting.
                    Judgement::GoOn(ticks) => UpdateDeadline::YieldCustom(ticks, Box::pin(tokio::task::yield_now())),
                    Judgement::Stop => UpdateDeadline::Interrupt,
                });
            }
            Ok(match state.budget.look(&mut state.times) {
                Judgement::GoOn(ticks) => UpdateDeadline::Continue(ticks),
                Judgement::Stop => UpdateDeadline::Interrupt,
            })
        });
        // What a body hook may give back, and room for the rest of the call.
        let of_bodies = self.common.body_held_bytes_max.saturating_add(HANDED_OVER_BYTES_MAX / 2);
        store.set_hostcall_fuel(HANDED_OVER_BYTES_MAX.max(of_bodies));
        store.set_max_component_handles(HANDLES_MAX);
        store
    }

    fn instantiate(
        &self,
        store: &mut Store<State>,
    ) -> wasmtime::Result<(Hooks, Result<lifecycle::Registration, String>)> {
        let instance = self.pre.instantiate(&mut *store)?;
        // Every function is looked up with its types now, not at the first request.
        let lifecycle = self.lifecycle.load(&mut *store, &instance)?;
        let hooks = Hooks {
            request_head: self.request_head.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            request_body: self.request_body.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            request_whole: self.request_whole.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            response_head: self.response_head.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            response_body: self.response_body.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            response_whole: self.response_whole.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            completion: self.completion.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
            timer: self.timer.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?,
        };
        let told = lifecycle.call_configure(&mut *store)?;
        Ok((hooks, told))
    }
}

impl Instance {
    /// Hands the instance its plugin's registration.
    pub(crate) fn register(&mut self, registration: &Arc<crate::registration::Registration>) {
        self.store.data_mut().registration = Some(Arc::clone(registration));
    }

    /// Arms the deadline for the next hook.
    pub(crate) fn arm(&mut self, deadline: Duration) {
        self.store.set_epoch_deadline(FIRST_LOOK_TICKS);
        self.store.data_mut().budget = Budget::new(deadline);
        if let Some(fiber) = &self.fiber {
            fiber.clock.reset();
        }
    }

    /// Why it will be dropped; without a word it is for a fault.
    pub(crate) fn ends(&mut self, end: End) {
        self.store.data_mut().limiter.life.ends(end);
    }

    /// True if it uses so much memory that it should be replaced.
    pub(crate) fn above_watermark(&self) -> bool {
        self.store.data().limiter.above_watermark()
    }

    /// Runs the request-head hook.
    pub(crate) fn request_head(
        &mut self,
        view: &[Access],
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Verdict, Broken>) {
        let hook = self.hooks.request_head.clone();
        self.call(Phase::Request, view, exchange, |store, view| match hook {
            Some(hook) => hook.call_handle(store, view),
            None => Ok(Verdict::Pass),
        })
    }

    /// Runs the response-head hook.
    pub(crate) fn response_head(
        &mut self,
        view: &[Access],
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Verdict, Broken>) {
        let hook = self.hooks.response_head.clone();
        self.call(Phase::Response, view, exchange, |store, view| match hook {
            Some(hook) => hook.call_handle(store, view),
            None => Ok(Verdict::Pass),
        })
    }

    /// Runs the completion hook.
    pub(crate) fn complete(
        &mut self,
        view: &[Access],
        exchange: Box<Exchange>,
        summary: &completion::Summary,
    ) -> (Box<Exchange>, Result<(), Broken>) {
        let hook = self.hooks.completion.clone();
        self.call(Phase::Completion, view, exchange, |store, view| match hook {
            Some(hook) => hook.call_done(store, summary, view),
            None => Ok(()),
        })
    }

    fn call<T>(
        &mut self,
        phase: Phase,
        view: &[Access],
        exchange: Box<Exchange>,
        hook: impl FnOnce(&mut Store<State>, &[Option<Vec<u8>>]) -> wasmtime::Result<T>,
    ) -> (Box<Exchange>, Result<T, Broken>) {
        self.view.fill(view, &exchange, self.store.data().common.index);
        let view = std::mem::take(&mut self.view.values);
        let (exchange, outcome) = self.inside(phase, exchange, |store| hook(store, &view));
        self.view.values = view;
        (exchange, outcome)
    }

    /// Calls into the sandbox with the exchange inside.
    fn inside<T>(
        &mut self,
        phase: Phase,
        exchange: Box<Exchange>,
        hook: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> (Box<Exchange>, Result<T, Broken>) {
        self.begin(phase, exchange);
        let outcome = hook(&mut self.store);
        self.finish(outcome)
    }

    fn begin(&mut self, phase: Phase, exchange: Box<Exchange>) {
        self.calls += 1;
        self.store.data_mut().enter(phase, exchange);
    }

    fn finish<T>(&mut self, outcome: wasmtime::Result<T>) -> (Box<Exchange>, Result<T, Broken>) {
        let state = self.store.data_mut();
        let denied = state.limiter.denied;
        let mut exchange = state.leave().expect("put into the store above; nothing else takes it out");
        let outcome = outcome.map_err(|error| Broken::of(&error, denied));
        if outcome.is_err() {
            state.undo(&mut exchange);
        }
        self.end_probe(outcome.as_ref().err());
        (exchange, outcome)
    }

    /// The hook that was to show whether the plugin works again has run.
    fn end_probe(&mut self, broken: Option<&Broken>) {
        if let Some(probe) = self.probe.take() {
            let change = probe.over(broken.map(|broken| broken.kind));
            self.store.data().common.tell(&change);
        }
    }

    /// Undoes what the last hook changed by host calls, when its verdict was bad.
    pub(crate) fn undo(&mut self, exchange: &mut Exchange) {
        self.store.data_mut().undo(exchange);
    }

    /// The last hook's changes stay.
    pub(crate) fn keep(&mut self) {
        self.store.data_mut().keep();
    }
}

/// The values of a view; buffers are used again, so that a hook allocates nothing for them.
#[derive(Default)]
struct ViewBuffer {
    values: Vec<Option<Vec<u8>>>,
    spare: Vec<Vec<u8>>,
}

impl ViewBuffer {
    fn fill(&mut self, accesses: &[Access], exchange: &Exchange, plugin: u8) {
        self.values.resize_with(accesses.len(), || None);
        for (value, access) in self.values.iter_mut().zip(accesses) {
            let mut buffer = value.take().or_else(|| self.spare.pop()).unwrap_or_default();
            if buffer.capacity() > BUFFER_BYTES_KEPT {
                buffer = Vec::new();
            }
            buffer.clear();
            if access.read(exchange, plugin, &mut buffer) {
                *value = Some(buffer);
            } else {
                self.spare.push(buffer);
            }
        }
    }
}

/// A fault of an instance that should have come about.
impl From<Unborn> for Broken {
    fn from(unborn: Unborn) -> Self {
        match unborn {
            Unborn::Broken(broken) => broken,
            Unborn::Refused(text) => Self::loss(PluginFault::Configure, format!("configure refused: {text}")),
        }
    }
}
