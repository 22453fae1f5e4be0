//! A plugin's instances on one worker.

use crate::breaker::{Breaker, HoldBack, Probe};
use crate::budget::SystemTimes;
use crate::chain::Loaded;
use crate::fault::Broken;
use crate::fiber::{FiberClock, in_turns};
use crate::instance::Instance;
use crate::seen::{End, Shard};
use crate::settings::{FaultPolicy, Isolation, OnFault};
use crate::worker::{Slot, Worker};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wire::fault::PluginFault;

/// Instances of one plugin, and how it has behaved lately.
pub(crate) struct Pool {
    /// Ready ones; the last used is the next used, its memory is still in the cache.
    #[expect(clippy::vec_box, reason = "one moves out and back for every hook: a pointer, not hundreds of bytes")]
    idle: Vec<Box<Instance>>,
    /// With `isolation = "request"`: instances between their exchange's request and
    /// response, by exchange, oldest first.
    held: VecDeque<(u64, Box<Instance>)>,
    breaker: Breaker,
    /// Instances that are out, with a body each.
    lent: usize,
    seen: Arc<Shard>,
}

/// What happens to an instance after a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This exchange may call it again.
    ThisExchange,
    /// This exchange is done with it.
    AnyExchange,
}

/// What a pool has for a hook.
pub(crate) enum Ready {
    /// An instance, its deadline armed.
    Instance(Box<Instance>),
    /// None: a new one may be made, with the probe that its first hook is.
    New(Option<Probe>),
}

impl Pool {
    /// No instances yet.
    pub(crate) fn new(loaded: &Loaded, seen: &Arc<Shard>) -> Self {
        // Who guards by saying who the caller is must not be away in silence.
        let policies = if loaded.sets_identities { OnFault::all(FaultPolicy::Refuse) } else { loaded.on_fault };
        let (idle, held, breaker) = (Vec::new(), VecDeque::new(), Breaker::new(policies));
        Self { idle, held, breaker, lent: 0, seen: Arc::clone(seen) }
    }

    /// An instance for a hook, with its deadline armed. One that was kept for its
    /// exchange finishes it also while the plugin is held back.
    pub(crate) fn take(&mut self, loaded: &Loaded, exchange: u64) -> Result<Box<Instance>, Broken> {
        match self.ready(loaded, exchange)? {
            Ready::Instance(instance) => Ok(instance),
            Ready::New(probe) => with_probe(loaded, probe, fresh(loaded, &self.seen)),
        }
    }

    /// One that is there already, or the right to make one.
    pub(crate) fn ready(&mut self, loaded: &Loaded, exchange: u64) -> Result<Ready, Broken> {
        let kept = match loaded.isolation {
            Isolation::Instance => None,
            Isolation::Request => self.take_held(exchange),
        };
        if let Some(mut instance) = kept {
            instance.arm(loaded.deadline);
            return Ok(Ready::Instance(instance));
        }
        let probe = self.breaker.ask().map_err(|held| Broken::new(PluginFault::HeldBack, held.to_string()))?;
        if probe.is_some() {
            loaded.common.tell(&HoldBack::Probed);
        }
        let Some(mut instance) = self.idle.pop() else { return Ok(Ready::New(probe)) };
        instance.arm(loaded.deadline);
        instance.probe = probe;
        Ok(Ready::Instance(instance))
    }

    /// Takes an instance back after a hook that went well.
    pub(crate) fn put(&mut self, loaded: &Loaded, exchange: u64, mut instance: Box<Instance>, next: Next) {
        match (loaded.isolation, next) {
            (Isolation::Instance, _) => {
                if instance.calls >= loaded.recycle_requests {
                    instance.ends(End::Worn);
                } else if instance.above_watermark() {
                    instance.ends(End::Memory);
                } else if self.idle.len() >= loaded.instances_max {
                    instance.ends(End::Surplus);
                } else {
                    self.idle.push(instance);
                }
            }
            (Isolation::Request, Next::ThisExchange) => {
                if self.held.len() >= loaded.instances_max
                    && let Some((_, mut oldest)) = self.held.pop_front()
                {
                    oldest.ends(End::Surplus);
                }
                self.held.push_back((exchange, instance));
            }
            (Isolation::Request, Next::AnyExchange) => instance.ends(End::Exchange),
        }
    }

    /// An instance for the length of a body, which no other exchange gets meanwhile. It is
    /// counted as long as a [`Lent`] is there for it, which is for the caller to make.
    pub(crate) fn lend(&mut self, loaded: &Loaded, exchange: u64) -> Result<Box<Instance>, Broken> {
        self.may_lend(loaded)?;
        self.take(loaded, exchange)
    }

