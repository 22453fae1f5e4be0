//! One worker of the data plane: a thread, a runtime, its own of everything.

use crate::counters::WorkerCounters;
use crate::site::MappedSite;
use edge::{DrainOrder, DrainReport, EdgeSettings, WorkerListeners};
use forward::{ForwardSettings, Forwarder};
use observe::Log;
use pipeline::{Generation, Pipeline, Rules};
use plugin::Chain;
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
    /// Limits of the front door.
    pub(crate) edge: Arc<EdgeSettings>,
    /// Settings of forwarding.
    pub(crate) forward: ForwardSettings,
    /// Compiled plugins.
    pub(crate) chain: Arc<Chain>,
    /// Handler mapping.
    pub(crate) site: MappedSite,
    /// Rules of the host.
    pub(crate) rules: Rules,
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
    let Common { edge, forward, chain, site, rules, log, state, signals, waiting, drain } = common;
    let generation = Generation {
        forward: Forwarder::new(forward, state, signals, waiting, own.counters.forward),
        plugins: chain.plane(),
        site,
        rules,
        log,
        counters: own.counters.shard,
    };
    let pipeline = Rc::new(Pipeline::new(generation, own.index));
    let local = LocalSet::new();
    local.block_on(&runtime, edge::serve(own.listeners, edge, own.counters.edge, pipeline, drain))
}
