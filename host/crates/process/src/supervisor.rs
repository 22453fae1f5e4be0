//! The thin shell around the rules: it runs instances, asks, and publishes.

mod reports;
mod shell;
mod status;

use crate::control::{Control, Order, Orders, control};
use crate::environment;
use crate::event::{Ended, Events};
use crate::machine::{Happening, Plan};
use crate::settings::Settings;
use shell::Shell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use wire::ports::{BackendSignal, BackendState};

/// Starts, watches, replaces and stops the instances of one application.
///
/// It needs a tokio runtime with IO and time. It reads [`BackendSignal`]s and the
/// orders of its [`Control`], writes [`BackendState`]s, and what is worth telling
/// goes to [`Events`].
pub struct Supervisor {
    signals: mpsc::Receiver<BackendSignal>,
    orders: Orders,
    control: Control,
    shell: Shell,
}

/// How [`Supervisor::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// What became of the backend; of several instances the worst.
    pub outcome: StopOutcome,
    /// From the order to stop to the end.
    pub elapsed: Duration,
}

/// What became of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// There was none.
    NothingRan,
    /// It ended in time.
    Ended(Ended),
    /// It was killed: at the limit, or because it was still starting.
    Killed,
}

impl StopOutcome {
    /// The one that is more worth telling.
    fn worse(self, other: Self) -> Self {
        let badness = |outcome| match outcome {
            Self::NothingRan => 0,
            Self::Ended(Ended::Code(0)) => 1,
            Self::Ended(_) => 2,
            Self::Killed => 3,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

impl Supervisor {
    /// Prepares a supervisor; nothing is started before it runs, and with
    /// [`crate::StartMode::OnDemand`] not before the first [`BackendSignal::Wake`].
    pub fn new(
        settings: Settings,
        state: watch::Sender<BackendState>,
        signals: mpsc::Receiver<BackendSignal>,
        events: impl Events,
    ) -> Self {
        let shell = Shell::new(plan(settings), state, Arc::new(events));
        let (control, orders) = control(shell.status(&[]));
        Self { signals, orders, control, shell }
    }

    /// A handle for orders and questions; good for as long as [`Supervisor::run`] runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until `stop` is ready, then stops all instances at the same time:
    /// gracefully within `shutdown_limit`, else by force. The state is `Draining`
    /// from then on.
    ///
    /// # Cancel safety
    /// Dropping the future kills the backend and everything it started.
    pub async fn run(self, stop: impl Future<Output = ()>) -> StopReport {
        let Self { mut signals, mut orders, control, mut shell } = self;
        // Its own handle would keep the orders open after everybody else's is gone.
        drop(control);
        let mut stop = pin!(stop);
        let mut stopped_at = None;
        let (mut signals_open, mut orders_open) = (true, true);
        shell.begin();
        shell.follow(Happening::Begin, &mut signals);
        loop {
            let due = shell.due();
            let happening = tokio::select! {
                biased;
                () = &mut stop, if stopped_at.is_none() => {
                    stopped_at = Some(Instant::now());
                    Some(Happening::Stop)
                }
                happening = shell.hear() => happening,
                () = sleep_at(due) => Some(Happening::Due),
                order = orders.orders.recv(), if orders_open => match order {
                    Some(Order::Look(answer)) => {
                        shell.look(answer);
                        None
                    }
                    Some(Order::Offline(page)) => Some(shell.offline(page)),
                    Some(Order::Replace { settings, why, done }) => {
                        Some(shell.replace(settings.map(|settings| plan(*settings)), why, done))
                    }
                    None => {
                        orders_open = false;
                        None
                    }
                },
                signal = signals.recv(), if signals_open => match signal {
                    Some(BackendSignal::Wake) => Some(Happening::Wake),
                    Some(BackendSignal::Suspect { start }) => Some(Happening::Suspect(start)),
                    None => {
                        signals_open = false;
                        None
                    }
                },
            };
            let Some(happening) = happening else { continue };
            shell.follow(happening, &mut signals);
            if let (Some(at), Some(outcome)) = (stopped_at, shell.finished()) {
                shell.finish().await;
                // For those who ask when nobody is left to look.
                orders.status.send_replace(Arc::new(shell.status(&[])));
                return StopReport { outcome, elapsed: at.elapsed() };
            }
        }
    }
}

/// What follows from settings.
fn plan(settings: Settings) -> Plan {
    let port = environment::Table::new(&settings);
    let fixed_port = port.is_ok_and(|table| table.port().is_some_and(|port| !port.is_empty()));
    Plan { settings: Arc::new(settings), fixed_port }
}

/// A time; never without one.
async fn sleep_at(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