    /// The same, for an instance whose hooks may wait.
    pub(crate) fn lend_ready(&mut self, loaded: &Loaded, exchange: u64) -> Result<Ready, Broken> {
        self.may_lend(loaded)?;
        self.ready(loaded, exchange)
    }

    fn may_lend(&self, loaded: &Loaded) -> Result<(), Broken> {
        if self.lent < loaded.instances_max {
            return Ok(());
        }
        let text = format!("{} bodies are open already: instances_max of this worker", self.lent);
        Err(Broken::new(PluginFault::Memory, text))
    }

    /// How long the plugin is not called yet, where it keeps failing.
    pub(crate) fn pause_left(&self) -> Option<Duration> {
        self.breaker.pause_left()
    }

    /// Whether the plugin may be called, and what becomes of its calls otherwise.
    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Drops what was held for an exchange that is over.
    pub(crate) fn forget(&mut self, exchange: u64) {
        if let Some(mut instance) = self.take_held(exchange) {
            instance.ends(End::Exchange);
        }
    }

    fn take_held(&mut self, exchange: u64) -> Option<Box<Instance>> {
        let at = self.held.iter().position(|(id, _)| *id == exchange)?;
        self.held.remove(at).map(|(_, instance)| instance)
    }
}

/// Counts an instance that is out, with a body of its own.
pub(crate) struct Lent(Rc<Slot>);

impl Lent {
    pub(crate) fn new(slot: &Rc<Slot>) -> Self {
        slot.pool.borrow_mut().lent += 1;
        Self(Rc::clone(slot))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut pool = self.0.pool.borrow_mut();
        pool.lent = pool.lent.saturating_sub(1);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let held = self.held.iter_mut().map(|(_, instance)| instance);
        self.idle.iter_mut().chain(held).for_each(|instance| instance.ends(End::Generation));
    }
}

/// Ends a probe for which no instance came about; one that the host had no room for
/// says nothing about the plugin.
fn fail(loaded: &Loaded, probe: Option<Probe>, broken: &Broken) {
    if let Some(probe) = probe.filter(|_| broken.is_loss) {
        loaded.common.tell(&probe.over(Some(broken.kind)));
    }
}

/// A new instance, configured, whose registration is the one that was loaded.
fn fresh(loaded: &Loaded, seen: &Arc<Shard>) -> Result<Box<Instance>, Broken> {
    let (instance, told) = loaded.blueprint.start(loaded.deadline, false, seen)?;
    known(loaded, Box::new(instance), &told)
}

/// The same, where hooks may wait.
pub(crate) async fn fresh_on_fiber(
    worker: &Worker,
    slot: &Slot,
    probe: Option<Probe>,
) -> Result<Box<Instance>, Broken> {
    let loaded = &slot.loaded;
    let Some(indices) = &loaded.blueprint.fiber else { return with_probe(loaded, probe, fresh(loaded, &slot.seen)) };
    let clock = FiberClock::new();
    let mut times = SystemTimes::new(loaded.common.started);
    let start =
        loaded.blueprint.start_on_fiber(indices, loaded.deadline, false, &clock, slot.outbound.as_ref(), &slot.seen);
    let made = in_turns(worker, &clock, &mut times, start).await;
    let made = made.map_err(Broken::from).and_then(|(instance, told)| known(loaded, Box::new(instance), &told));
    with_probe(loaded, probe, made)
}

/// Gives a new instance its probe, or ends the probe that got none.
fn with_probe(
    loaded: &Loaded,
    probe: Option<Probe>,
    made: Result<Box<Instance>, Broken>,
) -> Result<Box<Instance>, Broken> {
    match made {
        Ok(mut instance) => {
            instance.probe = probe;
            Ok(instance)
        }
        Err(broken) => {
            fail(loaded, probe, &broken);
            Err(broken)
        }
    }
}

/// An instance whose registration is the one that was loaded.
fn known(
    loaded: &Loaded,
    mut instance: Box<Instance>,
    told: &crate::bindings::hooks::lifecycle::Registration,
) -> Result<Box<Instance>, Broken> {
    if !loaded.registration.is_as_told(told) {
        let text = "configure answered another registration than at load";
        return Err(Broken::loss(PluginFault::Configure, text));
    }
    instance.register(&Arc::clone(&loaded.registration));
    Ok(instance)
}
