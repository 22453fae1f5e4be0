//! What the rest of the house asks of supervision, and what it is told.

use crate::event::{Ended, Why};
use crate::settings::Settings;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use wire::StartReport;

/// Orders that may wait for the supervising task.
const ORDERS_MAX: usize = 16;

/// A handle to a [`crate::Supervisor`]; a clone speaks to the same one.
#[derive(Clone)]
pub struct Control {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<Arc<Status>>,
}

/// An order with the way back to whoever gave it.
pub(crate) enum Order {
    /// Replace all instances.
    Replace { settings: Option<Box<Settings>>, why: Why, done: oneshot::Sender<Result<Replaced, NotReplaced>> },
    /// `app_offline.htm` is there with these bytes, or it is not.
    Offline(Option<Bytes>),
    /// Give a new [`Status`] with the numbers of this moment.
    Look(oneshot::Sender<Arc<Status>>),
}

/// New instances took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// How many; 0 if nothing ran, so that the next start uses the new settings.
    pub instances: u16,
    /// From the order to the takeover.
    pub elapsed: Duration,
}

/// What ran before goes on.
#[derive(Clone, Debug)]
pub enum NotReplaced {
    /// The new instances did not start.
    Failed(Arc<StartReport>),
    /// A later order took its place.
    Superseded,
    /// The application is being stopped, or supervision has ended.
    Stopping,
}

impl std::fmt::Display for NotReplaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(report) => write!(f, "the new instance did not start: {}", report.summary),
            Self::Superseded => f.write_str("a later order took its place"),
            Self::Stopping => f.write_str("the application is being stopped"),
        }
    }
}

impl std::error::Error for NotReplaced {}

/// The state of the whole application, in the words of logs, metrics and `gatelodge status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppState {
    /// Nothing runs; the next request wakes it.
    Idle,
    /// The first instance is being started.
    Starting,
    /// At least one instance takes requests.
    Ready,
    /// A start failed or it crashed too often; see the report.
    Down,
    /// `app_offline.htm` is there.
    Offline,
    /// The host stops.
    Stopping,
}

impl AppState {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Down => "down",
            Self::Offline => "offline",
            Self::Stopping => "stopping",
        }
    }
}

/// The state of one instance, in the same words everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Its process is on the way to listening.
    Starting,
    /// It listens and is being asked about its health or warmed up.
    Proving,
    /// It takes requests.
    Ready,
    /// It gets no new request.
    Draining,
    /// It was asked to end.
    Stopping,
    /// It could not be started, or crashed, and waits for its next start.
    Waiting,
}

impl InstanceState {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Proving => "proving",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Waiting => "waiting",
        }
    }
}

/// One instance.
#[derive(Clone, Debug)]
pub struct InstanceStatus {
    /// Its number, from 1; a replacement takes over the number.
    pub number: u16,
    /// Number of its start.
    pub start: u64,
    /// Its state.
    pub state: InstanceState,
    /// The started process; 0 before there is one.
    pub pid: u32,
    /// The process that listens; 0 before it does.
    pub listening_pid: u32,
    /// Its port; 0 before it has one.
    pub port: u16,
    /// Since it listened.
    pub uptime: Duration,
    /// Requests taken on.
    pub requests: u64,
    /// Requests that run on it.
    pub outstanding: usize,
    /// Out of the choice for a while, because it failed requests.
    pub ejected: bool,
    /// Bad answers about its health in a row.
    pub health_failures: u32,
    /// Resident memory of its tree, bytes, where it is looked at.
    pub memory_bytes: Option<u64>,
}

/// The last end of an instance.
#[derive(Clone, Debug)]
pub struct LastExit {
    /// Number of its start.
    pub start: u64,
    /// How the started process ended, if that is known.
    pub ended: Option<Ended>,
    /// Whether we asked for it.
    pub asked: bool,
    /// How long ago.
    pub ago: Duration,
}

/// Everything that `gatelodge status` tells of the application. Never holds the token.
#[derive(Clone, Debug)]
pub struct Status {
    /// The whole application's state.
    pub state: AppState,
    /// For how long.
    pub since: Duration,
    /// All instances, also those that drain or start.
    pub instances: Vec<InstanceStatus>,
    /// Starts made, ever.
    pub starts: u64,
    /// Starts that failed, ever.
    pub start_failures: u64,
    /// Instances that ended by themselves, ever.
    pub crashes: u64,
    /// Replacements done, ever, recycling included.
    pub replacements: u64,
    /// Replacements that failed, ever.
    pub replacement_failures: u64,
    /// Stops that needed force, ever.
    pub kills: u64,
    /// Answers about health that were not good, ever.
    pub health_failures: u64,
    /// The last end.
    pub last_exit: Option<LastExit>,
    /// Crashes within the last minute, and how many `rapidFailsPerMinute` allows.
    pub crashes_in_window: (u32, u32),
    /// When the next start may be made, if one is held back.
    pub next_start_in: Option<Duration>,
    /// What the last failed start said.
    pub report: Option<Arc<StartReport>>,
    /// The last lines of the newest instance's output.
    pub last_lines: Vec<String>,
}

impl Control {
    /// Starts new instances, with `settings` if given, beside the running ones
    /// (or, without overlap, in their place), proves them, lets them take the
    /// requests, and drains the old ones. Returns once the new ones serve; while
    /// nothing runs the settings are only taken over.
    ///
    /// # Errors
    /// Why not. The old instances and their settings stay in place.
    ///
    /// # Cancel safety
    /// The order is carried out also if the future is dropped.
    pub async fn replace(&self, settings: Option<Settings>, why: Why) -> Result<Replaced, NotReplaced> {
        let (done, answer) = oneshot::channel();
        let order = Order::Replace { settings: settings.map(Box::new), why, done };
        self.orders.send(order).await.map_err(|_| NotReplaced::Stopping)?;
        answer.await.unwrap_or(Err(NotReplaced::Stopping))
    }

    /// Says that `app_offline.htm` is there with these bytes, or that it is not.
    /// Every request gets the page at once; requests that run may finish within
    /// `shutdown_limit`, then the instances are stopped.
    pub async fn offline(&self, page: Option<Bytes>) {
        // Nobody is left to take anything off.
        let _ = self.orders.send(Order::Offline(page)).await;
    }

    /// The state with the numbers of this moment; the last one known if
    /// supervision has ended.
    pub async fn status(&self) -> Arc<Status> {
        let (answer, status) = oneshot::channel();
        if self.orders.send(Order::Look(answer)).await.is_ok()
            && let Ok(status) = status.await
        {
            return status;
        }
        Arc::clone(&self.status.borrow())
    }
}

/// The supervising task's end.
pub(crate) struct Orders {
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) status: watch::Sender<Arc<Status>>,
}

/// A handle and the supervising task's end of it.
pub(crate) fn control(first: Status) -> (Control, Orders) {
    let (orders_tx, orders) = mpsc::channel(ORDERS_MAX);
    let (status_tx, status) = watch::channel(Arc::new(first));
    (Control { orders: orders_tx, status }, Orders { orders, status: status_tx })
}
