//! The metrics page: what `status` tells, reloads, and what plugins count.

mod engine;
mod seen;
mod shared;

use crate::counters::Counters;
use crate::reload::Last;
use admin::StatusPage;
use admin::prometheus::{Kind, Metric, render};
use plugin::MetricValue;

/// A value before it is written.
struct Owned {
    name: String,
    help: String,
    kind: Kind,
    value: f64,
    labels: Vec<(String, String)>,
}

/// Prometheus' text format.
pub(super) fn page(page: &StatusPage, last: &Last, counters: &Counters) -> String {
    let mut more = vec![
        simple(
            "gatelodge_generations_alive",
            "Configurations that some request runs in.",
            Kind::Gauge,
            count(last.alive),
        ),
        simple("gatelodge_reloads_total", "Reloads carried out.", Kind::Counter, big(last.counts.0)),
        simple("gatelodge_reloads_refused_total", "Reloads refused.", Kind::Counter, big(last.counts.1)),
    ];
    more.extend(engine::of(page));
    more.extend(seen::of(counters));
    more.extend(plugins(counters));
    more.extend(shared::of(counters));
    let labels: Vec<Vec<(&str, &str)>> = more
        .iter()
        .map(|metric| metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    let metrics: Vec<Metric<'_>> = more
        .iter()
        .zip(&labels)
        .map(|(metric, labels)| Metric {
            name: &metric.name,
            help: &metric.help,
            kind: metric.kind,
            value: metric.value,
            labels,
        })
        .collect();
    render(page, &metrics)
}

fn simple(name: &str, help: &str, kind: Kind, value: f64) -> Owned {
    Owned { name: name.to_owned(), help: help.to_owned(), kind, value, labels: Vec::new() }
}

/// Faults of plugins, and the counters and gauges that they registered; a
/// histogram as the count and the sum of what was observed.
fn plugins(counters: &Counters) -> Vec<Owned> {
    let mut metrics: Vec<Owned> = counters
        .plugins
        .faults()
        .into_iter()
        .map(|fault| Owned {
            name: "gatelodge_plugin_faults_total".to_owned(),
            help: "Faults of a plugin by kind.".to_owned(),
            kind: Kind::Counter,
            value: big(fault.count),
            labels: vec![("plugin".to_owned(), fault.plugin), ("kind".to_owned(), fault.kind.as_str().to_owned())],
        })
        .collect();
    let of_plugins = |name: &str, help: &str, counts: Vec<(String, u64)>| {
        let make = |(plugin, count): (String, u64)| Owned {
            name: name.to_owned(),
            help: help.to_owned(),
            kind: Kind::Counter,
            value: big(count),
            labels: vec![("plugin".to_owned(), plugin)],
        };
        counts.into_iter().map(make).collect::<Vec<_>>()
    };
    let openings = counters.plugins.openings();
    metrics.extend(of_plugins("gatelodge_plugin_pauses_total", "Pauses of a plugin that keeps failing.", openings));
    let held_back = counters.plugins.held_back();
    metrics.extend(of_plugins("gatelodge_plugin_held_back_total", "Calls not made during such pauses.", held_back));
    for metric in counters.plugins.snapshot() {
        let stem = metric.name.trim_end_matches("_total");
        for (values, value) in &metric.series {
            let mut labels = vec![("plugin".to_owned(), metric.plugin.clone())];
            labels.extend(metric.labels.iter().cloned().zip(values.iter().cloned()));
            let mut put = |suffix: &str, kind, value| {
                let name = format!("gatelodge_plugin_{stem}{suffix}");
                metrics.push(Owned { name, help: metric.help.clone(), kind, value, labels: labels.clone() });
            };
            match value {
                MetricValue::Counter(value) => put("_total", Kind::Counter, big(*value)),
                MetricValue::Gauge(value) => put("", Kind::Gauge, *value),
                MetricValue::Histogram { buckets, sum } => {
                    put("_observations_total", Kind::Counter, big(buckets.iter().sum()));
                    put("_sum", Kind::Gauge, *sum);
                }
            }
        }
    }
    metrics
}

/// The page knows only floating point numbers; above 2^53 the last digits are lost.
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn big(value: u64) -> f64 {
    value as f64
}

fn count(value: usize) -> f64 {
    big(u64::try_from(value).unwrap_or(u64::MAX))
}
