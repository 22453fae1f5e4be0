//! What the host counts of plugins' bodies, timers, calls and stores.

use super::{Owned, big};
use crate::counters::Counters;
use admin::prometheus::Kind;

/// All of it.
pub(super) fn of(counters: &Counters) -> Vec<Owned> {
    let mut metrics = Vec::new();
    let mut put = |name: &str, help: &str, kind, value, label: &str, of: &str| {
        let labels = vec![(label.to_owned(), of.to_owned())];
        metrics.push(Owned { name: name.to_owned(), help: help.to_owned(), kind, value: big(value), labels });
    };
    for (plugin, count) in counters.plugins.held_over() {
        let help = "Bodies of which a plugin was to hold more than body_held_bytes_max.";
        put("gatelodge_bodies_held_over_total", help, Kind::Counter, count, "plugin", &plugin);
    }
    for ticks in counters.plugins.ticks() {
        let help = "Ticks of a plugin's timer that began.";
        put("gatelodge_timer_ticks_total", help, Kind::Counter, ticks.begun, "plugin", &ticks.plugin);
        let help = "Ticks that were left out: another one still ran, or the plugin was paused for its faults.";
        put("gatelodge_timer_ticks_skipped_total", help, Kind::Counter, ticks.skipped, "plugin", &ticks.plugin);
    }
    for store in counters.stores.usage() {
        let help = "Bytes in use of a store of plugins, as they count.";
        put("gatelodge_store_bytes", help, Kind::Gauge, store.bytes, "store", &store.name);
        put("gatelodge_store_bytes_max", "Most bytes of a store.", Kind::Gauge, store.bytes_max, "store", &store.name);
        let help = "Entries that had to go before their time.";
        put("gatelodge_store_evictions_total", help, Kind::Counter, store.evicted, "store", &store.name);
        let Some(disk) = store.disk else { continue };
        let help = "1 while a store's file can be used; 0: it is in memory only.";
        put("gatelodge_store_disk_works", help, Kind::Gauge, disk.works.into(), "store", &store.name);
        let help = "Times that changes of a store were written to disk.";
        put("gatelodge_store_flushes_total", help, Kind::Counter, disk.flushes, "store", &store.name);
        let help = "Times that opening or writing a store's file failed.";
        put("gatelodge_store_disk_failures_total", help, Kind::Counter, disk.failures, "store", &store.name);
        let help = "Entries of a store whose change is not on disk yet.";
        put("gatelodge_store_unwritten_entries", help, Kind::Gauge, disk.unwritten, "store", &store.name);
    }
    metrics.extend(calls(counters));
    metrics
}

/// Calls of plugins to upstreams.
fn calls(counters: &Counters) -> Vec<Owned> {
    let mut metrics = Vec::new();
    for seen in counters.plugins.upstreams() {
        let mut put = |name: &str, help: &str, kind, value, reason: Option<&str>| {
            let labels = [("plugin", Some(&*seen.plugin)), ("upstream", Some(&*seen.upstream)), ("reason", reason)];
            let labels = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
            metrics.push(Owned { name: name.to_owned(), help: help.to_owned(), kind, value, labels: labels.collect() });
        };
        let help = "Calls of a plugin to an upstream.";
        put("gatelodge_wasm_http_calls_total", help, Kind::Counter, big(seen.calls), None);
        let help = "Calls of a plugin to an upstream that wait now.";
        put("gatelodge_wasm_http_calls_waiting", help, Kind::Gauge, big(seen.waiting), None);
        let help = "Time of all calls of a plugin to an upstream that are over, seconds.";
        put("gatelodge_wasm_http_seconds_total", help, Kind::Counter, big(seen.nanoseconds) / 1e9, None);
        for (reason, count) in seen.without_reply {
            let help = "Calls of a plugin to an upstream that ended without a reply.";
            put("gatelodge_wasm_http_failures_total", help, Kind::Counter, big(count), Some(reason));
        }
    }
    metrics
}
