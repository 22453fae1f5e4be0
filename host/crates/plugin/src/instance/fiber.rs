//! The hooks of an instance that may wait: the same calls, on a fiber.
//!
//! An exchange stays in the store while its hook waits. A call that is dropped leaves it
//! there, for [`Instance::abandon`] to take out.

use super::{Blueprint, Hooks, Instance, Unborn, ViewBuffer};
use crate::bindings::contract::types::Verdict;
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
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Func, InstancePre, Lift, Lower, TypedFunc};
use wire::Exchange;

/// What a call gives back: the exchange always.
type Back<T> = (Box<Exchange>, Result<T, Broken>);
type View = Vec<Option<Vec<u8>>>;
type Configured = Result<lifecycle::Registration, String>;

/// Where the functions of a component are that may wait.
pub(crate) struct FiberIndices {
    configure: ComponentExportIndex,
    request_head: Option<ComponentExportIndex>,
    response_head: Option<ComponentExportIndex>,
    completion: Option<ComponentExportIndex>,
}

/// The functions of an instance that may wait.
pub(super) struct Fiber {
    pub(super) clock: Arc<FiberClock>,
    hooks: FiberHooks,
}

struct FiberHooks {
    request_head: Option<TypedFunc<(View,), (Verdict,)>>,
    response_head: Option<TypedFunc<(View,), (Verdict,)>>,
    completion: Option<TypedFunc<(completion::Summary, View), ()>>,
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
        let head = |there: bool, interface: &str, function: &str| there.then(|| find(interface, function)).transpose();
        Ok(Self {
            configure: find("lifecycle", "configure")?,
            request_head: head(hooks.request_head, "request-head", "handle")?,
            response_head: head(hooks.response_head, "response-head", "handle")?,
            completion: head(hooks.completion, "completion", "done")?,
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
        Ok(FiberHooks {
            request_head: typed(store, instance, self.request_head.as_ref())?,
            response_head: typed(store, instance, self.response_head.as_ref())?,
            completion: typed(store, instance, self.completion.as_ref())?,
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
    pub(crate) fn abandon(&mut self, why: &Broken) -> Option<Box<Exchange>> {
        self.end_probe(Some(why));
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
