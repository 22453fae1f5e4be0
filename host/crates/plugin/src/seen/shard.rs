//! One worker's counts of one plugin.

use super::{Hook, Said, TIME_BOUNDS_NS, TIMED_EVERY};
use crate::metrics::FAULTS;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::fault::PluginFault;

/// Why an instance is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum End {
    /// A hook of it failed.
    Fault,
    /// It has run `recycle_requests` hooks.
    Worn,
    /// It used more than three quarters of its memory.
    Memory,
    /// `instances_max` others are idle.
    Surplus,
    /// Its exchange is over (`isolation = "request"`).
    Exchange,
    /// Its generation is over.
    Generation,
    /// It was made to try the plugin at load.
    Trial,
}

impl End {
    pub(super) const ALL: [Self; 7] =
        [Self::Fault, Self::Worn, Self::Memory, Self::Surplus, Self::Exchange, Self::Generation, Self::Trial];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Worn => "worn",
            Self::Memory => "memory",
            Self::Surplus => "surplus",
            Self::Exchange => "exchange",
            Self::Generation => "generation",
            Self::Trial => "trial",
        }
    }
}

/// A number with one writer: a plain load and store costs less than a locked add.
#[derive(Default)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    fn add(&self, by: u64) {
        self.set(self.get().wrapping_add(by));
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one hook.
#[derive(Default)]
pub(super) struct HookCells {
    pub(super) calls: Cell,
    pub(super) said: [Cell; Said::ALL.len()],
    pub(super) faults: [Cell; FAULTS.len()],
    /// Timed calls by bound, the last above all bounds.
    pub(super) times: [Cell; TIME_BOUNDS_NS.len() + 1],
    pub(super) time_ns: Cell,
}

/// One worker's counts of one plugin. Only that worker's thread writes.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Shard {
    pub(super) hooks: [HookCells; Hook::ALL.len()],
    pub(super) made: Cell,
    pub(super) ended: [Cell; End::ALL.len()],
    /// Linear memory of live instances, bytes.
    pub(super) memory_bytes: Cell,
}

/// A call that has begun.
#[must_use = "a call that began ends"]
pub(crate) struct Begun {
    hook: Hook,
    /// `None` for a call that is not timed.
    at: Option<Instant>,
}

impl Shard {
    /// A call begins.
    pub(crate) fn begin(&self, hook: Hook) -> Begun {
        let calls = &self.cells(hook).calls;
        let before = calls.get();
        calls.set(before.wrapping_add(1));
        let timed = before.is_multiple_of(TIMED_EVERY) || hook == Hook::Configure;
        Begun { hook, at: timed.then(Instant::now) }
    }

    /// The call is over, well or not; its time if it was taken.
    pub(crate) fn end(&self, begun: Begun) -> Option<Duration> {
        let took = begun.at?.elapsed();
        let took_ns = nanoseconds(took);
        let cells = self.cells(begun.hook);
        let bucket = TIME_BOUNDS_NS.iter().position(|bound| took_ns <= *bound).unwrap_or(TIME_BOUNDS_NS.len());
        if let Some(cell) = cells.times.get(bucket) {
            cell.add(1);
        }
        cells.time_ns.add(took_ns);
        Some(took)
    }

    /// What the plugin said, once that was carried out.
    pub(crate) fn said(&self, hook: Hook, said: Said) {
        if let Some(cell) = self.cells(hook).said.get(said as usize) {
            cell.add(1);
        }
    }

    /// The hook failed, before, in or after its call.
    pub(crate) fn fault(&self, hook: Hook, kind: PluginFault) {
        let cells = FAULTS.iter().zip(&self.cells(hook).faults);
        if let Some((_, cell)) = cells.into_iter().find(|(known, _)| **known == kind) {
            cell.add(1);
        }
    }

    /// An instance comes to life.
    pub(crate) fn birth(self: &Arc<Self>) -> Life {
        self.made.add(1);
        Life { shard: Arc::clone(self), bytes: 0, end: End::Fault }
    }

    fn cells(&self, hook: Hook) -> &HookCells {
        // As many as there are hooks.
        &self.hooks[hook as usize]
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// An instance's life, counted: it ends with the instance.
pub(crate) struct Life {
    shard: Arc<Shard>,
    bytes: u64,
    end: End,
}

impl Life {
    /// The instance's linear memory has this size now.
    pub(crate) fn holds(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let rest = self.shard.memory_bytes.get().wrapping_sub(self.bytes);
        self.shard.memory_bytes.set(rest.wrapping_add(bytes));
        self.bytes = bytes;
    }

    /// Why it will be dropped; without a word it is for a fault.
    pub(crate) fn ends(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.holds(0);
        if let Some(cell) = self.shard.ended.get(self.end as usize) {
            cell.add(1);
        }
    }
}
