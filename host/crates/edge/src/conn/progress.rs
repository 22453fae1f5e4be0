//! Where a connection stands, and until when it may stand there.
//!
//! The socket, the request body, the reply body and the connection's task note
//! here what moves. None of them touches a timer or a clock for it: the task
//! stamps the time when the connection comes to rest, and arms one timer only
//! when the nearest deadline is earlier than the armed one. An ordinary request
//! costs one look at the clock.

use crate::settings::{EdgeSettings, ms};
use std::cell::Cell;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// What the connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between a reply and the next request.
    Idle,
    /// Bytes of a head have come, or are on their way.
    Head,
    /// A handler has a request; it has its own deadlines.
    Handling,
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    Idle,
    Head,
    Body,
    Write,
}

/// The deadlines of one worker's connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    head: Duration,
    idle: Duration,
    body_idle: Duration,
    body_total: Duration,
    write_idle: Duration,
}

impl From<&EdgeSettings> for Deadlines {
    fn from(settings: &EdgeSettings) -> Self {
        Self {
            head: ms(settings.head_ms_max),
            idle: ms(settings.idle_ms_max),
            body_idle: ms(settings.body_idle_ms_max),
            body_total: ms(settings.body_total_ms_max),
            write_idle: ms(settings.write_idle_ms_max),
        }
    }
}

/// A state that is on or off, with the moment since when.
#[derive(Default)]
struct Since {
    on: Cell<bool>,
    at: Cell<Option<Instant>>,
}

impl Since {
    fn begin(&self) {
        if !self.on.replace(true) {
            self.at.set(None);
        }
    }

    fn restart(&self) {
        self.on.set(true);
        self.at.set(None);
    }

    fn end(&self) {
        self.on.set(false);
    }

    /// The moment when `limit` is over, if the state is on. Stamps it if nobody has yet.
    fn due(&self, limit: Duration) -> Option<Instant> {
        if !self.on.get() {
            return None;
        }
        let at = self.at.get().unwrap_or_else(|| {
            let now = Instant::now();
            self.at.set(Some(now));
            now
        });
        at.checked_add(limit)
    }
}

