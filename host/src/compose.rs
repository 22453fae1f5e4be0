//! Builds the house, opens the door, waits for orders, and locks up.

use crate::cli::RunArgs;
use crate::counters::{Counters, WorkerCounters};
use crate::exit::Exit;
use crate::generation::{Alive, Plan};
use crate::orders::{Order, Orders};
use crate::prepare::{self, Built, Found};
use crate::reload::{ASKS_MAX, Ask, Cause, Last, Reloader};
use crate::status::{self, StatusHouse};
use crate::tell;
use crate::watching::{Targets, Watching};
use crate::worker::{self, Common, Own};
use anyhow::Context as _;
use config::Problems;
use edge::{Door, DrainOrder, DrainReport};
use observe::event::Line;
use observe::{Level, Log, LogWriter};
use plugin::Metrics;
use process::{Control, StopOutcome, StopReport, Supervisor};
use std::io::Write as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use wire::ports::BackendState;

/// Signals from forwarding that may wait for process supervision; each only
/// hastens what would be found out anyway.
const SIGNALS_MAX: usize = 64;
/// Orders over the admin address that may wait.
const ADMIN_ORDERS_MAX: usize = 8;

/// Serves until told to stop.
pub(crate) fn run(args: &RunArgs) -> Exit {
    match prepare_house(args) {
        Ok(house) => match house.live() {
            Ok(()) => Exit::Clean,
            Err(error) => {
                complain(&format!("gatelodge: {error:#}"));
                Exit::Failed
            }
        },
        Err(exit) => exit,
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
    metrics: Arc<Metrics>,
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
    let metrics = Metrics::new();
    let built = prepare::build(&found, args, &writer.log(), &metrics).map_err(|problems| {
        writer.flush();
        refuse(problems)
    })?;
    prepare::warn(&writer.log(), &found.loaded.document.warnings);
    Ok(House { args: args.clone(), found, built, metrics, writer })
}

impl House {
    /// Opens, serves, closes.
    ///
    /// # Errors
    /// A listener that can't be had, a thread that the system does not give, a
    /// worker that failed.
    fn live(self) -> anyhow::Result<()> {
        let Self { args, found, built, metrics, writer } = self;
        let log = writer.log();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_io()
            .enable_time()
            .build()
            .context("no runtime for the control plane")?;
        let settled = &found.settled;
        let door = Door::bind(&settled.listen, settled.workers.into(), settled.edge.backlog_max)?;
        let urls: Vec<String> = door.bound().iter().map(|bound| bound.url.clone()).collect();
        let mut orders = runtime.block_on(async { Orders::listen() }).context("no signals")?;
        let (admin_orders, from_admin) = mpsc::channel(ADMIN_ORDERS_MAX);
        let (asks, asked) = mpsc::channel(ASKS_MAX);

        let app = App::start(&runtime, settled.process.clone(), &log);
        let first_targets = Targets::of(&found);
        let mut watching =
            runtime.block_on(Watching::start(&first_targets, &log)).context("no thread to watch files")?;
        // Whoever comes first must get the page already.
        runtime.block_on(watching.look(&app.control));

        let plan = Arc::new(Plan {
            number: 1,
            forward: settled.forward.clone(),
            chain: built.chain,
            site: built.site.clone(),
            rules: settled.rules.clone(),
        });
        let mut alive = Alive::default();
        alive.add(&built.site);
        drop(built.site);
        let (edge, edge_rx) = watch::channel(Arc::new(settled.edge.clone()));
        let (plans, plans_rx) = watch::channel(plan);
        let (taken_tx, taken) = mpsc::channel(settled.workers.into());
        let (targets, targets_rx) = watch::channel(Arc::new(first_targets));
        let (last, last_rx) = watch::channel(Last::first());
        let (drain, drain_rx) = watch::channel(DrainOrder::Run);
        let common = Common {
            edge: edge_rx,
            plans: plans_rx,
            taken: taken_tx,
            log: log.clone(),
            state: app.state.clone(),
            signals: app.signals.clone(),
            waiting: Arc::default(),
            drain: drain_rx,
        };
        let workers = Workers::start(common, door, Arc::clone(&metrics))?;
        let house = StatusHouse {
            app_dir: found.loaded.root.clone(),
            urls: urls.clone(),
            began: Instant::now(),
            control: app.control.clone(),
            state: app.state.clone(),
            counters: Arc::clone(&workers.counters),
            log: log.clone(),
            last: last_rx,
            asks: asks.clone(),
            orders: admin_orders,
        };
        let admin = runtime.block_on(async { status::open(&found, house, &log) })?;

        let pace = Pace { drain_limit: settled.drain, delay: settled.shutdown_delay };
        let reloader = Reloader {
            workers: settled.workers,
            args,
            current: found,
            log: log.clone(),
            metrics,
            control: app.control.clone(),
            edge,
            plans,
            taken,
            alive,
            last,
            targets,
        };
        runtime.spawn(reloader.run(asked));
        runtime.spawn(watching.run(targets_rx, app.control.clone(), asks.clone()));
        writer.flush();
        for url in urls {
            complain(&format!("listening on {url}"));
        }
        let mut desk = Desk { orders: &mut orders, from_admin, asks, drain, log: &log, stops: 0 };
        let ended = runtime.block_on(workers.serve(&mut desk, pace));
        // The backend outlives the last request, and nothing outlives the backend's stop.
        let report = runtime.block_on(app.stop(&mut desk));
        runtime.block_on(admin.close());
        match report {
            Some(report) => stopped_line(&log, report.context("process supervision failed")?),
            // The keeper kills the whole tree when this process ends.
            None => say(&log, "stopped", "asked twice: the application is killed"),
        }
        writer.flush();
        ended
    }
}

/// Process supervision, running.
struct App {
    control: Control,
    state: watch::Receiver<BackendState>,
    signals: mpsc::Sender<wire::ports::BackendSignal>,
    stop: oneshot::Sender<()>,
    supervising: tokio::task::JoinHandle<StopReport>,
}

impl App {
    fn start(runtime: &Runtime, settings: process::Settings, log: &Log) -> Self {
        let (state_tx, state) = watch::channel(BackendState::Idle);
        let (signals, signals_rx) = mpsc::channel(SIGNALS_MAX);
        let (stop, stopped) = oneshot::channel::<()>();
        let events = {
            let log = log.clone();
            move |event| tell::process_event(&log, &event)
        };
        let supervisor = Supervisor::new(settings, state_tx, signals_rx, events);
        let control = supervisor.control();
        let supervising = runtime.spawn(supervisor.run(async {
            // A dropped sender means that the house fell: stop as well.
            let _ = stopped.await;
        }));
        Self { control, state, signals, stop, supervising }
    }

    /// Stops the application; none if that was asked for so often that it is killed.
    async fn stop(self, desk: &mut Desk<'_>) -> Option<Result<StopReport, tokio::task::JoinError>> {
        let _ = self.stop.send(());
        let mut supervising = self.supervising;
        tokio::select! {
            biased;
            report = &mut supervising => Some(report),
            () = desk.cut() => None,
        }
    }
}

/// How a stop goes.
struct Pace {
    /// Time that running requests have.
    drain_limit: Duration,
    /// Time in which everything goes on as before (`shutdownDelay`).
    delay: Duration,
}

/// Where orders arrive, and what they lead to.
struct Desk<'a> {
    orders: &'a mut Orders,
    from_admin: mpsc::Receiver<Order>,
    asks: mpsc::Sender<Ask>,
    drain: watch::Sender<DrainOrder>,
    log: &'a Log,
    stops: u32,
}

