//! Process supervision as the house holds it.

use crate::counters::Counters;
use crate::desk::Desk;
use crate::tell;
use observe::event::Line;
use observe::{Level, Log};
use process::{Control, StopOutcome, StopReport, Supervisor};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use wire::ports::{BackendSignal, BackendState};

/// Signals from forwarding that may wait for process supervision; each only
/// hastens what would be found out anyway.
const SIGNALS_MAX: usize = 64;

/// Process supervision, running.
pub(crate) struct App {
    /// The way to give it orders.
    pub(crate) control: Control,
    /// The backend as requests see it.
    pub(crate) state: watch::Receiver<BackendState>,
    /// What forwarding tells it.
    pub(crate) signals: mpsc::Sender<BackendSignal>,
    stop: oneshot::Sender<()>,
    supervising: JoinHandle<StopReport>,
}

impl App {
    /// Starts it; the application itself waits for a request or an order.
    pub(crate) fn start(runtime: &Runtime, settings: process::Settings, log: &Log) -> Self {
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
    pub(crate) async fn stop(self, desk: &mut Desk, counters: &Counters) -> Option<Result<StopReport, JoinError>> {
        let _ = self.stop.send(());
        let mut supervising = self.supervising;
        tokio::select! {
            biased;
            report = &mut supervising => Some(report),
            () = desk.cut(counters) => None,
        }
    }
}

/// Tells how the application ended.
pub(crate) fn stopped_line(log: &Log, report: StopReport) {
    let outcome = match report.outcome {
        StopOutcome::NothingRan => "no application was running".to_owned(),
        StopOutcome::Ended(ended) => format!("the application ended with {ended}"),
        StopOutcome::Killed => "the application was killed".to_owned(),
    };
    let fields = vec![("elapsed_ms".to_owned(), report.elapsed.as_millis().to_string())];
    log.tell(&Line { level: Level::Info, name: "stopped", message: outcome, fields });
}
