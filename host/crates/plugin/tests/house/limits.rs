//! Limits of all plugins together, at their edges.

use crate::harness::{House, guest, guest_with, load_on, request, told};
use gatelodge_plugin::{
    EngineSettings, Isolation, KeySets, PluginEngine, PluginSettings, SMALL_COMPONENT_BYTES_MAX, Slots,
};
use std::sync::Arc;
use wire::ports::Plugins as _;

fn engine(change: impl FnOnce(&mut EngineSettings)) -> Arc<PluginEngine> {
    let mut settings = EngineSettings { instances_max: 4, large_instances_max: 4, ..EngineSettings::default() };
    change(&mut settings);
    Arc::new(PluginEngine::new(&settings).expect("an engine"))
}

fn house(engine: &Arc<PluginEngine>, settings: PluginSettings) -> House {
    load_on(Arc::clone(engine), vec![settings], KeySets::new()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// As many exchanges between request and response as there are slots, and one more.
fn fills(engine: &Arc<PluginEngine>, slots: Slots, count: u64, settings: PluginSettings) {
    let house = house(engine, settings);
    let mut open: Vec<_> = (0..count)
        .map(|number| {
            let (exchange, step) = house.way_in(request("/", &[]));
            assert_eq!(told(&step), "continue", "{slots} slot {number}");
            exchange
        })
        .collect();
    assert_eq!(engine.instances_in(slots), Some(count));
    let (_, step) = house.way_in(request("/", &[]));
    assert!(told(&step).starts_with("fault memory of half"), "one more than there are: {}", told(&step));
    assert_eq!(engine.instances_in(slots), Some(count), "who has an instance keeps it");
    let exchange = open.pop().expect("there are some");
    house.plane.complete(exchange, &crate::lifetimes::summary());
    let (_, step) = house.way_in(request("/", &[]));
    assert_eq!(told(&step), "continue", "a slot that is free again");
    let other = match slots {
        Slots::Small => Slots::Large,
        Slots::Large => Slots::Small,
    };
    assert_eq!(engine.instances_in(other), Some(0));
}

/// A guest that keeps its instance from request to response.
fn keeps(change: impl FnOnce(&mut PluginSettings)) -> PluginSettings {
    guest_with("half", |settings| {
        settings.isolation = Isolation::Request;
        settings.instances_max = 100;
        change(settings);
    })
}

/// The same behind so many bytes that nobody reads: a component is large by its length.
fn padded(component_bytes: usize) -> Arc<[u8]> {
    let mut bytes = gatelodge_guests::component("half").to_vec();
    // A custom section: its kind, its length in five bytes, a name of one letter, the rest.
    let length = component_bytes - bytes.len() - 6;
    let seven = |shift: u32| u8::try_from(length >> shift & 0x7f).expect("seven bits");
    bytes.extend([0, seven(0) | 0x80, seven(7) | 0x80, seven(14) | 0x80, seven(21) | 0x80, seven(28)]);
    bytes.extend([1, b'x']);
    bytes.resize(component_bytes, 0);
    bytes.into()
}

#[test]
fn small_slots_are_as_many_as_asked_for() {
    for count in [1, 3] {
        let engine = engine(|settings| settings.instances_max = count);
        fills(&engine, Slots::Small, count.into(), keeps(|_| {}));
    }
}

#[test]
fn large_slots_are_as_many_as_asked_for() {
    for count in [1, 3] {
        let engine = engine(|settings| settings.large_instances_max = count);
        let large = padded(SMALL_COMPONENT_BYTES_MAX + 1);
        fills(&engine, Slots::Large, count.into(), keeps(|settings| settings.module.bytes = large));
    }
    let engine = engine(|_| {});
    let small = padded(SMALL_COMPONENT_BYTES_MAX);
    fills(&engine, Slots::Small, 4, keeps(|settings| settings.module.bytes = small));
}

#[test]
fn what_takes_too_long_to_compile_is_refused_and_what_does_not_is_not() {
    for (compile_ms_max, refused) in [(1, true), (60_000, false)] {
        let engine = engine(|settings| settings.compile_ms_max = compile_ms_max);
        let loaded = load_on(engine, vec![guest("half")], KeySets::new());
        let told = loaded.err().map(|errors| errors[0].message.clone());
        assert_eq!(told.as_deref(), refused.then_some("compiling it took longer than 1 ms"));
    }
}
