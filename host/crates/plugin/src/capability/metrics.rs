//! `metrics`: counters, gauges and histograms of a plugin (grant `metrics`).

use crate::bindings::contract::metrics::Host;
use crate::metrics::{Kind, Series, UNKNOWN};
use crate::state::State;
use std::sync::Arc;

impl Host for State {
    fn register_counter(&mut self, name: String, help: String, labels: Vec<String>) -> wasmtime::Result<u32> {
        Ok(self.register(Kind::Counter, &name, &help, labels))
    }

    fn register_gauge(&mut self, name: String, help: String, labels: Vec<String>) -> wasmtime::Result<u32> {
        Ok(self.register(Kind::Gauge, &name, &help, labels))
    }

    fn register_histogram(
        &mut self,
        name: String,
        help: String,
        labels: Vec<String>,
        bounds: Vec<f64>,
    ) -> wasmtime::Result<u32> {
        Ok(self.register(Kind::Histogram(bounds), &name, &help, labels))
    }

    fn series(&mut self, metric: u32, values: Vec<String>) -> wasmtime::Result<u32> {
        Ok(self.common.metrics.series(metric, &values).unwrap_or(UNKNOWN))
    }

    fn add(&mut self, id: u32, by: u64) -> wasmtime::Result<()> {
        self.with_series(id, |series| series.add(by));
        Ok(())
    }

    fn set(&mut self, id: u32, value: f64) -> wasmtime::Result<()> {
        self.with_series(id, |series| series.set(value));
        Ok(())
    }

    fn observe(&mut self, id: u32, value: f64) -> wasmtime::Result<()> {
        self.with_series(id, |series| series.observe(value));
        Ok(())
    }
}

impl State {
    fn register(&self, kind: Kind, name: &str, help: &str, labels: Vec<String>) -> u32 {
        self.common.metrics.register(kind, name, help, labels, self.trial).unwrap_or(UNKNOWN)
    }

    /// Unknown handles are ignored. Known ones are kept, so that no lock is taken twice.
    fn with_series(&mut self, id: u32, act: impl FnOnce(&Series)) {
        let Ok(at) = usize::try_from(id) else { return };
        if let Some(Some(series)) = self.series.get(at) {
            return act(series);
        }
        let Some(series) = self.common.metrics.find(id) else { return };
        if self.series.len() <= at {
            self.series.resize(at + 1, None);
        }
        act(&series);
        if let Some(place) = self.series.get_mut(at) {
            *place = Some(Arc::clone(&series));
        }
    }
}
