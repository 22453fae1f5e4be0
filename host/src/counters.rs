//! What the rooms count, as lines of the log: at a stop, and when asked (`SIGUSR1`).

use observe::event::{Event, Fields};
use observe::metrics::{Shard, totals};
use observe::{Level, Log};
use plugin::{MetricValue, Metrics, Stores};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most of a plugin's own series in one line; the line says how many more there are.
const SERIES_TOLD_MAX: usize = 100;

/// One worker's counters: it writes them, this module reads them.
#[derive(Clone, Default)]
pub(crate) struct WorkerCounters {
    /// The front door's.
    pub(crate) edge: Arc<edge::Counters>,
    /// Forwarding's.
    pub(crate) forward: Arc<forward::Counters>,
    /// The pipeline's.
    pub(crate) shard: Arc<Shard>,
}

/// Everything that is counted in the house.
pub(crate) struct Counters {
    /// One per worker.
    pub(crate) workers: Vec<WorkerCounters>,
    /// What plugins count, and their faults.
    pub(crate) plugins: Arc<Metrics>,
    /// What plugins keep.
    pub(crate) stores: Arc<Stores>,
}

/// Names of the front door's counters; each stands for a limit or an event of a connection.
type EdgeCounter = (&'static str, fn(&edge::Counters) -> &AtomicU64);
const EDGE: [EdgeCounter; 14] = [
    ("host_connections_accepted_total", |edge| &edge.accepted),
    ("host_connections_closed_total", |edge| &edge.closed),
    ("host_connections_over_budget_total", |edge| &edge.over_budget),
    ("host_accept_failures_total", |edge| &edge.accept_failures),
    ("host_heads_parsed_total", |edge| &edge.requests),
    ("host_heads_refused_total", |edge| &edge.refused),
    ("host_heads_malformed_total", |edge| &edge.malformed),
    ("host_first_byte_timeouts_total", |edge| &edge.first_byte_timeouts),
    ("host_head_timeouts_total", |edge| &edge.head_timeouts),
    ("host_keep_alive_timeouts_total", |edge| &edge.idle_timeouts),
    ("host_body_timeouts_total", |edge| &edge.body_timeouts),
    ("host_write_timeouts_total", |edge| &edge.write_timeouts),
    ("host_replies_broken_total", |edge| &edge.broken_replies),
    ("host_connection_panics_total", |edge| &edge.panics),
];

impl Counters {
    /// Tells all of them: one line of the host, one of each plugin that counted or failed.
    pub(crate) fn tell(&self, log: &Log) {
        log.tell(&Counted { name: "counters", plugin: None, values: self.host(log.dropped_lines()) });
        for (plugin, values) in self.plugins() {
            log.tell(&Counted { name: "plugin-counters", plugin: Some(plugin), values });
        }
    }

    /// The host's own, by name; `lines_dropped` is the log's.
    pub(crate) fn host(&self, lines_dropped: u64) -> Vec<(String, u64)> {
        let mut values: Vec<(String, u64)> = totals(self.workers.iter().map(|worker| &*worker.shard))
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, counter) in EDGE {
            let sum = self.workers.iter().map(|worker| counter(&worker.edge).load(Ordering::Relaxed)).sum();
            values.push((name.to_owned(), sum));
        }
        let forward = |count: fn(&forward::Counters) -> u64| -> u64 {
            self.workers.iter().map(|worker| count(&worker.forward)).sum()
        };
        values.push(("host_backend_connects_total".to_owned(), forward(forward::Counters::connects)));
        values.push(("host_backend_reuses_total".to_owned(), forward(forward::Counters::reuses)));
        values.push(("host_backend_retries_total".to_owned(), forward(forward::Counters::retries)));
        values.push(("host_backend_resends_total".to_owned(), forward(forward::Counters::resends)));
        values.push(("host_backend_ejections_total".to_owned(), forward(forward::Counters::ejections)));
        values.push(("host_backend_affinity_hits_total".to_owned(), forward(forward::Counters::affinity_hits)));
        let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
        for (class, count) in self.workers.iter().flat_map(|worker| worker.forward.faults()) {
            *faults.entry(class).or_default() += count;
        }
        let named =
            |(class, count): (&str, u64)| (format!("host_forward_faults_{}_total", class.replace('-', "_")), count);
        values.extend(faults.into_iter().map(named));
        values.push(("host_log_lines_dropped_total".to_owned(), lines_dropped));
        values
    }

    fn plugins(&self) -> BTreeMap<String, Vec<(String, u64)>> {
        let mut plugins: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for fault in self.plugins.faults() {
            let name = format!("plugin_faults_{}_total", fault.kind.as_str().replace('-', "_"));
            plugins.entry(fault.plugin).or_default().push((name, fault.count));
        }
        for (plugin, count) in self.plugins.held_over() {
            plugins.entry(plugin).or_default().push(("plugin_bodies_held_over_total".to_owned(), count));
        }
        for ticks in self.plugins.ticks() {
            let values = plugins.entry(ticks.plugin).or_default();
            values.push(("plugin_timer_ticks_total".to_owned(), ticks.begun));
            values.push(("plugin_timer_ticks_skipped_total".to_owned(), ticks.skipped));
        }
        for (suffix, counts) in [("pauses", self.plugins.openings()), ("held_back", self.plugins.held_back())] {
            for (plugin, count) in counts {
                plugins.entry(plugin).or_default().push((format!("plugin_{suffix}_total"), count));
            }
        }
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        for metric in self.plugins.snapshot() {
            let values = plugins.entry(metric.plugin.clone()).or_default();
            for (labels, value) in metric.series {
                // Gauges and histograms are no counts of events: they wait for a page of their own.
                let MetricValue::Counter(count) = value else { continue };
                if values.len() >= SERIES_TOLD_MAX {
                    *left_out.entry(metric.plugin.clone()).or_default() += 1;
                } else {
                    values.push((series_name(&metric.name, &metric.labels, &labels), count));
                }
            }
        }
        for (plugin, count) in left_out {
            plugins.entry(plugin).or_default().push(("series_left_out".to_owned(), count));
        }
        plugins.retain(|_, values| !values.is_empty());
        plugins
    }
}

/// `name`, or `name{label=value,...}`.
fn series_name(name: &str, labels: &[String], values: &[String]) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let pairs: Vec<String> = labels.iter().zip(values).map(|(label, value)| format!("{label}={value}")).collect();
    format!("{name}{{{}}}", pairs.join(","))
}

/// Counts since the host's start.
struct Counted {
    name: &'static str,
    plugin: Option<String>,
    values: Vec<(String, u64)>,
}

impl Event for Counted {
    fn level(&self) -> Level {
        Level::Info
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn message(&self) -> String {
        "counts since the start".to_owned()
    }
    fn fields(&self, fields: &mut Fields) {
        if let Some(plugin) = &self.plugin {
            fields.text("plugin", plugin.as_str());
        }
        for (name, value) in &self.values {
            fields.number(name, *value);
        }
    }
}

#[cfg(test)]
mod tests;
