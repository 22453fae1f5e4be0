//! One live instance: a store, its hooks, and the way in and out of them.

use crate::bindings::contract::types::Verdict;
use crate::bindings::hooks::{completion, lifecycle, request_head, response_head};
use crate::budget::{Budget, FIRST_LOOK_TICKS, Judgement};
use crate::fault::Broken;
use crate::selector::Access;
use crate::state::{Common, Phase, State};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::InstancePre;
use wasmtime::{Store, UpdateDeadline};
use wire::Exchange;
use wire::fault::PluginFault;

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
    pub(crate) response_head: Option<response_head::GuestIndices>,
    pub(crate) completion: Option<completion::GuestIndices>,
}

/// A configured instance.
pub(crate) struct Instance {
    store: Store<State>,
    request_head: Option<request_head::Guest>,
    response_head: Option<response_head::Guest>,
    completion: Option<completion::Guest>,
    view: ViewBuffer,
    /// Hooks it has run.
    pub(crate) calls: u64,
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
    pub(crate) fn start(&self, deadline: Duration, trial: bool) -> Result<(Instance, lifecycle::Registration), Unborn> {
        let mut store = Store::new(self.pre.engine(), State::new(Arc::clone(&self.common), deadline, trial));
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(FIRST_LOOK_TICKS);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            Ok(match state.budget.look(&mut state.times) {
                Judgement::GoOn(ticks) => UpdateDeadline::Continue(ticks),
                Judgement::Stop => UpdateDeadline::Interrupt,
            })
        });
        store.set_hostcall_fuel(HANDED_OVER_BYTES_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        let born = self.instantiate(&mut store);
        store.data_mut().pause();
        let (request_head, response_head, completion, told) =
            born.map_err(|error| Unborn::Broken(Broken::of(&error, store.data().limiter.denied)))?;
        let told = told.map_err(|text| Unborn::Refused(crate::text::escape(&text, 2 * 1024)))?;
        let view = ViewBuffer::default();
        Ok((Instance { store, request_head, response_head, completion, view, calls: 0 }, told))
    }

    #[expect(clippy::type_complexity, reason = "the parts of an instance, taken apart at once")]
    fn instantiate(
        &self,
        store: &mut Store<State>,
    ) -> wasmtime::Result<(
        Option<request_head::Guest>,
        Option<response_head::Guest>,
        Option<completion::Guest>,
        Result<lifecycle::Registration, String>,
    )> {
        let instance = self.pre.instantiate(&mut *store)?;
        // Every function is looked up with its types now, not at the first request.
        let lifecycle = self.lifecycle.load(&mut *store, &instance)?;
        let request = self.request_head.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?;
        let response = self.response_head.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?;
        let completion = self.completion.as_ref().map(|hook| hook.load(&mut *store, &instance)).transpose()?;
        let told = lifecycle.call_configure(&mut *store)?;
        Ok((request, response, completion, told))
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
        let hook = self.request_head.clone();
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
        let hook = self.response_head.clone();
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
        let hook = self.completion.clone();
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
        self.calls += 1;
        self.view.fill(view, &exchange, self.store.data().common.index);
        self.store.data_mut().enter(phase, exchange);
        let outcome = hook(&mut self.store, &self.view.values);
        let state = self.store.data_mut();
        let denied = state.limiter.denied;
        let mut exchange = state.leave().expect("put into the store above; nothing else takes it out");
        let outcome = outcome.map_err(|error| Broken::of(&error, denied));
        if outcome.is_err() {
            state.undo(&mut exchange);
        }
        (exchange, outcome)
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
            Unborn::Refused(text) => Self::new(PluginFault::Configure, format!("configure refused: {text}")),
        }
    }
}
