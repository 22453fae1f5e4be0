//! What a request holds on to from its first to its last byte.

use observe::Log;
use observe::metrics::Shard;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use wire::{Kind, RequestHead, RequestId, TraceKey};

/// What `handlers` and request filtering of web.config say of a request.
pub trait Site {
    /// Decides on an admitted request; `path` is its canonical path below the
    /// app's virtual path, with a leading slash.
    ///
    /// # Errors
    /// The reason why the backend must not see it: 404, 405 or 413.
    fn decide(&self, head: &RequestHead, path: &str) -> Result<Route, Kind>;
}

/// A request that a handler mapping sends to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Longest request body, bytes (`requestLimits maxAllowedContentLength`; default 30,000,000).
    pub body_bytes_max: u64,
    /// Take the backend's `Server` field off (`requestFiltering removeServerHeader`; default false).
    pub remove_server_header: bool,
}

/// Rules that hold for the whole host.
#[derive(Clone)]
pub struct Rules {
    /// The app's virtual path without a trailing slash; empty for a site root.
    pub path_base: Box<str>,
    /// Who sends this is told what becomes of its request; `None`: nobody is (the default).
    pub trace_key: Option<TraceKey>,
}

/// One worker's view of one configuration: the rooms a request passes.
pub struct Generation<F, P, S> {
    /// The way to the backend.
    pub forward: F,
    /// The worker's plugins.
    pub plugins: P,
    /// Handler mapping and request filtering.
    pub site: S,
    /// Rules of the host.
    pub rules: Rules,
    /// Where failures are told.
    pub log: Log,
    /// The worker's counters.
    pub counters: Arc<Shard>,
}

/// The pipeline of one worker: hands each request the generation of its moment.
pub struct Pipeline<F, P, S> {
    current: RefCell<Rc<Generation<F, P, S>>>,
    next_id: Cell<u64>,
}

impl<F, P, S> Pipeline<F, P, S> {
    /// A pipeline for worker number `worker`.
    #[must_use]
    pub fn new(generation: Generation<F, P, S>, worker: u16) -> Self {
        Self { current: RefCell::new(Rc::new(generation)), next_id: Cell::new(RequestId::new(worker, 1).0) }
    }

    /// Lets later requests see `generation`; running ones end in the old.
    pub fn swap(&self, generation: Generation<F, P, S>) {
        self.current.replace(Rc::new(generation));
    }

    pub(crate) fn current(&self) -> Rc<Generation<F, P, S>> {
        Rc::clone(&self.current.borrow())
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.replace(self.next_id.get().wrapping_add(1))
    }
}
