use super::{Counters, EDGE, WorkerCounters, series_name};
use observe::metrics::Counter;
use plugin::{Metrics, Stores};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

#[test]
fn workers_are_summed_under_names_that_follow_the_rule() {
    let counters = Counters {
        workers: vec![WorkerCounters::default(), WorkerCounters::default()],
        plugins: Metrics::new(),
        stores: Stores::new(),
    };
    for worker in &counters.workers {
        worker.shard.count(Counter::Requests);
        for (place, (_, counter)) in EDGE.iter().enumerate() {
            counter(&worker.edge).fetch_add(place as u64 + 1, Ordering::Relaxed);
        }
    }
    let values = counters.host(7);
    let value = |name: &str| values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    assert_eq!(value("host_requests_total"), Some(2));
    for (place, (name, _)) in EDGE.iter().enumerate() {
        assert_eq!(value(name), Some(2 * (place as u64 + 1)), "{name}: a counter of its own");
    }
    assert_eq!(value("host_backend_connects_total"), Some(0));
    assert_eq!(value("host_forward_faults_queue_full_total"), Some(0));
    assert_eq!(value("host_log_lines_dropped_total"), Some(7));
    let names: BTreeSet<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), values.len(), "each name stands once");
    for name in names {
        assert!(name.starts_with("host_") && name.ends_with("_total") && !name.contains('-'), "{name}");
    }
}

#[test]
fn plugins_that_did_nothing_have_no_line() {
    let counters = Counters { workers: Vec::new(), plugins: Metrics::new(), stores: Stores::new() };
    assert!(counters.plugins().is_empty());
}

#[test]
fn a_series_is_told_with_its_labels() {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    assert_eq!(series_name("seen_total", &[], &[]), "seen_total");
    let labels = texts(&["method", "code"]);
    assert_eq!(series_name("seen_total", &labels, &texts(&["GET", "200"])), "seen_total{method=GET,code=200}");
}

#[test]
fn every_counter_is_documented() {
    let page = include_str!("../../../docs/configuration.md");
    let counters =
        Counters { workers: vec![WorkerCounters::default()], plugins: Metrics::new(), stores: Stores::new() };
    for (name, _) in counters.host(0) {
        let class = name.strip_prefix("host_forward_faults_").and_then(|rest| rest.strip_suffix("_total"));
        let shown = class.unwrap_or(&name);
        assert!(page.contains(&format!("`{shown}`")), "docs/configuration.md lacks {shown}");
    }
}
