//! What a store carries: the exchange while a hook runs, and what the capabilities need.

use crate::breaker::HoldBack;
use crate::budget::{Budget, SystemTimes};
use crate::capability::wasi::{Output, Streams};
use crate::jose::KeySets;
use crate::log::LogSink;
use crate::metrics::{PluginMetrics, Series};
use crate::registration::Registration;
use crate::seen::Life;
use bytes::Bytes;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::ResourceLimiter;
use wire::Exchange;
use wire::exchange::{Credential, Principal, RequestHead, ResponseHead, Shared};
use wire::target::PathRules;

/// What all instances of a plugin share.
pub(crate) struct Common {
    pub(crate) name: Arc<str>,
    /// Its place in the chain, and its bit in `ran`.
    pub(crate) index: u8,
    pub(crate) config_json: String,
    pub(crate) memory_bytes_max: usize,
    /// Elements of one table, by the slots it lives in.
    pub(crate) table_elements_max: usize,
    /// See [`crate::PluginSettings::body_held_bytes_max`].
    pub(crate) body_held_bytes_max: usize,
    pub(crate) path_rules: PathRules,
    pub(crate) log: Arc<dyn LogSink>,
    /// Grant `log`: also for what it prints.
    pub(crate) may_log: bool,
    pub(crate) log_meter: crate::capability::log::Meter,
    pub(crate) metrics: Arc<PluginMetrics>,
    pub(crate) key_sets: Arc<KeySets>,
    /// Stores, limiters and secrets that it was granted.
    pub(crate) named: crate::named::Named,
    /// Origin of `clock.monotonic-ns`.
    pub(crate) started: Instant,
}

impl Common {
    /// Tells and counts that the plugin is held back, or no longer.
    pub(crate) fn tell(&self, change: &HoldBack) {
        if matches!(change, HoldBack::Begun { .. }) {
            self.metrics.count_opening();
        }
        self.log.hold_back(&self.name, change);
    }
}

/// What the instance is being called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `configure`, or nothing.
    Outside,
    Request,
    /// The request's body; its head has been sent on, or is about to be.
    RequestBody,
    Response,
    /// The response's body, after its head.
    ResponseBody,
    Completion,
    /// A tick of the timer: no exchange is there.
    Tick,
}

/// Data of a store.
pub(crate) struct State {
    pub(crate) common: Arc<Common>,
    /// `None` before `configure` has answered.
    pub(crate) registration: Option<Arc<Registration>>,
    pub(crate) phase: Phase,
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) limiter: Limiter,
    /// What is left of the running hook's time.
    pub(crate) budget: Budget,
    pub(crate) times: SystemTimes,
    /// What it polls for and what it printed, by WASI.
    pub(crate) streams: Streams,
    pub(crate) output: Output,
    /// The time of this hook, once it was asked for.
    pub(crate) now: Option<Now>,
    /// The next log line is not counted: see `LINES_PER_SECOND_MAX`.
    pub(crate) has_free_line: bool,
    /// Series by handle, as far as this instance has used them.
    pub(crate) series: Vec<Option<Arc<Series>>>,
    /// True for the trial instance at load: its metric definitions replace older ones.
    pub(crate) trial: bool,
    /// In a hook on a fiber: `http-out` answers.
    pub(crate) may_wait: bool,
    /// The way out of a plugin that is granted `http-out`.
    pub(crate) outbound: Option<Arc<crate::outbound::Outbound>>,
    heads_before: Option<Box<Heads>>,
    shared_before: Option<Box<SharedBefore>>,
}

/// A hook's frozen time.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) unix_ms: u64,
    pub(crate) monotonic_ns: u64,
}

