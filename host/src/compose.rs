//! Builds the house, opens the door, waits for orders, and locks up.

use crate::cli::{Output, RunArgs};
use crate::counters::{Counters, WorkerCounters};
use crate::exit::Exit;
use crate::load::load;
use crate::orders::{Order, Orders};
use crate::settle::{Overrides, Settled, settle};
use crate::site::MappedSite;
use crate::worker::{self, Common, Own};
use crate::{plugins, settle as settling, tell};
use anyhow::Context as _;
use config::{Problems, mapping};
use edge::{Door, DrainOrder, DrainReport};
use observe::event::Line;
use observe::{Format, Level, Log, LogWriter};
use plugin::{Chain, Metrics};
use process::{StopOutcome, StopReport, Supervisor};
use std::io::Write as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use wire::ports::BackendState;

/// Signals from forwarding that may wait for process supervision; each only
/// hastens what would be found out anyway.
const SIGNALS_MAX: usize = 64;

/// Serves until told to stop.
pub(crate) fn run(args: &RunArgs) -> Exit {
    match prepare(args) {
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
    settled: Settled,
    chain: Arc<Chain>,
    metrics: Arc<Metrics>,
    site: MappedSite,
    writer: LogWriter,
}

fn prepare(args: &RunArgs) -> Result<House, Exit> {
    let refuse = |problems: Problems| {
        complain(&format!("{problems}gatelodge: configuration refused; nothing was started"));
        Exit::Refused
    };
    let loaded = load(&args.site).map_err(refuse)?;
    let overrides = Overrides {
        workers: args.site.workers,
        log_format: args.log_format.map(|format| match format {
            Output::Text => Format::Text,
            Output::Json => Format::Json,
        }),
        verbose: args.verbose,
    };
    let settled = settle(&loaded, overrides);
    let writer = Log::open(settled.log, std::io::stderr()).map_err(|error| {
        complain(&format!("gatelodge: no thread for the log: {error}"));
        Exit::Failed
    })?;
    let sink = Arc::new(tell::PluginLines(writer.log()));
    let metrics = Metrics::new();
    let rules = settling::path_rules(&loaded);
    let chain = plugins::load(&loaded, &args.site.plugin, rules, sink, &metrics).map_err(|found| {
        let mut problems = loaded.document.warnings.clone().into_vec();
        problems.extend(found);
        writer.flush();
        refuse(Problems::new(problems))
    })?;
    warn(&writer.log(), &loaded.document.warnings);
    let site = MappedSite::new(Arc::new(mapping::Site::compile(&loaded.document.web_config)), &loaded.root);
    Ok(House { settled, chain, metrics, site, writer })
}

/// Warnings about the files, once at start.
fn warn(log: &Log, warnings: &Problems) {
    for problem in warnings.as_slice() {
        log.tell(&Line {
            level: Level::Warn,
            name: "configuration",
            message: format!("{}: {}", problem.place(), problem.what),
            fields: problem.help.iter().map(|help| ("help".to_owned(), help.clone())).collect(),
        });
    }
}

/// The threads of the data plane.
struct Workers {
    threads: Vec<JoinHandle<std::io::Result<DrainReport>>>,
    counters: Counters,
    drain: watch::Sender<DrainOrder>,
}

impl House {
    /// Opens, serves, closes.
    ///
    /// # Errors
    /// A listener that can't be had, a thread that the system does not give, a
    /// worker that failed.
    fn live(self) -> anyhow::Result<()> {
        let log = self.writer.log();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("control")
            .enable_io()
            .enable_time()
            .build()
            .context("no runtime for the control plane")?;
        let door = Door::bind(&self.settled.listen, self.settled.workers.into(), self.settled.edge.backlog_max)?;
        let urls: Vec<String> = door.bound().iter().map(|bound| bound.url.clone()).collect();
        let mut orders = runtime.block_on(async { Orders::listen() }).context("no signals")?;

        let (state_tx, state) = watch::channel(BackendState::Idle);
        let (signals, signals_rx) = mpsc::channel(SIGNALS_MAX);
        let (stop, stopped) = oneshot::channel::<()>();
        let events = {
            let log = log.clone();
            move |event| tell::process_event(&log, &event)
        };
        let drain_limit = self.settled.drain;
        let supervisor = Supervisor::new(self.settled.process.clone(), state_tx, signals_rx, events);
        let mut supervising = runtime.spawn(supervisor.run(async {
            // A dropped sender means that the house fell: stop as well.
            let _ = stopped.await;
        }));
        let (drain, drain_rx) = watch::channel(DrainOrder::Run);
        let common = Common {
            edge: Arc::new(self.settled.edge),
            forward: self.settled.forward,
            chain: self.chain,
            site: self.site,
            rules: self.settled.rules,
            log: log.clone(),
            state,
            signals,
            waiting: Arc::default(),
            drain: drain_rx,
        };
        let workers = Workers::start(common, door, drain, self.metrics)?;
        self.writer.flush();
        for url in urls {
            complain(&format!("listening on {url}"));
        }
        let mut asked = 0;
        let ended = runtime.block_on(workers.serve(&mut orders, &mut asked, drain_limit, &log));
        // The backend outlives the last request, and nothing outlives the backend's stop.
        let _ = stop.send(());
        let report = runtime.block_on(async {
            tokio::select! {
                biased;
                report = &mut supervising => Some(report),
                () = cut(&mut orders, asked) => None,
            }
        });
        match report {
            Some(report) => stopped_line(&log, report.context("process supervision failed")?),
            // The keeper kills the whole tree when this process ends.
            None => say(&log, "stopped", "asked twice: the application is killed"),
        }
        self.writer.flush();
        ended
    }
}

impl Workers {
    fn start(
        common: Common,
        door: Door,
        drain: watch::Sender<DrainOrder>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let counters = Counters { workers: Vec::new(), plugins: metrics };
        let mut workers = Self { threads: Vec::new(), counters, drain };
        for (index, listeners) in door.into_workers().into_iter().enumerate() {
            let counters = WorkerCounters::default();
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let own = Own { index, listeners, counters: counters.clone() };
            let thread = worker::spawn(common.clone(), own).context("no thread for a worker")?;
            workers.threads.push(thread);
            workers.counters.workers.push(counters);
        }
        Ok(workers)
    }

    /// Waits for orders until the workers are done; a first stop drains, a second cuts.
    async fn serve(self, orders: &mut Orders, asked: &mut u32, drain_limit: Duration, log: &Log) -> anyhow::Result<()> {
        let Self { threads, counters, drain } = self;
        let mut joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).collect::<Vec<_>>());
        let results = loop {
            tokio::select! {
                results = &mut joined => break results.context("the workers could not be awaited")?,
                order = orders.next() => match order {
                    Order::Stop => {
                        *asked += 1;
                        let order = if *asked == 1 { DrainOrder::Drain { cut_after: drain_limit } } else { DrainOrder::Cut };
                        say(log, "stopping", if *asked == 1 { "draining: running requests may finish" } else { "cutting" });
                        drain.send_replace(order);
                    }
                    Order::Reload => say(log, "reload", "not yet: stop and start Gatelodge to take a changed configuration up"),
                    Order::Counters => counters.tell(log),
                },
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
        log.tell(&Line {
            level: Level::Info,
            name: "drained",
            message: "no request is running any more".into(),
            fields,
        });
        counters.tell(log);
        Ok(())
    }
}

/// Returns once a stop has been ordered twice, `asked` times of it already.
async fn cut(orders: &mut Orders, mut asked: u32) {
    while asked < 2 {
        if orders.next().await == Order::Stop {
            asked += 1;
        }
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
