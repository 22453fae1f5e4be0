//! The backend's state as this worker sees it, and what it tells in return.

use crate::settings::ForwardSettings;
use bytes::Bytes;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use wire::ports::{BackendSignal, BackendState, Paired};
use wire::{Fault, Kind, StartReport};

/// A report that forbids the next start for a while is given to a request that
/// wakes the backend, unless a newer one comes within this time.
pub(crate) const BACK_OFF_GRACE: Duration = Duration::from_millis(100);

/// The worker's end of the conversation with the process room.
pub(crate) struct Link {
    seen: RefCell<Seen>,
    signals: mpsc::Sender<BackendSignal>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    waiting_time_max: Duration,
    suspect_time_max: Duration,
}

/// The worker's own copy of the state.
struct Seen {
    state: watch::Receiver<BackendState>,
    ready: Option<Rc<Paired>>,
}

/// What a state means for a waiting request.
enum Look {
    Ready(Paired),
    Asleep,
    Busy,
    Down(Arc<StartReport>),
    Offline(Bytes),
}

impl Link {
    pub(crate) fn new(
        mut state: watch::Receiver<BackendState>,
        signals: mpsc::Sender<BackendSignal>,
        waiting: Arc<AtomicUsize>,
        settings: &ForwardSettings,
    ) -> Self {
        state.mark_changed();
        Self {
            seen: RefCell::new(Seen { state, ready: None }),
            signals,
            waiting,
            waiting_max: settings.waiting_requests_max,
            waiting_time_max: Duration::from_millis(settings.waiting_ms_max),
            suspect_time_max: Duration::from_millis(settings.suspect_ms_max),
        }
    }

    /// The backend, if it is ready. While nothing changes this is one atomic load.
    pub(crate) fn current(&self) -> Option<Rc<Paired>> {
        let mut seen = self.seen.borrow_mut();
        // With its writer gone the last state stands.
        if seen.state.has_changed().unwrap_or(true) {
            let ready = match &*seen.state.borrow_and_update() {
                BackendState::Ready(instances) => instances.first().cloned().map(Rc::new),
                _ => None,
            };
            seen.ready = ready;
        }
        seen.ready.clone()
    }

    /// Where the backend listens, if it is ready.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.current().map(|paired| paired.addr)
    }

    /// The backend; wakes it and waits where it is not ready.
    ///
    /// # Errors
    /// `QueueFull` above the limit of waiting requests, `StartFailed` with the
    /// report of an attempt that ended while the request waited (or whose
    /// back-off still runs), `BackendTimeout` after the waiting limit, `Stopping`
    /// where nobody is left to start it.
    ///
    /// # Cancel safety
    /// Dropping it gives its place in the queue back.
    pub(crate) async fn ready(&self) -> Result<Rc<Paired>, Fault> {
        match self.current() {
            Some(paired) => Ok(paired),
            None => self.wait().await,
        }
    }

    async fn wait(&self) -> Result<Rc<Paired>, Fault> {
        let _place = Place::take(&self.waiting, self.waiting_max).ok_or(Kind::QueueFull)?;
        let mut state = self.seen.borrow().state.clone();
        let deadline = Instant::now() + self.waiting_time_max;
        let mut first = true;
        loop {
            let look = look(&state.borrow_and_update());
            let (mut until, mut stale) = (deadline, None);
            match look {
                Look::Ready(paired) => return Ok(Rc::new(paired)),
                Look::Asleep => self.tell_wake(deadline).await?,
                Look::Busy => {}
                Look::Offline(page) => return Err(Kind::Offline(page).into()),
                Look::Down(report) if !first => return Err(Kind::StartFailed(report).into()),
                Look::Down(report) => {
                    // An old report: this request asks for a new attempt.
                    self.tell_wake(deadline).await?;
                    if report.retry_after.is_some() {
                        until = deadline.min(Instant::now() + BACK_OFF_GRACE);
                        stale = Some(report);
                    }
                }
            }
            first = false;
            match (timeout_at(until, state.changed()).await, stale) {
                (Ok(Ok(())), _) => {}
                (Ok(Err(_)), _) => return Err(Kind::Stopping.into()),
                (Err(_), Some(report)) => return Err(Kind::StartFailed(report).into()),
                (Err(_), None) => return Err(self.too_late()),
            }
        }
    }

    /// Tells that the backend of this start refused or broke a connection.
    pub(crate) fn suspect(&self, start: u64) {
        // A full channel holds enough signals that lead to the same look.
        let _lost_is_fine = self.signals.try_send(BackendSignal::Suspect { start });
    }

    /// True once the state is no longer `Ready` with this start; false if it
    /// stays so for the suspect limit, or if too many requests wait already.
    pub(crate) async fn has_left(&self, start: u64) -> bool {
        let Some(_place) = Place::take(&self.waiting, self.waiting_max) else { return false };
        let mut state = self.seen.borrow().state.clone();
        let left = state.wait_for(|state| !matches!(state, BackendState::Ready(instances) if instances.iter().any(|instance| instance.start == start)));
        matches!(timeout_at(Instant::now() + self.suspect_time_max, left).await, Ok(Ok(_)))
    }

    /// Signals that a request waits. Waits itself for room in the channel, so
    /// that no wake is lost behind suspicions.
    async fn tell_wake(&self, deadline: Instant) -> Result<(), Fault> {
        match timeout_at(deadline, self.signals.send(BackendSignal::Wake)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Kind::Stopping.into()),
            Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> Fault {
        Kind::BackendTimeout("start", self.waiting_time_max).into()
    }
}

fn look(state: &BackendState) -> Look {
    match state {
        BackendState::Ready(instances) => instances.first().cloned().map_or(Look::Busy, Look::Ready),
        BackendState::Idle => Look::Asleep,
        BackendState::Offline(page) => Look::Offline(page.clone()),
        BackendState::Starting | BackendState::Draining => Look::Busy,
        BackendState::Down(report) => Look::Down(Arc::clone(report)),
    }
}

/// A place among the waiting requests of all workers.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, places: usize) -> Option<Self> {
        let taken = waiting.fetch_update(Relaxed, Relaxed, |count| (count < places).then_some(count + 1));
        taken.is_ok().then(|| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