impl State {
    pub(crate) fn new(common: Arc<Common>, deadline: Duration, trial: bool, life: Life) -> Self {
        let (bytes_max, table_elements_max) = (common.memory_bytes_max, common.table_elements_max);
        let limiter = Limiter { bytes_max, table_elements_max, bytes: 0, denied: false, life };
        let times = SystemTimes::new(common.started);
        Self {
            common,
            registration: None,
            phase: Phase::Outside,
            exchange: None,
            limiter,
            budget: Budget::new(deadline),
            times,
            streams: Streams::new(),
            output: Output::default(),
            now: None,
            has_free_line: false,
            series: Vec::new(),
            trial,
            may_wait: false,
            outbound: None,
            heads_before: None,
            shared_before: None,
        }
    }

    /// The time, frozen for the length of a hook.
    pub(crate) fn now(&mut self) -> Now {
        let started = self.common.started;
        *self.now.get_or_insert_with(|| {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Now {
                unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
                monotonic_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
            }
        })
    }

    /// Begins a hook.
    pub(crate) fn enter(&mut self, phase: Phase, exchange: Box<Exchange>) {
        self.phase = phase;
        self.has_free_line = phase == Phase::Completion;
        self.exchange = Some(exchange);
        self.limiter.denied = false;
    }

    /// Begins a hook that belongs to no exchange.
    pub(crate) fn enter_alone(&mut self, phase: Phase) {
        self.phase = phase;
        self.has_free_line = false;
        self.limiter.denied = false;
    }

    /// Ends a hook: gives the exchange back.
    pub(crate) fn leave(&mut self) -> Option<Box<Exchange>> {
        self.pause();
        self.phase = Phase::Outside;
        self.may_wait = false;
        self.exchange.take()
    }

    /// The instance stops running: printed lines end, the clock is let go.
    pub(crate) fn pause(&mut self) {
        self.end_lines();
        self.now = None;
    }

    /// Keeps the heads as they are, so that a fault later in this hook can undo its edits.
    pub(crate) fn remember_heads(&mut self) {
        if let (None, Some(exchange)) = (&self.heads_before, &self.exchange) {
            self.heads_before = Some(Box::new(Heads::of(exchange)));
        }
    }

    /// Keeps what plugins share, for the same reason.
    pub(crate) fn remember_shared(&mut self) {
        if let (None, Some(exchange)) = (&self.shared_before, &self.exchange) {
            let shared = &exchange.shared;
            self.shared_before = Some(Box::new(SharedBefore {
                attributes: shared.attributes.clone(),
                notes: shared.notes.clone(),
                principal: shared.principal.clone(),
                credential: shared.credential.clone(),
            }));
        }
    }

    /// The hook went well: its changes stay.
    pub(crate) fn keep(&mut self) {
        self.heads_before = None;
        self.shared_before = None;
    }

    /// A body hook went well: what it wrote for the hooks to come, for the exchange
    /// that it saw was a picture.
    pub(crate) fn keep_late(&mut self, exchange: &Exchange) {
        self.heads_before = None;
        let (Some(before), Some(late)) = (self.shared_before.take(), &exchange.shared.late) else { return };
        let mut late = late.lock().unwrap_or_else(PoisonError::into_inner);
        for (owner, note) in &exchange.shared.notes {
            if !before.notes.iter().any(|old| old.0 == *owner && old.1 == *note) {
                put(&mut late.notes, *owner, note);
            }
        }
        for (name, value) in &exchange.shared.attributes {
            if !before.attributes.iter().any(|old| old.0 == *name && old.1 == *value) {
                put(&mut late.attributes, Arc::clone(name), value);
            }
        }
    }

    /// The hook failed: what it changed by host calls is undone.
    pub(crate) fn undo(&mut self, exchange: &mut Exchange) {
        if let Some(heads) = self.heads_before.take() {
            heads.restore(exchange);
        }
        if let Some(before) = self.shared_before.take() {
            let shared = &mut exchange.shared;
            shared.attributes = before.attributes;
            shared.notes = before.notes;
            shared.principal = before.principal;
            shared.credential = before.credential;
        }
    }
}