impl Desk<'_> {
    async fn next(&mut self) -> Order {
        tokio::select! {
            order = self.orders.next() => order,
            Some(order) = self.from_admin.recv() => order,
        }
    }

    /// Carries an order out.
    async fn take(&mut self, order: Order, pace: &Pace, counters: &Counters) {
        match order {
            Order::Stop => {
                self.stops += 1;
                if self.stops == 1 && !pace.delay.is_zero() {
                    say(self.log, "stopping", "shutdownDelay runs: new requests are still served");
                    tokio::select! {
                        () = tokio::time::sleep(pace.delay) => {}
                        () = self.cut() => {}
                    }
                }
                if self.stops == 1 {
                    say(self.log, "stopping", "draining: running requests may finish");
                    self.drain.send_replace(DrainOrder::Drain { cut_after: pace.drain_limit });
                } else {
                    say(self.log, "stopping", "cutting");
                    self.drain.send_replace(DrainOrder::Cut);
                }
            }
            Order::Reload => {
                // A full queue holds asks that lead to the same reload.
                let _ = self.asks.try_send(Ask { cause: Cause::Asked, done: None });
            }
            Order::Counters => counters.tell(self.log),
        }
    }

    /// Returns once a stop has been ordered twice.
    async fn cut(&mut self) {
        while self.stops < 2 {
            if self.next().await == Order::Stop {
                self.stops += 1;
            }
        }
    }
}

/// The threads of the data plane.
struct Workers {
    threads: Vec<JoinHandle<std::io::Result<DrainReport>>>,
    counters: Arc<Counters>,
}

impl Workers {
    fn start(common: Common, door: Door, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let mut threads = Vec::new();
        let mut counters = Counters { workers: Vec::new(), plugins: metrics };
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
    async fn serve(self, desk: &mut Desk<'_>, pace: Pace) -> anyhow::Result<()> {
        let Self { threads, counters } = self;
        let mut joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).collect::<Vec<_>>());
        let results = loop {
            tokio::select! {
                results = &mut joined => break results.context("the workers could not be awaited")?,
                order = desk.next() => desk.take(order, &pace, &counters).await,
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
        counters.tell(desk.log);
        Ok(())
    }
}

fn say(log: &Log, name: &'static str, message: &str) {
    log.tell(&Line { level: Level::Info, name, message: message.to_owned(), fields: Vec::new() });
}

fn stopped_line(log: &Log, report: StopReport) {
    let outcome = match report.outcome {
        StopOutcome::NothingRan => "no application was running".to_owned(),
        StopOutcome::Ended(ended) => format!("the application ended with {ended}"),
        StopOutcome::Killed => "the application was killed".to_owned(),
    };
    let fields = vec![("elapsed_ms".to_owned(), report.elapsed.as_millis().to_string())];
    log.tell(&Line { level: Level::Info, name: "stopped", message: outcome, fields });
}
