//! What the admin address tells of the host, and the orders that come over it.

mod metrics;
mod plugins;

use crate::counters::Counters;
use crate::generation::Plan;
use crate::lasting::Lasting;
use crate::orders::Order;
use crate::prepare::Found;
use crate::reload::{Ask, Cause, Last, Refused};
use admin::status::{AppPart, ExitPart, HostPart, InstancePart, ReloadPart, ReportPart, seconds};
use admin::{Address, Health, House, Limits, Listener, Places, Refusal, StatusPage};
use anyhow::Context as _;
use observe::event::Line;
use observe::{Level, Log};
use process::{Control, InstanceStatus, Status};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wire::ports::BackendState;

/// The host as the admin door sees it.
pub(crate) struct StatusHouse {
    /// The app's folder.
    pub(crate) app_dir: PathBuf,
    /// Where it listens.
    pub(crate) urls: Vec<String>,
    /// Since when.
    pub(crate) began: Instant,
    /// Process supervision.
    pub(crate) control: Control,
    /// The backend as requests see it.
    pub(crate) state: watch::Receiver<BackendState>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
    /// The log, whose lost lines are counted.
    pub(crate) log: Log,
    /// What the workers run.
    pub(crate) plans: watch::Receiver<Arc<Plan>>,
    /// What plugins run on.
    pub(crate) lasting: Arc<Lasting>,
    /// The last reload.
    pub(crate) last: watch::Receiver<Last>,
    /// Where a reload is asked for.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// Where a stop is ordered.
    pub(crate) orders: mpsc::Sender<Order>,
}

impl House for StatusHouse {
    async fn status(&self) -> StatusPage {
        let app = self.control.status().await;
        StatusPage {
            host: self.host(),
            app: app_part(&app),
            instances: app.instances.iter().map(instance_part).collect(),
            plugins: plugins::parts(&self.plans.borrow().chain, &self.counters.plugins),
            engine: plugins::engine(&self.lasting),
            counters: self.counters.host(self.log.dropped_lines()).into_iter().collect(),
        }
    }

    async fn metrics(&self) -> String {
        metrics::page(&self.status().await, &self.last.borrow(), &self.counters)
    }

    fn health(&self) -> Health {
        let (ok, state) = match &*self.state.borrow() {
            BackendState::Idle => (true, "idle"),
            BackendState::Starting => (true, "starting"),
            BackendState::Ready(_) => (true, "ready"),
            BackendState::Draining => (false, "stopping"),
            BackendState::Offline(_) => (false, "offline"),
            BackendState::Down(_) => (false, "down"),
        };
        Health { ok, state: state.to_owned() }
    }

    async fn reload(&self) -> Result<String, Refusal> {
        let (done, outcome) = oneshot::channel();
        let stopping = || Refusal { summary: Refused::Stopping.to_string(), problems: Vec::new() };
        let ask = Ask { cause: Cause::Asked, done: Some(done) };
        self.asks.send(ask).await.map_err(|_| stopping())?;
        match outcome.await {
            Ok(Ok(done)) => Ok(done.to_string()),
            Ok(Err(refused)) => Err(refusal(&refused)),
            Err(_) => Err(stopping()),
        }
    }

    async fn stop(&self) {
        // A closed channel: it stops already.
        let _ = self.orders.send(Order::Stop).await;
    }
}

impl StatusHouse {
    fn host(&self) -> HostPart {
        let last = self.last.borrow();
        HostPart {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: seconds(self.began.elapsed()),
            app_dir: self.app_dir.display().to_string(),
            listen: self.urls.clone(),
            workers: u32::try_from(self.counters.workers.len()).unwrap_or(u32::MAX),
            generation: last.generation,
            last_reload: last.outcome.as_ref().map(|(at, outcome)| ReloadPart {
                ok: outcome.is_ok(),
                ago_s: seconds(at.elapsed()),
                problems: outcome.as_ref().err().map(|text| lines(text)).unwrap_or_default(),
            }),
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn refusal(refused: &Refused) -> Refusal {
    let mut lines = lines(&refused.to_string());
    let summary = lines.pop().unwrap_or_default();
    Refusal { summary, problems: lines }
}

fn app_part(app: &Status) -> AppPart {
    AppPart {
        state: app.state.as_str().to_owned(),
        since_s: seconds(app.since),
        next_start_in_s: app.next_start_in.map(seconds),
        crashes_in_window: app.crashes_in_window.0,
        crashes_allowed: app.crashes_in_window.1,
        starts: app.starts,
        start_failures: app.start_failures,
        crashes: app.crashes,
        replacements: app.replacements,
        replacement_failures: app.replacement_failures,
        kills: app.kills,
        health_failures: app.health_failures,
        last_exit: app.last_exit.as_ref().map(|exit| ExitPart {
            start: exit.start,
            how: exit.ended.map(|ended| ended.to_string()),
            asked: exit.asked,
            ago_s: seconds(exit.ago),
        }),
        report: app.report.as_ref().map(|report| ReportPart {
            reason: report.failure.as_str().to_owned(),
            summary: report.summary.clone(),
            command: report.command.clone(),
            ended: report.ended.clone(),
            attempts: report.attempts,
        }),
        last_lines: app.last_lines.clone(),
    }
}

fn instance_part(instance: &InstanceStatus) -> InstancePart {
    let number = |value: u32| (value != 0).then_some(value);
    InstancePart {
        number: instance.number,
        start: instance.start,
        state: instance.state.as_str().to_owned(),
        pid: number(instance.pid),
        listening_pid: number(instance.listening_pid),
        port: (instance.port != 0).then_some(instance.port),
        uptime_s: seconds(instance.uptime),
        requests: instance.requests,
        outstanding: u64::try_from(instance.outstanding).unwrap_or(u64::MAX),
        ejected: instance.ejected,
        health_failures: instance.health_failures,
        memory_bytes: instance.memory_bytes,
    }
}

/// The open admin door.
pub(crate) struct AdminDoor(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

/// Opens the admin door; must run inside a runtime.
///
/// # Errors
/// An address that was asked for can't be had.
pub(crate) fn open(found: &Found, house: StatusHouse, log: &Log) -> anyhow::Result<AdminDoor> {
    let address = admin_address(&found.settled.admin);
    let places = Places::of_user(|name| std::env::var_os(name));
    let bound = Listener::bind(&address, &found.loaded.root, &places).context("no admin address")?;
    for note in bound.notes {
        log.tell(&Line { level: Level::Warn, name: "admin", message: note, fields: Vec::new() });
    }
    let Some(listener) = bound.listener else { return Ok(AdminDoor(None)) };
    let message = "status, reload and stop are served".to_owned();
    let fields = vec![("address".to_owned(), listener.address().to_string())];
    log.tell(&Line { level: Level::Debug, name: "admin", message, fields });
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(admin::serve(listener, Arc::new(house), Limits::default(), async {
        let _ = stopped.await;
    }));
    Ok(AdminDoor(Some((stop, serving))))
}

impl AdminDoor {
    /// Closes it; running answers have a moment to end.
    pub(crate) async fn close(self) {
        if let Some((stop, serving)) = self.0 {
            let _ = stop.send(());
            // A task that panicked has closed it too.
            let _ = serving.await;
        }
    }
}

/// The admin room's word for the configuration's.
pub(crate) fn admin_address(admin: &config::plugins_toml::Admin) -> Address {
    use config::plugins_toml::Admin;
    match admin {
        Admin::Auto => Address::Auto,
        Admin::Off => Address::Off,
        Admin::Unix(path) => Address::Unix(path.clone()),
        Admin::Tcp(address) => Address::Tcp(*address),
    }
}
