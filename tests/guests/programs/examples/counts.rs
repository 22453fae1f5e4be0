//! Counts its calls in its own memory, and in the host's metrics.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Config, Edits, Plugin, Registration, RequestHead, ResponseHead, Slot, Verdict, View, clock, metrics, random,
};

gatelodge_sdk::manifest! { name: "counts", version: "0.1.0", grants: { "log": true, "metrics": true } }
gatelodge_sdk::export!(Counts; request_head, response_head);

struct Counts {
    calls: u32,
    out: Slot,
    total: u32,
    by_phase: u32,
    gauge: u32,
    sizes: u32,
}

impl Plugin for Counts {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let out = registration.output("x-calls");
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Ok((
            Self {
                calls: 0,
                out,
                total: metrics::register_counter("calls_total", "Calls.", &[]),
                by_phase: metrics::register_counter("phase_total", "Calls by phase.", &texts(&["phase"])),
                gauge: metrics::register_gauge("last", "Last count.", &[]),
                sizes: metrics::register_histogram("sizes", "Sizes.", &[], &[1.0, 10.0]),
            },
            registration,
        ))
    }
}

impl Counts {
    fn count(&mut self, phase: &str) -> Verdict {
        assert_eq!(clock::monotonic_ns(), clock::monotonic_ns(), "the clock stands still in a hook");
        assert!(clock::unix_ms() > 1_600_000_000_000);
        assert!(random::bytes(32) != random::bytes(32) && random::next_u64() != random::next_u64());
        self.calls += 1;
        metrics::add(self.total, 1);
        metrics::add(metrics::series(self.by_phase, &[phase.to_owned()]), 2);
        metrics::set(self.gauge, f64::from(self.calls));
        metrics::observe(self.sizes, f64::from(self.calls));
        metrics::add(12_345, 1);
        metrics::add(u32::MAX, 1);
        Edits::new().set(self.out, self.calls.to_string()).verdict()
    }
}

impl RequestHead for Counts {
    fn request_head(&mut self, _view: &View) -> Verdict {
        self.count("in")
    }
}

impl ResponseHead for Counts {
    fn response_head(&mut self, _view: &View) -> Verdict {
        self.count("out")
    }
}
