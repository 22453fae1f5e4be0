//! The shards of a plugin, and their sum.

use super::shard::{Cell, End, HookCells, Shard};
use super::{Hook, Said, TIME_BOUNDS_NS};
use crate::metrics::FAULTS;
use std::sync::{Arc, Mutex, PoisonError};
use wire::fault::PluginFault;

/// What was seen of one plugin since the host's start, all workers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSeen {
    /// Name of the plugin.
    pub plugin: String,
    /// Hooks that were called or failed, in the order of a request.
    pub hooks: Vec<HookSeen>,
    /// Instances that are alive.
    pub instances: u64,
    /// Instances made, ever.
    pub instances_made: u64,
    /// Instances that ended, by reason; only reasons that happened.
    pub instances_ended: Vec<(&'static str, u64)>,
    /// Linear memory of the live instances, bytes.
    pub memory_bytes: u64,
}

/// What was seen of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSeen {
    /// Which one.
    pub hook: Hook,
    /// Calls into the plugin.
    pub calls: u64,
    /// What it said to them; only what it did say.
    pub decisions: Vec<(&'static str, u64)>,
    /// Faults by kind, only those that happened.
    pub faults: Vec<(PluginFault, u64)>,
    /// Timed calls by [`TIME_BOUNDS_NS`] (not cumulative), and above the last.
    pub times: Vec<u64>,
    /// Time of all timed calls together, nanoseconds.
    pub time_ns: u64,
}

/// All shards of a plugin, those of ended generations summed.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    live: Vec<Arc<Shard>>,
    past: Sum,
}

impl Book {
    /// A new shard, for one worker's part of a generation.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.settle();
        pages.live.push(Arc::clone(&shard));
        shard
    }

    /// The sum over all shards. Locks briefly; not for a request's path.
    pub(crate) fn read(&self, plugin: &str) -> PluginSeen {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.settle();
        let mut sum = pages.past;
        pages.live.iter().for_each(|shard| sum.add(shard));
        drop(pages);
        sum.told(plugin)
    }
}

impl Pages {
    /// Shards that nobody writes to any more become part of the past.
    fn settle(&mut self) {
        let past = &mut self.past;
        self.live.retain_mut(|shard| match Arc::get_mut(shard) {
            Some(last) => {
                past.add(last);
                false
            }
            None => true,
        });
    }
}

#[derive(Clone, Copy, Default)]
struct Sum {
    hooks: [HookSum; Hook::ALL.len()],
    made: u64,
    ended: [u64; End::ALL.len()],
    memory_bytes: u64,
}

#[derive(Clone, Copy, Default)]
struct HookSum {
    calls: u64,
    said: [u64; Said::ALL.len()],
    faults: [u64; FAULTS.len()],
    times: [u64; TIME_BOUNDS_NS.len() + 1],
    time_ns: u64,
}

fn plus<const N: usize>(sums: &mut [u64; N], cells: &[Cell; N]) {
    for (sum, cell) in sums.iter_mut().zip(cells) {
        *sum = sum.wrapping_add(cell.get());
    }
}

impl Sum {
    fn add(&mut self, shard: &Shard) {
        for (sum, cells) in self.hooks.iter_mut().zip(&shard.hooks) {
            sum.add(cells);
        }
        self.made = self.made.wrapping_add(shard.made.get());
        plus(&mut self.ended, &shard.ended);
        self.memory_bytes = self.memory_bytes.wrapping_add(shard.memory_bytes.get());
    }

    fn told(&self, plugin: &str) -> PluginSeen {
        let hooks = Hook::ALL.iter().zip(&self.hooks).map(|(hook, sum)| sum.told(*hook));
        // A shard may be read between two of its cells.
        let ended: u64 = self.ended.iter().sum();
        PluginSeen {
            plugin: plugin.to_owned(),
            hooks: hooks.filter(|hook| hook.calls > 0 || !hook.faults.is_empty()).collect(),
            instances: self.made.saturating_sub(ended),
            instances_made: self.made,
            instances_ended: happened(End::ALL.map(End::as_str), &self.ended),
            memory_bytes: self.memory_bytes,
        }
    }
}

impl HookSum {
    fn add(&mut self, cells: &HookCells) {
        self.calls = self.calls.wrapping_add(cells.calls.get());
        plus(&mut self.said, &cells.said);
        plus(&mut self.faults, &cells.faults);
        plus(&mut self.times, &cells.times);
        self.time_ns = self.time_ns.wrapping_add(cells.time_ns.get());
    }

    fn told(&self, hook: Hook) -> HookSeen {
        HookSeen {
            hook,
            calls: self.calls,
            decisions: happened(Said::ALL.map(Said::as_str), &self.said),
            faults: happened(FAULTS, &self.faults),
            times: self.times.to_vec(),
            time_ns: self.time_ns,
        }
    }
}

fn happened<T, const N: usize>(names: [T; N], counts: &[u64; N]) -> Vec<(T, u64)> {
    names.into_iter().zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
}
