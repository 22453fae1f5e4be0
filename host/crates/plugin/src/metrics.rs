//! Counters of plugins: registered by name, written by atomics, read by a snapshot.

use crate::outbound::{Counts, UpstreamSeen};
use crate::seen::{Book, PluginSeen, Shard};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wire::fault::PluginFault;

/// Most metrics of one plugin; further ones get a handle that counts nothing.
pub(crate) const METRICS_MAX: usize = 64;
/// Most series of one plugin, all its metrics together; further ones count nothing.
pub(crate) const SERIES_MAX: usize = 1_000;
/// Most labels of a metric.
const LABELS_MAX: usize = 8;
/// Longest label value, bytes; longer ones are cut.
const VALUE_BYTES_MAX: usize = 128;
/// Most bounds of a histogram.
const BOUNDS_MAX: usize = 64;
/// The handle of what was not registered.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// All plugins' metrics; outlives generations, so that a reload loses no count.
#[derive(Default)]
pub struct Metrics {
    plugins: Mutex<BTreeMap<String, Arc<PluginMetrics>>>,
}

/// What a metric measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Any number.
    Gauge,
    /// Counts per upper bound.
    Histogram(Vec<f64>),
}

/// A metric at one moment.
#[derive(Clone, Debug)]
pub struct MetricSnapshot {
    /// Name of the plugin.
    pub plugin: String,
    /// Name of the metric.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// What it measures.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// Label values and numbers.
    pub series: Vec<(Vec<String>, Value)>,
}

/// The number of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram {
        /// Observations up to each bound (not cumulative), and above the last.
        buckets: Vec<u64>,
        /// Sum of all observed values.
        sum: f64,
    },
}

/// Faults of a plugin since the host's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultCount {
    /// Name of the plugin.
    pub plugin: String,
    /// Kind of fault.
    pub kind: PluginFault,
    /// How many.
    pub count: u64,
}

/// Ticks of a plugin's timer since the host's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickCount {
    /// Name of the plugin.
    pub plugin: String,
    /// Ticks that began, those that failed included.
    pub begun: u64,
    /// Ticks that were due while another one ran, or while the plugin was paused for its faults.
    pub skipped: u64,
}

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// All metrics of all plugins. Locks briefly; not for a request's path.
    #[must_use]
    pub fn snapshot(&self) -> Vec<MetricSnapshot> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.iter().flat_map(|(name, metrics)| metrics.snapshot(name)).collect()
    }

    /// Faults of all plugins, only those that happened.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultCount> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = plugins.iter().flat_map(|(name, metrics)| {
            FAULTS.iter().zip(&metrics.faults).map(|(kind, count)| FaultCount {
                plugin: name.clone(),
                kind: *kind,
                count: count.load(Ordering::Relaxed),
            })
        });
        counts.filter(|fault| fault.count > 0).collect()
    }

    /// Per plugin that reached it: how often more of a body was to be held than
    /// `body_held_bytes_max`.
    #[must_use]
    pub fn held_over(&self) -> Vec<(String, u64)> {
        self.above_zero(|metrics| &metrics.held_over)
    }

    /// Per plugin that was held back since it kept failing: calls that were not made.
    #[must_use]
    pub fn held_back(&self) -> Vec<(String, u64)> {
        self.above_zero(|metrics| &metrics.held_back)
    }

    /// Per plugin: how often a worker began to hold it back, failed probes counted.
    #[must_use]
    pub fn openings(&self) -> Vec<(String, u64)> {
        self.above_zero(|metrics| &metrics.openings)
    }

    fn above_zero(&self, counter: fn(&PluginMetrics) -> &AtomicU64) -> Vec<(String, u64)> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = plugins.iter().map(|(name, metrics)| (name.clone(), counter(metrics).load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Ticks of all plugins that have a timer.
    #[must_use]
    pub fn ticks(&self) -> Vec<TickCount> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = plugins.iter().map(|(name, metrics)| TickCount {
            plugin: name.clone(),
            begun: metrics.ticks.load(Ordering::Relaxed),
            skipped: metrics.ticks_skipped.load(Ordering::Relaxed),
        });
        counts.filter(|ticks| ticks.begun + ticks.skipped > 0).collect()
    }

    /// Calls of all plugins to their upstreams, by name. Locks briefly; not for a request's path.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamSeen> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(plugin, metrics): (&String, &Arc<PluginMetrics>)| -> Vec<UpstreamSeen> {
            let upstreams = metrics.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
            upstreams.iter().map(|(name, counts)| counts.read(plugin, name)).collect()
        };
        plugins.iter().flat_map(of).collect()
    }

    /// What the host saw of all plugins, by name. Locks briefly; not for a request's path.
    #[must_use]
    pub fn seen(&self) -> Vec<PluginSeen> {
        let plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        plugins.iter().map(|(name, metrics)| metrics.seen.read(name)).collect()
    }

    /// The metrics of one plugin; those of an earlier generation go on.
    pub(crate) fn plugin(&self, name: &str) -> Arc<PluginMetrics> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(plugins.entry(name.to_owned()).or_default())
    }
}

