//! The hooks of an instance that may wait: the same calls, on a fiber.
//!
//! An exchange stays in the store while its hook waits. A call that is dropped leaves it
//! there, for [`Instance::abandon`] to take out.

use super::{Blueprint, Hooks, Instance, Unborn, ViewBuffer};
use crate::bindings::contract::types::{ChunkVerdict, EndVerdict, Header, Verdict, WholeVerdict};
use crate::bindings::hooks::{completion, lifecycle};
use crate::budget::SystemTimes;
use crate::edit::Side;
use crate::fault::Broken;
use crate::fiber::FiberClock;
use crate::outbound::Outbound;
use crate::seen::{Hook, Shard};
use crate::selector::Access;
use crate::state::{Phase, State};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Func, InstancePre, Lift, Lower, ResourceAny, TypedFunc,
};
use wire::Exchange;

/// What a call gives back: the exchange always.
type Back<T> = (Box<Exchange>, Result<T, Broken>);
type View = Vec<Option<Vec<u8>>>;
type WholeHook = TypedFunc<(Vec<u8>, bool), (WholeVerdict,)>;
type Configured = Result<lifecycle::Registration, String>;

/// Where the functions of a component are that may wait.
pub(crate) struct FiberIndices {
    configure: ComponentExportIndex,
    request_head: Option<ComponentExportIndex>,
    request_body: Option<[ComponentExportIndex; 3]>,
    request_whole: Option<ComponentExportIndex>,
    response_head: Option<ComponentExportIndex>,
    response_body: Option<[ComponentExportIndex; 3]>,
    response_whole: Option<ComponentExportIndex>,
    completion: Option<ComponentExportIndex>,
    timer: Option<ComponentExportIndex>,
}

/// The functions of an instance that may wait.
pub(super) struct Fiber {
    pub(super) clock: Arc<FiberClock>,
    hooks: FiberHooks,
}

struct FiberHooks {
    request_head: Option<TypedFunc<(View,), (Verdict,)>>,
    request_body: Option<BodyHooks>,
    request_whole: Option<WholeHook>,
    response_head: Option<TypedFunc<(View,), (Verdict,)>>,
    response_body: Option<BodyHooks>,
    response_whole: Option<WholeHook>,
    completion: Option<TypedFunc<(completion::Summary, View), ()>>,
    timer: Option<TypedFunc<(), ()>>,
}

/// The functions of an inspector.
#[derive(Clone, Copy)]
struct BodyHooks {
    open: TypedFunc<(), (ResourceAny,)>,
    chunk: TypedFunc<(ResourceAny, Vec<u8>), (ChunkVerdict,)>,
    end: TypedFunc<(ResourceAny, Vec<Header>), (EndVerdict,)>,
}

/// What an inspector is shown.
pub(crate) enum Shown {
    Chunk(Vec<u8>),
    End(Vec<Header>),
}

/// What it says to that.
pub(crate) enum Word {
    Chunk(ChunkVerdict),
    End(EndVerdict),
}

impl FiberIndices {
    /// Finds the functions of the hooks that a component exports.
    ///
    /// # Errors
    /// An interface lacks one; the text says which.
    pub(crate) fn new(pre: &InstancePre<State>, hooks: crate::link::Hooks) -> wasmtime::Result<Self> {
        let component = pre.component();
        let find = |interface: &str, function: &str| {
            let name = format!("gatelodge:plugin/{interface}@0.1.0");
            let outer = component.get_export_index(None, &name);
            let found = outer.and_then(|outer| component.get_export_index(Some(&outer), function));
            found.ok_or_else(|| wasmtime::Error::msg(format!("the hook {interface} has no function {function}")))
        };
        let one = |there: bool, interface: &str, function: &str| there.then(|| find(interface, function)).transpose();
        let body = |there: bool, interface: &str| -> wasmtime::Result<Option<[ComponentExportIndex; 3]>> {
            let functions = ["open", "[method]inspector.chunk", "[method]inspector.end"];
            let [open, chunk, end] = functions.map(|function| one(there, interface, function));
            Ok(open?.zip(chunk?).zip(end?).map(|((open, chunk), end)| [open, chunk, end]))
        };
        Ok(Self {
            configure: find("lifecycle", "configure")?,
            request_head: one(hooks.request_head, "request-head", "handle")?,
            request_body: body(hooks.request_body, "request-body")?,
            request_whole: one(hooks.request_whole, "request-whole", "handle")?,
            response_head: one(hooks.response_head, "response-head", "handle")?,
            response_body: body(hooks.response_body, "response-body")?,
            response_whole: one(hooks.response_whole, "response-whole", "handle")?,
            completion: one(hooks.completion, "completion", "done")?,
            timer: one(hooks.timer, "timer", "tick")?,
        })
    }

