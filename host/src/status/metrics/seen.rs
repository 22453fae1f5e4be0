//! What the host saw of each plugin's hooks and instances.

use super::{Owned, big};
use crate::counters::Counters;
use admin::prometheus::Kind;
use plugin::{HookSeen, PluginSeen, TIME_BOUNDS_NS};

/// Nanoseconds of a second.
const SECOND_NS: f64 = 1e9;

/// All of it. At most as many series as there are plugins, hooks and words for them.
pub(super) fn of(counters: &Counters) -> Vec<Owned> {
    let mut page = Page(Vec::new());
    for plugin in counters.plugins.seen() {
        page.instances(&plugin);
        plugin.hooks.iter().for_each(|hook| page.hook(&plugin.plugin, hook));
    }
    page.0
}

struct Page(Vec<Owned>);

impl Page {
    fn put(&mut self, name: &str, help: &str, kind: Kind, value: f64, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let name = format!("gatelodge_wasm_{name}");
        self.0.push(Owned { name, help: help.to_owned(), kind, value, labels });
    }

    fn instances(&mut self, seen: &PluginSeen) {
        let labels = [("plugin", seen.plugin.as_str())];
        self.put("instances", "Live instances of a plugin.", Kind::Gauge, big(seen.instances), &labels);
        let help = "Linear memory of the live instances of a plugin.";
        self.put("instance_memory_bytes", help, Kind::Gauge, big(seen.memory_bytes), &labels);
        let help = "Instances made of a plugin, the trial at load included.";
        self.put("instances_made_total", help, Kind::Counter, big(seen.instances_made), &labels);
        for (reason, count) in &seen.instances_ended {
            let help = "Instances of a plugin that ended, by reason.";
            self.put("instances_ended_total", help, Kind::Counter, big(*count), &[labels[0], ("reason", reason)]);
        }
    }

    fn hook(&mut self, plugin: &str, seen: &HookSeen) {
        let labels = [("plugin", plugin), ("hook", seen.hook.as_str())];
        self.put("hook_calls_total", "Calls into a plugin by hook.", Kind::Counter, big(seen.calls), &labels);
        for (said, count) in &seen.decisions {
            let help = "What a plugin said to calls that went well.";
            let labels = [labels[0], labels[1], ("decision", said)];
            self.put("hook_decisions_total", help, Kind::Counter, big(*count), &labels);
        }
        for (kind, count) in &seen.faults {
            let help = "Faults of a plugin by hook and kind.";
            let labels = [labels[0], labels[1], ("kind", kind.as_str())];
            self.put("hook_faults_total", help, Kind::Counter, big(*count), &labels);
        }
        self.times(&labels, seen);
    }

    fn times(&mut self, labels: &[(&str, &str); 2], seen: &HookSeen) {
        let help = "Time of a hook: of one call in 16, of each configure.";
        let mut sum = 0;
        for (at, count) in seen.times.iter().enumerate() {
            sum += count;
            let le = TIME_BOUNDS_NS.get(at).map_or_else(|| "+Inf".to_owned(), |ns| (big(*ns) / SECOND_NS).to_string());
            let labels = [labels[0], labels[1], ("le", le.as_str())];
            self.put("hook_seconds_bucket", help, Kind::Histogram, big(sum), &labels);
        }
        self.put("hook_seconds_sum", help, Kind::Histogram, big(seen.time_ns) / SECOND_NS, labels);
        self.put("hook_seconds_count", help, Kind::Histogram, big(sum), labels);
    }
}
