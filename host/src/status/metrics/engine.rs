//! What plugins run on, in numbers.

use super::{Owned, big, simple};
use admin::StatusPage;
use admin::prometheus::Kind;
use admin::status::SlotsPart;

/// All of it; nothing before the first plugin needed an engine.
pub(super) fn of(page: &StatusPage) -> Vec<Owned> {
    let Some(engine) = &page.engine else { return Vec::new() };
    let codes = [
        ("gatelodge_wasm_compiled_total", "Components compiled.", engine.compiled),
        ("gatelodge_wasm_from_cache_total", "Components whose code was in the cache.", engine.from_cache),
        ("gatelodge_wasm_cache_rejected_total", "Files of the code cache that were refused.", engine.cache_rejected),
    ];
    let mut metrics: Vec<Owned> =
        codes.into_iter().map(|(name, help, value)| simple(name, help, Kind::Counter, big(value))).collect();
    let mut put = |size: &str, slots: &SlotsPart| {
        let values = [
            ("gatelodge_wasm_slots", "Slots reserved for instances of plugins.", slots.reserved.map(u64::from)),
            ("gatelodge_wasm_slots_in_use", "Instances of plugins alive in slots.", slots.in_use),
        ];
        for (name, help, value) in values {
            let Some(value) = value else { continue };
            let labels = vec![("size".to_owned(), size.to_owned())];
            metrics.push(Owned { labels, ..simple(name, help, Kind::Gauge, big(value)) });
        }
    };
    put("small", &engine.small_slots);
    if let Some(large) = &engine.large_slots {
        put("large", large);
    }
    metrics
}