    fn load(&self, store: &mut Store<State>, instance: &wasmtime::component::Instance) -> wasmtime::Result<FiberHooks> {
        fn typed<P, R>(
            store: &mut Store<State>,
            instance: &wasmtime::component::Instance,
            index: Option<&ComponentExportIndex>,
        ) -> wasmtime::Result<Option<TypedFunc<P, R>>>
        where
            P: ComponentNamedList + Lower,
            R: ComponentNamedList + Lift,
        {
            let Some(index) = index else { return Ok(None) };
            let func: Func = instance.get_func(&mut *store, index).ok_or_else(super::body::absent)?;
            func.typed::<P, R>(&*store).map(Some)
        }
        let body = |store: &mut Store<State>,
                    indices: Option<&[ComponentExportIndex; 3]>|
         -> wasmtime::Result<Option<BodyHooks>> {
            let Some([open, chunk, end]) = indices else { return Ok(None) };
            let open = typed(store, instance, Some(open))?;
            let chunk = typed(store, instance, Some(chunk))?;
            let end = typed(store, instance, Some(end))?;
            Ok(open.zip(chunk).zip(end).map(|((open, chunk), end)| BodyHooks { open, chunk, end }))
        };
        Ok(FiberHooks {
            request_head: typed(store, instance, self.request_head.as_ref())?,
            request_body: body(store, self.request_body.as_ref())?,
            request_whole: typed(store, instance, self.request_whole.as_ref())?,
            response_head: typed(store, instance, self.response_head.as_ref())?,
            response_body: body(store, self.response_body.as_ref())?,
            response_whole: typed(store, instance, self.response_whole.as_ref())?,
            completion: typed(store, instance, self.completion.as_ref())?,
            timer: typed(store, instance, self.timer.as_ref())?,
        })
    }
}

impl Blueprint {
    /// As [`Blueprint::start`], for a plugin that may wait. Its start and `configure` wait
    /// for nothing but their turns.
    pub(crate) async fn start_on_fiber(
        &self,
        indices: &FiberIndices,
        deadline: Duration,
        trial: bool,
        clock: &Arc<FiberClock>,
        outbound: Option<&Arc<Outbound>>,
        seen: &Arc<Shard>,
    ) -> Result<(Instance, lifecycle::Registration), Unborn> {
        let begun = seen.begin(Hook::Configure);
        clock.reset();
        let mut store = self.store(deadline, trial, seen, Some(Arc::clone(clock)));
        store.data_mut().outbound = outbound.map(Arc::clone);
        let born = self.instantiate_on_fiber(indices, &mut store).await;
        seen.end(begun);
        let (hooks, told) = Self::born(&mut store, seen, born)?;
        let fiber = Some(Box::new(Fiber { clock: Arc::clone(clock), hooks }));
        let (hooks, view) = (Hooks::default(), ViewBuffer::default());
        Ok((Instance { store, hooks, fiber, view, calls: 0, probe: None }, told))
    }

    async fn instantiate_on_fiber(
        &self,
        indices: &FiberIndices,
        store: &mut Store<State>,
    ) -> wasmtime::Result<(FiberHooks, Configured)> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let hooks = indices.load(store, &instance)?;
        let configure = instance.get_typed_func::<(), (Configured,)>(&mut *store, &indices.configure)?;
        let (told,) = configure.call_async(&mut *store, ()).await?;
        Ok((hooks, told))
    }
}

impl Instance {
    /// Its hooks may wait, and have this clock.
    pub(crate) fn clock(&self) -> Option<Arc<FiberClock>> {
        self.fiber.as_ref().map(|fiber| Arc::clone(&fiber.clock))
    }

    /// Clocks for [`crate::fiber::in_turns`].
    pub(crate) fn times(&self) -> SystemTimes {
        SystemTimes::new(self.store.data().common.started)
    }

    /// Takes the exchange out after a call that was broken off; what the hook had changed is undone.
    /// Without a reason it is not the plugin's fault.
    pub(crate) fn abandon(&mut self, why: Option<&Broken>) -> Option<Box<Exchange>> {
        if why.is_some() {
            self.end_probe(why);
        }
        let state = self.store.data_mut();
        let mut exchange = state.leave()?;
        state.undo(&mut exchange);
        Some(exchange)
    }

