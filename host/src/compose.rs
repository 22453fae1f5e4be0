//! Builds the house, opens the door, waits for orders, and locks up.

use crate::app::{App, stopped_line};
use crate::cli::RunArgs;
use crate::counters::{Counters, WorkerCounters};
use crate::desk::{Desk, say};
use crate::exit::Exit;
use crate::generation::{Alive, Plan};
use crate::lasting::Lasting;
use crate::orders::Orders;
use crate::prepare::{self, Built, Found};
use crate::reload::{ASKS_MAX, Last, Reloader};
use crate::status::{self, AdminDoor, StatusHouse};
use crate::watching::{Early, Targets, Watching};
use crate::worker::{self, Common, Own};
use anyhow::Context as _;
use config::Problems;
use edge::{Door, DrainOrder, DrainReport};
use observe::event::Line;
use observe::{Level, Log, LogWriter};
use plugin::Timers;
use std::io::Write as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Orders over the admin address that may wait.
const ADMIN_ORDERS_MAX: usize = 8;
/// How long stores on disk may take to write their last changes.
const LAST_FLUSH_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the last ticks of plugins' timers are waited for.
const LAST_TICK_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves until told to stop.
pub(crate) fn run(args: &RunArgs) -> Exit {
    let failed = |error: anyhow::Error| {
        complain(&format!("gatelodge: {error:#}"));
        Exit::Failed
    };
    let ground = match Ground::lay(args) {
        Ok(ground) => ground,
        Err(error) => return failed(error),
    };
    match prepare_house(args) {
        Ok(house) => house.live(ground).map_or_else(failed, |()| Exit::Clean),
        Err(exit) => exit,
    }
}

/// What stands before anything has been read.
struct Ground {
    runtime: Runtime,
    watching: Early,
}

impl Ground {
    fn lay(args: &RunArgs) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_io()
            .enable_time()
            .build()
            .context("no runtime for the control plane")?;
        let watching = runtime.block_on(Early::start(args)).context("no thread to watch files")?;
        Ok(Self { runtime, watching })
    }
}

/// Writes to standard error; nobody is left to tell when that fails.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Everything that was settled before the first thing starts.
struct House {
    args: RunArgs,
    found: Found,
    built: Built,
    lasting: Arc<Lasting>,
    writer: LogWriter,
}

fn prepare_house(args: &RunArgs) -> Result<House, Exit> {
    let refuse = |problems: Problems| {
        complain(&format!("{problems}gatelodge: configuration refused; nothing was started"));
        Exit::Refused
    };
    let found = prepare::find(args).map_err(refuse)?;
    let writer = Log::open(found.settled.log, std::io::stderr()).map_err(|error| {
        complain(&format!("gatelodge: no thread for the log: {error}"));
        Exit::Failed
    })?;
    let lasting = Lasting::new();
    let built = prepare::build(&found, args, &writer.log(), &lasting).map_err(|problems| {
        writer.flush();
        refuse(problems)
    })?;
    prepare::warn(&writer.log(), &found.loaded.document.warnings);
    Ok(House { args: args.clone(), found, built, lasting, writer })
}

impl House {
    /// Opens, serves, closes.
    ///
    /// # Errors
    /// A listener that can't be had, a thread that the system does not give, a
    /// worker that failed.
    fn live(self, ground: Ground) -> anyhow::Result<()> {
        let Self { args, found, built, lasting, writer } = self;
        let log = writer.log();
        let Ground { runtime, watching } = ground;
        let settled = &found.settled;
        let door = Door::bind(&settled.listen, settled.workers.into(), settled.edge.backlog_max)?;
        let urls: Vec<String> = door.bound().iter().map(|bound| bound.url.clone()).collect();
        let orders = runtime.block_on(async { Orders::listen() }).context("no signals")?;

        let app = App::start(&runtime, settled.process.clone(), &log);
        let first_targets = Targets::of(&found);
        let mut watching = runtime.block_on(Watching::new(watching, &first_targets, &log));
        // Whoever comes first must get the page already.
        runtime.block_on(watching.look(&app.control));

        let (admin_orders, from_admin) = mpsc::channel(ADMIN_ORDERS_MAX);
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (edge, edge_rx) = watch::channel(Arc::new(settled.edge.clone()));
        let mut alive = Alive::default();
        alive.add(&built.site);
        let (timers, chain) = (lasting.timers.clone(), Arc::clone(&built.chain));
        let (plans, plans_rx) = watch::channel(Plan::new(1, settled, built));
        let (taken_tx, taken) = mpsc::channel(settled.workers.into());
        let (targets, targets_rx) = watch::channel(Arc::new(first_targets));
        let (last, last_rx) = watch::channel(Last::first());
        let (drain, drain_rx) = watch::channel(DrainOrder::Run);
        let common = Common {
            edge: edge_rx,
            plans: plans_rx.clone(),
            taken: taken_tx,
            log: log.clone(),
            state: app.state.clone(),
            signals: app.signals.clone(),
            waiting: Arc::default(),
            drain: drain_rx,
        };
        let workers = Workers::start(common, door, &lasting)?;
        timers.switch(&chain);
        drop(chain);
        let house = StatusHouse {
            app_dir: found.loaded.root.clone(),
            urls: urls.clone(),
            began: Instant::now(),
            control: app.control.clone(),
            state: app.state.clone(),
            counters: Arc::clone(&workers.counters),
            log: log.clone(),
            last: last_rx,
            plans: plans_rx.clone(),
            lasting: Arc::clone(&lasting),
            asks: asks.clone(),
            orders: admin_orders,
        };
        let admin = runtime.block_on(async { status::open(&found, house, &log) })?;
        let desk = Desk { orders, from_admin, asks: asks.clone(), plans: plans_rx, drain, log: log.clone(), stops: 0 };
        runtime.spawn(watching.run(targets_rx, app.control.clone(), asks));
        let reloader = Reloader {
            workers: settled.workers,
            args,
            current: found,
            log,
            lasting,
            control: app.control.clone(),
            edge,
            plans,
            taken,
            alive,
            last,
            targets,
        };
        runtime.spawn(reloader.run(asked));
        announce(&writer, &urls);
        let ended = runtime.block_on(serve(workers, app, desk, admin, timers));
        writer.flush();
        ended
    }
}

