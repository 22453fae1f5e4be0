use super::{Allocator, EngineSettings, PluginEngine};
use crate::slots::Slots;

fn engine() -> PluginEngine {
    let settings = EngineSettings { instances_max: 8, large_instances_max: 3, ..EngineSettings::default() };
    PluginEngine::new(&settings).expect("an engine")
}

#[test]
fn both_engines_are_the_fast_one() {
    let engine = engine();
    for wasmtime in [engine.small().clone(), engine.large().expect("an engine")] {
        assert!(!wasmtime.get_concurrency_support(), "concurrency support triples the price of a call");
        assert!(wasmtime.get_epoch_interruption());
        assert!(!wasmtime.get_consume_fuel());
    }
}

#[test]
fn large_slots_are_made_when_they_are_needed() {
    let engine = engine();
    assert_eq!(engine.allocator(Slots::Small), Some(Allocator::Pooling(8)));
    assert_eq!((engine.allocator(Slots::Large), engine.instances_in(Slots::Large)), (None, Some(0)));
    let first = engine.large().expect("an engine");
    assert!(wasmtime::Engine::same(&first, &engine.large().expect("the same")), "made once");
    assert_eq!(engine.allocator(Slots::Large), Some(Allocator::Pooling(3)));
}