    /// Runs a head hook.
    pub(crate) async fn head_on_fiber(
        &mut self,
        side: Side,
        view: &[Access],
        exchange: Box<Exchange>,
    ) -> Back<Verdict> {
        let values = self.values(view, &exchange);
        let hooks = self.fiber.as_ref().map(|fiber| &fiber.hooks);
        let (hook, phase) = match side {
            Side::Request => (hooks.and_then(|hooks| hooks.request_head), Phase::Request),
            Side::Response => (hooks.and_then(|hooks| hooks.response_head), Phase::Response),
        };
        self.on_fiber(phase, exchange, hook, (values,)).await
    }

    /// Opens an inspector.
    pub(crate) async fn open_on_fiber(&mut self, side: Side, exchange: Box<Exchange>) -> Back<ResourceAny> {
        let hook = self.body_hooks(side).map(|hooks| hooks.open);
        self.on_fiber(super::body::phase(side), exchange, hook, ()).await
    }

    /// Shows something of a body to an inspector.
    pub(crate) async fn show_on_fiber(
        &mut self,
        side: Side,
        body: ResourceAny,
        shown: Shown,
        exchange: Box<Exchange>,
    ) -> Back<Word> {
        let (hooks, phase) = (self.body_hooks(side), super::body::phase(side));
        match shown {
            Shown::Chunk(data) => {
                let hook = hooks.map(|hooks| hooks.chunk);
                let (exchange, said) = self.on_fiber(phase, exchange, hook, (body, data)).await;
                (exchange, said.map(Word::Chunk))
            }
            Shown::End(trailers) => {
                let hook = hooks.map(|hooks| hooks.end);
                let (exchange, said) = self.on_fiber(phase, exchange, hook, (body, trailers)).await;
                (exchange, said.map(Word::End))
            }
        }
    }

    /// Drops an inspector, which runs its destructor; to that `http-out` does not answer.
    pub(crate) async fn close_on_fiber(&mut self, side: Side, body: ResourceAny, exchange: Box<Exchange>) -> Back<()> {
        self.begin(super::body::phase(side), exchange);
        let outcome = body.resource_drop_async(&mut self.store).await;
        self.finish(outcome)
    }

    /// Shows a whole body; its head can still be changed.
    pub(crate) async fn whole_on_fiber(
        &mut self,
        side: Side,
        body: Vec<u8>,
        complete: bool,
        exchange: Box<Exchange>,
    ) -> Back<WholeVerdict> {
        let hooks = self.fiber.as_ref().map(|fiber| &fiber.hooks);
        let (hook, phase) = match side {
            Side::Request => (hooks.and_then(|hooks| hooks.request_whole), Phase::Request),
            Side::Response => (hooks.and_then(|hooks| hooks.response_whole), Phase::Response),
        };
        self.on_fiber(phase, exchange, hook, (body, complete)).await
    }

    /// Runs the timer hook, without an exchange.
    pub(crate) async fn tick_on_fiber(&mut self) -> Result<(), Broken> {
        let Some(hook) = self.fiber.as_ref().and_then(|fiber| fiber.hooks.timer) else { return Ok(()) };
        self.begin_tick();
        self.store.data_mut().may_wait = true;
        let outcome = hook.call_async(&mut self.store, ()).await;
        self.finish_tick(outcome)
    }

    fn body_hooks(&self, side: Side) -> Option<BodyHooks> {
        let hooks = &self.fiber.as_ref()?.hooks;
        match side {
            Side::Request => hooks.request_body,
            Side::Response => hooks.response_body,
        }
    }

    /// Runs the completion hook.
    pub(crate) async fn complete_on_fiber(
        &mut self,
        view: &[Access],
        exchange: Box<Exchange>,
        summary: completion::Summary,
    ) -> Back<()> {
        let values = self.values(view, &exchange);
        let hook = self.fiber.as_ref().and_then(|fiber| fiber.hooks.completion);
        self.begin(Phase::Completion, exchange);
        self.store.data_mut().may_wait = true;
        let outcome = match hook {
            Some(hook) => hook.call_async(&mut self.store, (summary, values)).await,
            None => Err(super::body::absent()),
        };
        self.finish(outcome)
    }

    async fn on_fiber<P, R>(
        &mut self,
        phase: Phase,
        exchange: Box<Exchange>,
        hook: Option<TypedFunc<P, (R,)>>,
        params: P,
    ) -> Back<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        self.begin(phase, exchange);
        self.store.data_mut().may_wait = true;
        let outcome = match hook {
            Some(hook) => hook.call_async(&mut self.store, params).await.map(|(verdict,)| verdict),
            None => Err(super::body::absent()),
        };
        self.finish(outcome)
    }

    fn values(&mut self, view: &[Access], exchange: &Exchange) -> View {
        self.view.fill(view, exchange, self.store.data().common.index);
        std::mem::take(&mut self.view.values)
    }
}