pub(crate) const FAULTS: [PluginFault; 5] =
    [PluginFault::Trap, PluginFault::Deadline, PluginFault::Memory, PluginFault::BadOutput, PluginFault::Configure];

/// One plugin's metrics.
#[derive(Default)]
pub(crate) struct PluginMetrics {
    table: Mutex<Table>,
    faults: [AtomicU64; 5],
    /// Bodies of which more was to be held than `body_held_bytes_max`.
    held_over: AtomicU64,
    ticks: AtomicU64,
    ticks_skipped: AtomicU64,
    seen: Book,
    /// Calls that were not made while it was held back.
    held_back: AtomicU64,
    /// How often a worker began to hold it back.
    openings: AtomicU64,
    /// By the upstream's name.
    upstreams: Mutex<BTreeMap<String, Arc<Counts>>>,
}

#[derive(Default)]
struct Table {
    metrics: Vec<Metric>,
    /// Metrics and series share one number space: a metric without labels is its own series.
    handles: Vec<Handle>,
}

struct Metric {
    name: String,
    help: String,
    kind: Kind,
    labels: Vec<String>,
    handle: u32,
    series: Vec<(Vec<String>, u32)>,
}

enum Handle {
    /// A metric with labels, by its place.
    Metric(usize),
    Series(Arc<Series>),
    /// Of a metric that was defined anew.
    Gone,
}

/// A number that plugins write.
pub(crate) struct Series {
    bounds: Vec<f64>,
    /// A counter's value, a gauge's bits, or one per bucket.
    cells: Vec<AtomicU64>,
    sum: AtomicU64,
    kind: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Counter,
    Gauge,
    Histogram,
}