/// Says on standard error where clients are served, behind all that was logged so far.
fn announce(writer: &LogWriter, urls: &[String]) {
    writer.flush();
    for url in urls {
        complain(&format!("listening on {url}"));
    }
}

/// Serves until told to stop, then locks up: the app outlives the last request,
/// and nothing outlives the app's stop.
async fn serve(workers: Workers, app: App, mut desk: Desk, admin: AdminDoor, timers: Timers) -> anyhow::Result<()> {
    let counters = Arc::clone(&workers.counters);
    let ended = workers.serve(&mut desk).await;
    // No request sees what they would do now.
    let stores = Arc::clone(&counters.stores);
    let quiet = tokio::task::spawn_blocking(move || {
        let timers_ended = timers.stop(LAST_TICK_TIME_MAX);
        (timers_ended, stores.close(LAST_FLUSH_TIME_MAX))
    });
    let (timers_ended, stores_closed) = quiet.await.unwrap_or((false, false));
    if !timers_ended {
        say(&desk.log, "stopping", "a plugin's timer still runs: it ends with the host");
    }
    if !stores_closed {
        say(&desk.log, "stopping", "a store's file is not closed yet: its last changes may be lost");
    }
    let report = app.stop(&mut desk, &counters).await;
    admin.close().await;
    match report {
        Some(report) => stopped_line(&desk.log, report.context("process supervision failed")?),
        // The keeper kills the whole tree when this process ends.
        None => say(&desk.log, "stopped", "asked twice: the application is killed"),
    }
    ended
}

/// The threads of the data plane.
struct Workers {
    threads: Vec<JoinHandle<std::io::Result<DrainReport>>>,
    counters: Arc<Counters>,
}

impl Workers {
    fn start(common: Common, door: Door, lasting: &Lasting) -> anyhow::Result<Self> {
        let mut threads = Vec::new();
        let (plugins, stores) = (Arc::clone(&lasting.metrics), Arc::clone(&lasting.stores));
        let mut counters = Counters { workers: Vec::new(), plugins, stores };
        for (index, listeners) in door.into_workers().into_iter().enumerate() {
            let own_counters = WorkerCounters::default();
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let own = Own { index, listeners, counters: own_counters.clone() };
            threads.push(worker::spawn(common.clone(), own).context("no thread for a worker")?);
            counters.workers.push(own_counters);
        }
        Ok(Self { threads, counters: Arc::new(counters) })
    }

    /// Waits for orders until the workers are done; a first stop drains, a second cuts.
    async fn serve(self, desk: &mut Desk) -> anyhow::Result<()> {
        let Self { threads, counters } = self;
        let mut joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).collect::<Vec<_>>());
        let results = loop {
            tokio::select! {
                results = &mut joined => break results.context("the workers could not be awaited")?,
                order = desk.next() => desk.take(order, &counters).await,
            }
        };
        let mut sum = DrainReport::default();
        for result in results {
            let report = match result {
                Ok(report) => report.context("a worker could not listen")?,
                Err(_) => anyhow::bail!("a worker panicked"),
            };
            sum.open += report.open;
            sum.finished += report.finished;
            sum.cut += report.cut;
        }
        let fields = vec![
            ("connections_finished".to_owned(), sum.finished.to_string()),
            ("connections_cut".to_owned(), sum.cut.to_string()),
        ];
        desk.log.tell(&Line {
            level: Level::Info,
            name: "drained",
            message: "no request is running any more".into(),
            fields,
        });
        counters.tell(&desk.log);
        Ok(())
    }
}
