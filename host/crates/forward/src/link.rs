//! The backend's state as this worker sees it, and what it tells in return.

use crate::call::Common;
use crate::choice::{self, Ask, Chosen};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use wire::ports::{BackendSignal, BackendState, Paired};
use wire::{Fault, Kind, StartReport};

/// A report that forbids the next start for a while is given to a request that
/// wakes the backend, unless a newer one comes within this time.
pub(crate) const BACK_OFF_GRACE: Duration = Duration::from_millis(100);

/// Idle connections are swept no more often than this, in milliseconds.
const TEND_MS_MIN: u64 = 100;

/// The worker's end of the conversation with the process room.
pub(crate) struct Link {
    common: Rc<Common>,
    seen: RefCell<Seen>,
    /// Where the next choice among equals begins.
    turn: Cell<usize>,
    signals: mpsc::Sender<BackendSignal>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    waiting_time_max: Duration,
    suspect_time_max: Duration,
}

/// The worker's own copy of the state.
struct Seen {
    state: watch::Receiver<BackendState>,
    /// Those that take requests; none while the state is another than `Ready`.
    instances: Vec<Rc<Paired>>,
}

/// What a state means for a waiting request.
enum Look {
    /// Instances, though they may all have retired since.
    Ready,
    Asleep,
    Busy,
    Down(Arc<StartReport>),
    Offline(Bytes),
}

impl Link {
    pub(crate) fn new(
        common: Rc<Common>,
        mut state: watch::Receiver<BackendState>,
        signals: mpsc::Sender<BackendSignal>,
        waiting: Arc<AtomicUsize>,
    ) -> Self {
        state.mark_changed();
        let settings = &common.settings;
        let waiting_time_max = Duration::from_millis(settings.waiting_ms_max);
        let suspect_time_max = Duration::from_millis(settings.suspect_ms_max);
        let waiting_max = settings.waiting_requests_max;
        let seen = RefCell::new(Seen { state, instances: Vec::new() });
        let turn = Cell::new(0);
        Self { common, seen, turn, signals, waiting, waiting_max, waiting_time_max, suspect_time_max }
    }

    /// Looks at the instances. While nothing changes this is one atomic load;
    /// with a change, idle connections to others are closed.
    fn look_at<T>(&self, at: impl FnOnce(&[Rc<Paired>]) -> T) -> T {
        let mut seen = self.seen.borrow_mut();
        // With its writer gone the last state stands.
        if seen.state.has_changed().unwrap_or(true) {
            self.refresh(&mut seen);
        }
        at(&seen.instances)
    }

    #[cold]
    fn refresh(&self, seen: &mut Seen) {
        let instances = match &*seen.state.borrow_and_update() {
            BackendState::Ready(instances) => instances.iter().cloned().map(Rc::new).collect(),
            _ => Vec::new(),
        };
        seen.instances = instances;
        let taking = seen.instances.iter().filter(|backend| !backend.load.is_retired());
        self.common.pool.borrow_mut().keep_only(taking.map(|backend| backend.start));
    }

    /// Closes idle connections that are of no more use, as soon as the state
    /// changes or they are too old; ends with the writer of the state.
    pub(crate) async fn tend(&self) {
        let mut state = self.seen.borrow().state.clone();
        let age_max = Duration::from_millis(self.common.settings.idle_connection_ms_max.max(TEND_MS_MIN));
        loop {
            match timeout(age_max, state.changed()).await {
                Ok(Ok(())) => self.look_at(|_| ()),
                Ok(Err(_)) => return,
                Err(_) => self.common.pool.borrow_mut().sweep(),
            }
        }
    }

    /// An instance with a place on it; none while there is none to choose.
    pub(crate) fn choose(&self, ask: &Ask) -> Option<Chosen> {
        self.look_at(|instances| choice::choose(instances, ask, &self.turn, now))
    }

    /// An instance; wakes the backend and waits where none takes requests.
    ///
    /// # Errors
    /// `Offline` at once, `QueueFull` above the limit of waiting requests,
    /// `StartFailed` with the report of an attempt that ended while the request
    /// waited (or whose back-off still runs), `BackendTimeout` after the waiting
    /// limit, `Stopping` where nobody is left to start it.
    ///
    /// # Cancel safety
    /// Dropping it gives its place in the queue back.
    pub(crate) async fn ready(&self, ask: &Ask) -> Result<Chosen, Fault> {
        match self.choose(ask) {
            Some(chosen) => Ok(chosen),
            None => self.wait(ask).await,
        }
    }

    async fn wait(&self, ask: &Ask) -> Result<Chosen, Fault> {
        if let BackendState::Offline(page) = &*self.seen.borrow().state.borrow() {
            return Err(Kind::Offline(page.clone()).into());
        }
        let _place = Place::take(&self.waiting, self.waiting_max).ok_or(Kind::QueueFull)?;
        let mut state = self.seen.borrow().state.clone();
        let deadline = Instant::now() + self.waiting_time_max;
        let mut first = true;
        loop {
            let look = look(&state.borrow_and_update());
            let (mut until, mut stale) = (deadline, None);
            match look {
                Look::Ready => {
                    if let Some(chosen) = self.choose(ask) {
                        return Ok(chosen);
                    }
                }
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

    /// Counts a request that goes to another instance.
    pub(crate) fn resent(&self) {
        self.common.counters.resent();
    }

    /// Counts a fault of an instance. Too many in a row take it out of the choice
    /// for a while, unless no other could be chosen then.
    pub(crate) fn blame(&self, backend: &Paired) {
        let settings = &self.common.settings;
        if backend.load.failed() < settings.eject_faults_max {
            return;
        }
        let is_other = |other: &&Rc<Paired>| {
            other.start != backend.start && !other.load.is_retired() && !choice::is_ejected(other, now)
        };
        if self.look_at(|instances| instances.iter().any(|other| is_other(&other))) {
            let until = now() + settings.ejection(backend.load.ejections());
            if backend.load.eject_once(now(), until).is_some() {
                self.common.counters.ejected();
            }
        }
    }

    /// True once there may be another instance than these; false if there is none
    /// for the suspect limit, or if too many requests wait already.
    pub(crate) async fn has_left(&self, refused: &[u64]) -> bool {
        let Some(_place) = Place::take(&self.waiting, self.waiting_max) else { return false };
        let mut state = self.seen.borrow().state.clone();
        let left = state.wait_for(|state| match state {
            BackendState::Ready(instances) => {
                instances.iter().any(|backend| !refused.contains(&backend.start) && !backend.load.is_retired())
            }
            _ => true,
        });
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
        BackendState::Ready(_) => Look::Ready,
        BackendState::Idle => Look::Asleep,
        BackendState::Offline(page) => Look::Offline(page.clone()),
        BackendState::Starting | BackendState::Draining => Look::Busy,
        BackendState::Down(report) => Look::Down(Arc::clone(report)),
    }
}

/// The clock of [`wire::Load`].
fn now() -> std::time::Instant {
    Instant::now().into_std()
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