impl PluginMetrics {
    /// Where one worker counts what it sees of the plugin.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        self.seen.shard()
    }

    /// Counts a body of which more was to be held than may be.
    pub(crate) fn count_held_over(&self) {
        self.held_over.fetch_add(1, Ordering::Relaxed);
    }

    /// Where calls to an upstream are counted; those of an earlier generation go on.
    pub(crate) fn upstream(&self, name: &str) -> Arc<Counts> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(upstreams.entry(name.to_owned()).or_default())
    }

    /// Counts a tick that begins.
    pub(crate) fn count_tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts ticks that were due and did not begin.
    pub(crate) fn count_ticks_skipped(&self, count: u64) {
        self.ticks_skipped.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a call that was not made.
    pub(crate) fn count_held_back(&self) {
        self.held_back.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the beginning of a pause.
    pub(crate) fn count_opening(&self) {
        self.openings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_fault(&self, kind: PluginFault) {
        if let Some((_, count)) = FAULTS.iter().zip(&self.faults).find(|(known, _)| **known == kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The handle of this metric: the same for the same definition. `None` if the
    /// definition is not allowed, or differs from an earlier one and `replace` is false.
    pub(crate) fn register(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: Vec<String>,
        replace: bool,
    ) -> Option<u32> {
        if !is_allowed(&kind, name, &labels) {
            return None;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = table.metrics.iter().position(|metric| metric.name == name) {
            let known = table.metrics.get(at)?;
            if known.kind == kind && known.labels == labels {
                return Some(known.handle);
            }
            if !replace {
                return None;
            }
            table.forget(at);
        }
        table.define(kind, name, crate::text::escape(help, 256), labels)
    }

    /// The handle of a series; `None` if the metric is unknown, the values do not
    /// fit its labels, or there are too many series.
    pub(crate) fn series(&self, metric: u32, values: &[String]) -> Option<u32> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Handle::Metric(at) = table.handles.get(usize::try_from(metric).ok()?)? else {
            return values.is_empty().then_some(metric);
        };
        let at = *at;
        let full = table.series_count() >= SERIES_MAX;
        let metric = table.metrics.get(at)?;
        if values.len() != metric.labels.len() {
            return None;
        }
        let values: Vec<String> = values.iter().map(|value| crate::text::escape(value, VALUE_BYTES_MAX)).collect();
        if let Some((_, handle)) = metric.series.iter().find(|(known, _)| *known == values) {
            return Some(*handle);
        }
        if full {
            return None;
        }
        let series = Arc::new(Series::new(&metric.kind));
        let handle = table.push(Handle::Series(series))?;
        table.metrics.get_mut(at)?.series.push((values, handle));
        Some(handle)
    }

    pub(crate) fn find(&self, id: u32) -> Option<Arc<Series>> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.find(id)
    }

    fn snapshot(&self, plugin: &str) -> Vec<MetricSnapshot> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = table.metrics.iter().map(|metric| MetricSnapshot {
            plugin: plugin.to_owned(),
            name: metric.name.clone(),
            help: metric.help.clone(),
            kind: metric.kind.clone(),
            labels: metric.labels.clone(),
            series: metric
                .series
                .iter()
                .filter_map(|(values, handle)| Some((values.clone(), table.find(*handle)?.value())))
                .collect(),
        });
        metrics.collect()
    }
}

impl Table {
    fn define(&mut self, kind: Kind, name: &str, help: String, labels: Vec<String>) -> Option<u32> {
        if self.metrics.len() >= METRICS_MAX || self.series_count() >= SERIES_MAX {
            return None;
        }
        let (handle, series) = if labels.is_empty() {
            let handle = self.push(Handle::Series(Arc::new(Series::new(&kind))))?;
            (handle, vec![(Vec::new(), handle)])
        } else {
            (self.push(Handle::Metric(self.metrics.len()))?, Vec::new())
        };
        self.metrics.push(Metric { name: name.to_owned(), help, kind, labels, handle, series });
        Some(handle)
    }

    /// Drops a metric, its place is kept by none of its old handles.
    fn forget(&mut self, at: usize) {
        let metric = self.metrics.remove(at);
        for handle in metric.series.iter().map(|(_, handle)| *handle).chain([metric.handle]) {
            if let Some(place) = usize::try_from(handle).ok().and_then(|at| self.handles.get_mut(at)) {
                *place = Handle::Gone;
            }
        }
        for handle in &mut self.handles {
            if let Handle::Metric(place) = handle
                && *place > at
            {
                *place -= 1;
            }
        }
    }

    fn push(&mut self, handle: Handle) -> Option<u32> {
        // Definitions that change at each reload must not grow this for ever.
        if self.handles.len() >= 16 * SERIES_MAX {
            return None;
        }
        let id = u32::try_from(self.handles.len()).ok()?;
        self.handles.push(handle);
        Some(id)
    }

    fn find(&self, id: u32) -> Option<Arc<Series>> {
        match self.handles.get(usize::try_from(id).ok()?)? {
            Handle::Series(series) => Some(Arc::clone(series)),
            Handle::Metric(_) | Handle::Gone => None,
        }
    }

    fn series_count(&self) -> usize {
        self.metrics.iter().map(|metric| metric.series.len()).sum()
    }
}

impl Series {
    fn new(kind: &Kind) -> Self {
        let (bounds, cells, kind) = match kind {
            Kind::Counter => (Vec::new(), 1, Shape::Counter),
            Kind::Gauge => (Vec::new(), 1, Shape::Gauge),
            Kind::Histogram(bounds) => (bounds.clone(), bounds.len() + 1, Shape::Histogram),
        };
        let cells = std::iter::repeat_with(|| AtomicU64::new(0)).take(cells).collect();
        Self { bounds, cells, sum: AtomicU64::new(0), kind }
    }

    pub(crate) fn add(&self, by: u64) {
        if let (Shape::Counter, Some(cell)) = (self.kind, self.cells.first()) {
            cell.fetch_add(by, Ordering::Relaxed);
        }
    }

    pub(crate) fn set(&self, value: f64) {
        if let (Shape::Gauge, Some(cell)) = (self.kind, self.cells.first()) {
            cell.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    pub(crate) fn observe(&self, value: f64) {
        if self.kind != Shape::Histogram || value.is_nan() {
            return;
        }
        let bucket = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(cell) = self.cells.get(bucket) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        // The closure always gives a value, so this can't fail.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| Some((f64::from_bits(bits) + value).to_bits()));
    }

    fn value(&self) -> Value {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let first = self.cells.first().map_or(0, load);
        match self.kind {
            Shape::Counter => Value::Counter(first),
            Shape::Gauge => Value::Gauge(f64::from_bits(first)),
            Shape::Histogram => Value::Histogram {
                buckets: self.cells.iter().map(load).collect(),
                sum: f64::from_bits(load(&self.sum)),
            },
        }
    }
}

fn is_allowed(kind: &Kind, name: &str, labels: &[String]) -> bool {
    let bounds = match kind {
        Kind::Counter | Kind::Gauge => true,
        Kind::Histogram(bounds) => {
            bounds.len() <= BOUNDS_MAX
                && bounds.iter().all(|bound| bound.is_finite())
                && bounds.windows(2).all(|pair| matches!(pair, [low, high] if low < high))
        }
    };
    bounds && is_name(name) && labels.len() <= LABELS_MAX && labels.iter().all(|label| is_name(label))
}

/// A name as Prometheus takes it, without the colon that is kept for rules.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 128
        && bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{Kind, METRICS_MAX, Metrics, SERIES_MAX, Value};

    #[test]
    fn the_same_definition_is_the_same_handle() {
        let metrics = Metrics::new();
        let plugin = metrics.plugin("p");
        let counter = plugin.register(Kind::Counter, "hits", "h", Vec::new(), false).expect("room");
        assert_eq!(plugin.register(Kind::Counter, "hits", "h", Vec::new(), false), Some(counter));
        assert_eq!(plugin.register(Kind::Gauge, "hits", "h", Vec::new(), false), None);
        plugin.find(counter).expect("a series").add(3);
        // A later generation goes on counting.
        let again = metrics.plugin("p").register(Kind::Counter, "hits", "h", Vec::new(), true).expect("room");
        metrics.plugin("p").find(again).expect("a series").add(2);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot[0].series, [(Vec::new(), Value::Counter(5))]);
        let gauge = plugin.register(Kind::Gauge, "hits", "h", Vec::new(), true).expect("defined anew");
        assert!(plugin.find(counter).is_none());
        plugin.find(gauge).expect("a series").set(1.5);
        assert_eq!(metrics.snapshot()[0].series, [(Vec::new(), Value::Gauge(1.5))]);
    }

    #[test]
    fn labels_make_series_up_to_the_cap() {
        let plugin = Metrics::new().plugin("p");
        let labelled = plugin.register(Kind::Counter, "hits", "", vec!["code".to_owned()], false).expect("room");
        assert!(plugin.find(labelled).is_none(), "a labelled metric is no series itself");
        assert_eq!(plugin.series(labelled, &[]), None);
        for n in 0..SERIES_MAX {
            assert!(plugin.series(labelled, &[n.to_string()]).is_some(), "series {n}");
        }
        assert_eq!(plugin.series(labelled, &["one more".to_owned()]), None);
        assert!(plugin.series(labelled, &["7".to_owned()]).is_some(), "known ones stay");
    }

    #[test]
    fn names_numbers_and_bounds_are_checked() {
        let plugin = Metrics::new().plugin("p");
        for name in ["", "1a", "a-b", "a b", "é"] {
            assert_eq!(plugin.register(Kind::Counter, name, "", Vec::new(), false), None, "{name}");
        }
        for bounds in [vec![2.0, 1.0], vec![f64::NAN], vec![1.0; 2], (0..65).map(f64::from).collect()] {
            assert_eq!(plugin.register(Kind::Histogram(bounds), "h", "", Vec::new(), false), None);
        }
        for n in 0..METRICS_MAX {
            assert!(plugin.register(Kind::Gauge, &format!("g{n}"), "", Vec::new(), false).is_some());
        }
        assert_eq!(plugin.register(Kind::Gauge, "one_more", "", Vec::new(), false), None);
    }

    #[test]
    fn histograms_count_by_bound() {
        let metrics = Metrics::new();
        let plugin = metrics.plugin("p");
        let id = plugin.register(Kind::Histogram(vec![1.0, 2.0]), "h", "", Vec::new(), false).expect("room");
        let series = plugin.find(id).expect("a series");
        [0.5, 1.0, 1.5, 9.0, f64::NAN].into_iter().for_each(|value| series.observe(value));
        let expected = Value::Histogram { buckets: vec![2, 1, 1], sum: 12.0 };
        assert_eq!(metrics.snapshot()[0].series, [(Vec::new(), expected)]);
    }
}
