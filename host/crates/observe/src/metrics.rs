//! Counters: one shard per worker, summed when somebody reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names of all counters: `host_<noun>_<unit>_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Requests admitted.
    Requests,
    /// Requests refused by admission.
    Refusals,
    /// Requests that ended in a fault of the backend.
    BackendFaults,
    /// Requests that ended in a fault of a plugin.
    PluginFaults,
    /// Requests that ended in a fault of the host.
    HostFaults,
    /// Clients that went away before their answer was complete.
    ClientsGone,
}

/// All counters with their names.
pub const COUNTERS: [(Counter, &str); 6] = [
    (Counter::Requests, "host_requests_total"),
    (Counter::Refusals, "host_refusals_total"),
    (Counter::BackendFaults, "host_backend_faults_total"),
    (Counter::PluginFaults, "host_plugin_faults_total"),
    (Counter::HostFaults, "host_faults_total"),
    (Counter::ClientsGone, "host_clients_gone_total"),
];

/// One worker's counters. Only that worker writes; anyone may read.
#[derive(Default)]
#[repr(align(128))]
pub struct Shard([AtomicU64; COUNTERS.len()]);

impl Shard {
    /// Counts one.
    pub fn count(&self, counter: Counter) {
        if let Some(cell) = self.0.get(counter as usize) {
            // One writer per shard: a plain load and store costs less than a locked add.
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// The value of a counter.
    #[must_use]
    pub fn value(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }
}

/// Sums over workers.
pub fn totals<'a>(shards: impl Iterator<Item = &'a Shard>) -> [(&'static str, u64); COUNTERS.len()] {
    let mut sums = COUNTERS.map(|(_, name)| (name, 0_u64));
    for shard in shards {
        for ((counter, _), sum) in COUNTERS.iter().zip(&mut sums) {
            sum.1 = sum.1.wrapping_add(shard.value(*counter));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::{Counter, Shard, totals};

    #[test]
    fn shards_are_summed() {
        let shards = [Shard::default(), Shard::default()];
        shards[0].count(Counter::Requests);
        shards[1].count(Counter::Requests);
        shards[1].count(Counter::HostFaults);
        let sums = totals(shards.iter());
        assert_eq!(sums[0], ("host_requests_total", 2));
        assert_eq!(sums[4], ("host_faults_total", 1));
    }
}