/// Shared by all parts of one connection, on one thread.
pub(crate) struct Progress {
    phase: Cell<Phase>,
    in_phase: Since,
    /// The handler waits for the client's body.
    body_wait: Since,
    /// The client sends a body.
    body: Since,
    /// The socket takes no more.
    write_wait: Since,
    /// A reply is owed or on its way to the parser's buffer.
    replying: Cell<bool>,
    /// All that was ever written has reached the socket, and no reply is owed.
    quiet: Cell<bool>,
    /// Bytes came while a request without a body was handled.
    read_ahead: Cell<bool>,
    /// Status of a bare reply that the parser wanted to send by itself.
    parser_refusal: Cell<Option<u16>>,
    body_expired: Cell<bool>,
    body_unread: Cell<bool>,
    /// The client ended its side.
    client_ended: Cell<bool>,
    draining: Cell<bool>,
    drain_heard: Cell<bool>,
    task: Cell<Option<Waker>>,
    body_task: Cell<Option<Waker>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let progress = Self {
            phase: Cell::new(Phase::Head),
            in_phase: Since::default(),
            body_wait: Since::default(),
            body: Since::default(),
            write_wait: Since::default(),
            replying: Cell::new(false),
            quiet: Cell::new(true),
            read_ahead: Cell::new(false),
            parser_refusal: Cell::new(None),
            body_expired: Cell::new(false),
            body_unread: Cell::new(false),
            client_ended: Cell::new(false),
            draining: Cell::new(false),
            drain_heard: Cell::new(false),
            task: Cell::new(None),
            body_task: Cell::new(None),
        };
        progress.in_phase.begin();
        progress
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.in_phase.restart();
    }

    // --- told by the socket ---

    pub(crate) fn bytes_came(&self) {
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head => {}
            Phase::Handling => self.read_ahead.set(!self.body.on.get()),
        }
    }

    pub(crate) fn client_ended(&self) {
        self.client_ended.set(true);
    }

    pub(crate) fn write_blocked(&self) {
        self.write_wait.begin();
    }

    pub(crate) fn bytes_went(&self) {
        self.write_wait.end();
    }

    /// The parser has nothing left to write.
    pub(crate) fn flushed(&self) {
        if self.replying.get() || self.quiet.replace(true) {
            return;
        }
        self.enter(if self.read_ahead.get() { Phase::Head } else { Phase::Idle });
    }

    /// True while the parser owes nobody anything: what it writes now is its own refusal.
    pub(crate) fn owes_nothing(&self) -> bool {
        self.quiet.get()
    }

    pub(crate) fn parser_refuses(&self, status: u16) {
        self.parser_refusal.set(Some(status));
    }

    // --- told by the service ---

    pub(crate) fn request_began(&self) {
        self.enter(Phase::Handling);
        self.replying.set(true);
        self.quiet.set(false);
        self.read_ahead.set(false);
        self.body_expired.set(false);
        self.body_unread.set(false);
    }

    pub(crate) fn reply_ended(&self) {
        self.replying.set(false);
    }

    // --- told by the request body ---

    pub(crate) fn body_began(&self) {
        self.body.restart();
    }

    pub(crate) fn body_waits(&self, cx: &Context<'_>) {
        self.body_wait.begin();
        keep(&self.body_task, cx);
    }

    pub(crate) fn body_moved(&self) {
        self.body_wait.end();
    }

    /// `read`: to its end; otherwise bytes of it may still be on their way.
    pub(crate) fn body_ended(&self, read: bool) {
        self.body.end();
        self.body_wait.end();
        self.body_unread.set(!read);
    }

    /// True once the client took too long; the body must end with a fault.
    pub(crate) fn body_is_expired(&self) -> bool {
        self.body_expired.get()
    }

    // --- told by the worker ---

    pub(crate) fn drain(&self) {
        self.draining.set(true);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    // --- asked by the connection's task ---

    /// Lets [`Progress::drain`] wake the task that polls here.
    pub(crate) fn keep_task(&self, cx: &Context<'_>) {
        keep(&self.task, cx);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// True once after the order to drain came. A head that is on its way is
    /// waited for: its request still gets its answer.
    pub(crate) fn take_drain(&self) -> bool {
        self.draining.get() && self.phase.get() != Phase::Head && !self.drain_heard.replace(true)
    }

    pub(crate) fn parser_refusal(&self) -> Option<u16> {
        self.parser_refusal.get()
    }

    /// True where bytes that nobody will read may still come.
    pub(crate) fn left_unread(&self) -> bool {
        self.body_unread.get()
    }

    pub(crate) fn mark_unread(&self) {
        self.body_unread.set(true);
    }

    pub(crate) fn has_client_ended(&self) -> bool {
        self.client_ended.get()
    }

    pub(crate) fn expire_body(&self) {
        self.body_expired.set(true);
        self.body_wait.end();
        if let Some(task) = self.body_task.take() {
            task.wake();
        }
    }

    /// The nearest deadline of a connection that is at rest.
    pub(crate) fn due(&self, deadlines: &Deadlines) -> Option<(Instant, Expired)> {
        let phase = match self.phase.get() {
            Phase::Idle => self.in_phase.due(deadlines.idle).map(|at| (at, Expired::Idle)),
            Phase::Head => self.in_phase.due(deadlines.head).map(|at| (at, Expired::Head)),
            Phase::Handling => None,
        };
        let body = self.body_wait.due(deadlines.body_idle).map(|idle| {
            let total = self.body.due(deadlines.body_total);
            (total.map_or(idle, |total| total.min(idle)), Expired::Body)
        });
        let write = self.write_wait.due(deadlines.write_idle).map(|at| (at, Expired::Write));
        [phase, body, write].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

/// Remembers whom to wake, and clones only where that changed.
fn keep(place: &Cell<Option<Waker>>, cx: &Context<'_>) {
    let kept = place.take().filter(|kept| kept.will_wake(cx.waker()));
    place.set(Some(kept.unwrap_or_else(|| cx.waker().clone())));
}
