use super::{Slots, config};
use crate::engine::{Allocator, EngineSettings};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use wasmtime::Engine;

/// One compilation serves both engines, and a compiler needs no slots of its own.
#[test]
fn machine_code_does_not_depend_on_slots() {
    let settings = EngineSettings::default();
    let hash = |slots, allocator| {
        let engine = Engine::new(&config(&settings, slots, allocator)).expect("an engine");
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    };
    let small = hash(Slots::Small, Allocator::Pooling(2));
    for (slots, allocator) in [
        (Slots::Small, Allocator::Pooling(20)),
        (Slots::Small, Allocator::OnDemand),
        (Slots::Large, Allocator::Pooling(2)),
        (Slots::Large, Allocator::OnDemand),
    ] {
        assert_eq!(hash(slots, allocator), small, "{slots} {allocator:?}");
    }
}
