//! What the parts of one worker's plane share: its plugins' instances, and the clock's attention.

use crate::chain::Loaded;
use crate::engine::PluginEngine;
use crate::fault::Broken;
use crate::outbound::Outbound;
use crate::pool::Pool;
use crate::seen::{Hook, Shard};
use crate::settings::FaultPolicy;
use crate::ticker::{Pulse, Running};
use crate::waiting::{Afters, Waiting};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use wire::fault::PluginFault;
use wire::{Fault, Kind};

/// The plugin clock as one worker uses it.
pub(crate) struct Worker {
    pulse: Option<Pulse>,
    /// Deadlines hold only while the engine's clock runs.
    _engine: Arc<PluginEngine>,
    depth: Cell<u32>,
    pub(crate) afters: Afters,
}

/// While it lives, epochs pass. May be nested.
pub(crate) struct Busy<'a> {
    _running: Option<Running<'a>>,
    depth: &'a Cell<u32>,
}

impl Worker {
    pub(crate) fn new(engine: &Arc<PluginEngine>) -> Self {
        Self {
            pulse: engine.ticker().pulse(),
            _engine: Arc::clone(engine),
            depth: Cell::new(0),
            afters: Afters::default(),
        }
    }

    /// Hooks run from now on. Not to be held over a wait.
    pub(crate) fn run(&self) -> Busy<'_> {
        let depth = self.depth.get();
        self.depth.set(depth + 1);
        let running = if depth == 0 { self.pulse.as_ref().map(Pulse::run) } else { None };
        Busy { _running: running, depth: &self.depth }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}

/// A plugin with its instances on this worker.
pub(crate) struct Slot {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) pool: RefCell<Pool>,
    /// What this worker sees of it.
    pub(crate) seen: Arc<Shard>,
    /// Present where its hooks may wait.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) outbound: Option<Arc<Outbound>>,
}

impl Slot {
    pub(crate) fn new(loaded: &Arc<Loaded>) -> Self {
        let seen = loaded.common.metrics.shard();
        let pool = RefCell::new(Pool::new(loaded, &seen));
        let waits = loaded.blueprint.fiber.is_some();
        let waiting = waits.then(|| Waiting::new(loaded.instances_max, loaded.wall_max));
        let outbound = waits.then(|| Arc::new(Outbound::new(loaded.common.named.targets(), &loaded.common.metrics)));
        Self { loaded: Arc::clone(loaded), pool, seen, waiting, outbound }
    }

    /// Its bit in `ran`.
    pub(crate) fn bit(&self) -> u64 {
        1 << self.loaded.common.index
    }

    /// Counts and tells a fault; a call that was not made is only counted.
    pub(crate) fn report(&self, broken: &Broken, hook: Hook) {
        let common = &self.loaded.common;
        if broken.kind == PluginFault::HeldBack {
            common.metrics.count_held_back();
            return;
        }
        self.seen.fault(hook, broken.kind);
        common.metrics.count_fault(broken.kind);
        common.log.fault(&common.name, broken.kind, &format!("hook {hook}: {}", broken.text));
        if broken.is_loss
            && let Some(change) = self.pool.borrow().breaker().count(broken.kind)
        {
            common.tell(&change);
        }
    }

    /// What a fault does to the request, by the plugin's policy.
    pub(crate) fn judge(&self, broken: Broken, hook: Hook) -> Option<Fault> {
        let policy = match broken.kind {
            PluginFault::HeldBack => self.pool.borrow().breaker().policy(),
            kind => self.loaded.on_fault.of(kind),
        };
        let fault = self.refusal(broken, hook);
        (policy == FaultPolicy::Refuse).then_some(fault)
    }

    /// A fault that ends the request whatever the policy says.
    pub(crate) fn refusal(&self, broken: Broken, hook: Hook) -> Fault {
        self.report(&broken, hook);
        let name = &self.loaded.common.name;
        let detail = format!("plugin \"{name}\", hook {hook}: {}", broken.text);
        Fault::new(Kind::Plugin(Arc::clone(name), broken.kind)).with_detail(detail)
    }
}
