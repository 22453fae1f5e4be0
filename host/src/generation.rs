//! What all workers build their generation from, and how they take a new one up.

use crate::counters::WorkerCounters;
use crate::desk::Pace;
use crate::prepare::Built;
use crate::settle::Settled;
use crate::site::MappedSite;
use config::mapping::Site as Mapping;
use forward::{ForwardSettings, Forwarder};
use observe::Log;
use pipeline::{Generation, Pipeline, Rules};
use plugin::{Chain, Plane};
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use tokio::sync::{mpsc, watch};
use wire::ports::{BackendSignal, BackendState};

/// One configuration as the workers need it. Each makes its own part of it, on its own thread.
pub(crate) struct Plan {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Settings of forwarding.
    pub(crate) forward: ForwardSettings,
    /// Compiled plugins.
    pub(crate) chain: Arc<Chain>,
    /// Handler mapping.
    pub(crate) site: MappedSite,
    /// Rules of the host.
    pub(crate) rules: Rules,
    /// How a stop goes.
    pub(crate) pace: Pace,
}

impl Plan {
    /// The plan of one configuration.
    pub(crate) fn new(number: u64, settled: &Settled, built: Built) -> Arc<Self> {
        Arc::new(Self {
            number,
            forward: settled.forward.clone(),
            chain: built.chain,
            site: built.site,
            rules: Rules { trace_key: built.trace_key, ..settled.rules.clone() },
            pace: Pace { drain_limit: settled.drain, delay: settled.shutdown_delay },
        })
    }
}

/// The pipeline of a worker.
pub(crate) type Line = Pipeline<Forwarder, Plane, MappedSite>;

/// What a worker needs to make a generation of a plan.
pub(crate) struct Maker {
    /// The log.
    pub(crate) log: Log,
    /// The backend as process supervision sees it.
    pub(crate) state: watch::Receiver<BackendState>,
    /// What forwarding tells process supervision.
    pub(crate) signals: mpsc::Sender<BackendSignal>,
    /// Requests of all workers that wait for a start.
    pub(crate) waiting: Arc<AtomicUsize>,
    /// Where this worker counts.
    pub(crate) counters: WorkerCounters,
}

impl Maker {
    /// This worker's part of a plan.
    pub(crate) fn make(&self, plan: &Arc<Plan>) -> Generation<Forwarder, Plane, MappedSite> {
        let forward = Forwarder::new(
            plan.forward.clone(),
            self.state.clone(),
            self.signals.clone(),
            Arc::clone(&self.waiting),
            Arc::clone(&self.counters.forward),
        );
        Generation {
            forward,
            plugins: plan.chain.plane(),
            site: plan.site.clone(),
            rules: plan.rules.clone(),
            log: self.log.clone(),
            counters: Arc::clone(&self.counters.shard),
        }
    }

    /// Takes each new plan up and tells its number, until the house is gone; closes
    /// meanwhile what the current generation keeps open to instances that are gone.
    /// Requests that run end in the generation that they began in.
    pub(crate) async fn follow(
        self,
        line: Rc<Line>,
        mut forward: Forwarder,
        mut plans: watch::Receiver<Arc<Plan>>,
        taken: mpsc::Sender<u64>,
    ) {
        loop {
            let plan = tokio::select! {
                () = forward.tend() => return,
                changed = plans.changed() => match changed {
                    Ok(()) => Arc::clone(&plans.borrow_and_update()),
                    Err(_) => return,
                },
            };
            let generation = self.make(&plan);
            forward = generation.forward.clone();
            line.swap(generation);
            // Nobody waits for it while the host stops.
            let _ = taken.send(plan.number).await;
        }
    }
}

/// The generations that some request still runs in.
#[derive(Default)]
pub(crate) struct Alive(Vec<Weak<Mapping>>);

impl Alive {
    /// Adds a generation, known by its mappings, which live as long as it does.
    pub(crate) fn add(&mut self, site: &MappedSite) {
        self.0.retain(|mapping| mapping.strong_count() > 0);
        self.0.push(site.life());
    }

    /// How many there are, the current one included.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|mapping| mapping.strong_count() > 0).count()
    }
}