/// Takes over what body hooks wrote.
pub(crate) fn take_late(exchange: &mut Exchange) {
    let shared = &mut exchange.shared;
    let Some(late) = &shared.late else { return };
    let late = std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner));
    late.notes.iter().for_each(|(owner, note)| put(&mut shared.notes, *owner, note));
    late.attributes.iter().for_each(|(name, value)| put(&mut shared.attributes, Arc::clone(name), value));
}

fn put<K: PartialEq>(list: &mut Vec<(K, Bytes)>, key: K, value: &Bytes) {
    match list.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value.clone(),
        None => list.push((key, value.clone())),
    }
}

/// A picture of an exchange, for hooks that run while it is elsewhere.
pub(crate) fn picture(exchange: &Exchange) -> Box<Exchange> {
    let Heads { request, response } = Heads::of(exchange);
    let shared = &exchange.shared;
    Box::new(Exchange {
        conn: Arc::clone(&exchange.conn),
        request,
        response,
        source: exchange.source.clone(),
        shared: Shared {
            attributes: shared.attributes.clone(),
            notes: shared.notes.clone(),
            principal: shared.principal.clone(),
            credential: shared.credential.clone(),
            ran: shared.ran,
            late: shared.late.clone(),
        },
        id: exchange.id,
        upstream: exchange.upstream.clone(),
        trace: exchange.trace.clone(),
        // The exchange itself goes there.
        home: None,
    })
}

struct Heads {
    request: RequestHead,
    response: Option<ResponseHead>,
}

struct SharedBefore {
    attributes: Vec<(Arc<str>, Bytes)>,
    notes: Vec<(u8, Bytes)>,
    principal: Option<Box<Principal>>,
    credential: Credential,
}

impl Heads {
    fn of(exchange: &Exchange) -> Self {
        let request = &exchange.request;
        let response = exchange.response.as_ref();
        Self {
            request: RequestHead {
                method: request.method.clone(),
                target: request.target.clone(),
                path: request.path.clone(),
                authority: request.authority.clone(),
                version: request.version,
                headers: request.headers.clone(),
                framing: request.framing,
                expects_continue: request.expects_continue,
                trace: None,
            },
            response: response.map(|head| ResponseHead {
                status: head.status,
                reason: head.reason.clone(),
                headers: head.headers.clone(),
            }),
        }
    }

    fn restore(self, exchange: &mut Exchange) {
        exchange.request = self.request;
        exchange.response = self.response;
    }
}

/// Holds an instance to its memory, and remembers that it was held.
pub(crate) struct Limiter {
    bytes_max: usize,
    table_elements_max: usize,
    /// Linear memory in use, all memories of the instance together.
    bytes: usize,
    /// True once a growth was denied: tells a death for want of memory from a panic.
    pub(crate) denied: bool,
    pub(crate) life: Life,
}

impl Limiter {
    /// True above 75 % of the limit: a plugin that leaks is replaced before it dies.
    pub(crate) fn above_watermark(&self) -> bool {
        self.bytes > self.bytes_max / 4 * 3
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let after = self.bytes.saturating_add(desired.saturating_sub(current));
        if after > self.bytes_max || maximum.is_some_and(|maximum| desired > maximum) {
            self.denied = true;
            return Ok(false);
        }
        self.bytes = after;
        self.life.holds(after);
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_elements_max && maximum.is_none_or(|maximum| desired <= maximum);
        self.denied |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

#[cfg(test)]
mod tests {
    use super::Phase;
    use crate::testing::{Ears, exchange, state};
    use std::sync::Arc;

    #[test]
    fn time_stands_still_in_a_hook_only() {
        let mut state = state(&Arc::new(Ears::default()), true);
        state.enter(Phase::Request, exchange("GET", "/"));
        let first = state.now().monotonic_ns;
        std::thread::yield_now();
        assert_eq!(state.now().monotonic_ns, first);
        drop(state.leave());
        assert!(state.now.is_none(), "the next hook asks anew");
    }
}
