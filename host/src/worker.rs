//! One worker of the data plane: a thread, a runtime, its own of everything.

use crate::counters::WorkerCounters;
use crate::generation::{Maker, Plan};
use edge::{DrainOrder, DrainReport, EdgeSettings, WorkerListeners};
use observe::Log;
use pipeline::Pipeline;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use wire::ports::{BackendSignal, BackendState};

/// What every worker shares with the others: settings, and the few channels
/// between the planes.
#[derive(Clone)]
pub(crate) struct Common {
    /// Limits of the front door, as they change.
    pub(crate) edge: watch::Receiver<Arc<EdgeSettings>>,
    /// What generations are made of, as it changes.
    pub(crate) plans: watch::Receiver<Arc<Plan>>,
    /// Where the number of a plan is told once it is taken up.
    pub(crate) taken: mpsc::Sender<u64>,
    /// The log.
    pub(crate) log: Log,
    /// The backend as process supervision sees it.
    pub(crate) state: watch::Receiver<BackendState>,
    /// What forwarding tells process supervision.
    pub(crate) signals: mpsc::Sender<BackendSignal>,
    /// Requests of all workers that wait for a start.
    pub(crate) waiting: Arc<AtomicUsize>,
    /// Run, drain, cut.
    pub(crate) drain: watch::Receiver<DrainOrder>,
}

/// What belongs to one worker only.
pub(crate) struct Own {
    /// Its number, from 0.
    pub(crate) index: u16,
    /// Its listening sockets.
    pub(crate) listeners: WorkerListeners,
    /// Where it counts.
    pub(crate) counters: WorkerCounters,
}

/// Starts the worker's thread. It ends when the drain order has been carried out.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn spawn(common: Common, own: Own) -> io::Result<JoinHandle<io::Result<DrainReport>>> {
    std::thread::Builder::new().name(format!("worker-{}", own.index)).spawn(move || work(common, own))
}

fn work(common: Common, own: Own) -> io::Result<DrainReport> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let Common { edge, mut plans, taken, log, state, signals, waiting, drain } = common;
    let edge_counters = Arc::clone(&own.counters.edge);
    let maker = Maker { log, state, signals, waiting, counters: own.counters };
    let first = Arc::clone(&plans.borrow_and_update());
    let generation = maker.make(&first);
    drop(first);
    let forward = generation.forward.clone();
    let line = Rc::new(Pipeline::new(generation, own.index));
    let local = LocalSet::new();
    // It ends with the local set: a worker that drains takes up what is new, too.
    local.spawn_local(maker.follow(Rc::clone(&line), forward, plans, taken));
    local.block_on(&runtime, edge::serve(own.listeners, edge, edge_counters, line, drain))
}
