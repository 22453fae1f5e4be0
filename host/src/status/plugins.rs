//! What `status` tells of plugins.

use crate::lasting::{Kept, Lasting};
use admin::status::{EnginePart, PluginPart, SlotsPart};
use plugin::{Chain, Hook, Isolation, Metrics, PluginFacts, PluginSeen, SlotsFacts};

/// The plugins of a chain with what was seen of them.
pub(super) fn parts(chain: &Chain, metrics: &Metrics) -> Vec<PluginPart> {
    let (seen, pauses, held_back) = (metrics.seen(), metrics.openings(), metrics.held_back());
    let of = |counts: &[(String, u64)], name: &str| {
        counts.iter().find(|(plugin, _)| plugin == name).map_or(0, |(_, count)| *count)
    };
    let part = |facts: PluginFacts| {
        let seen = seen.iter().find(|seen| seen.plugin == facts.name);
        PluginPart {
            calls: seen.map_or(0, calls),
            faults: seen.map_or(0, faults),
            pauses: of(&pauses, &facts.name),
            held_back: of(&held_back, &facts.name),
            instances: seen.map_or(0, |seen| seen.instances),
            memory_bytes: seen.map_or(0, |seen| seen.memory_bytes),
            hooks: facts.hooks.iter().map(Hook::to_string).collect(),
            isolation: match facts.isolation {
                Isolation::Instance => "instance".to_owned(),
                Isolation::Request => "request".to_owned(),
            },
            slots: facts.slots.to_string(),
            waits: facts.waits,
            name: facts.name,
            module: facts.module,
            sha256: facts.sha256,
        }
    };
    chain.facts().into_iter().map(part).collect()
}

fn calls(seen: &PluginSeen) -> u64 {
    seen.hooks.iter().filter(|hook| hook.hook != Hook::Configure).map(|hook| hook.calls).sum()
}

fn faults(seen: &PluginSeen) -> u64 {
    seen.hooks.iter().flat_map(|hook| &hook.faults).map(|(_, count)| count).sum()
}

/// What plugins run on.
pub(super) fn engine(lasting: &Lasting) -> Option<EnginePart> {
    let engine = lasting.made()?;
    let (facts, codes) = (engine.facts(), engine.code_counts());
    let slots = |slots: SlotsFacts| SlotsPart { reserved: slots.reserved, in_use: slots.in_use };
    let (code_cache, code_cache_off) = match lasting.cache() {
        Kept::Unopened => (None, Some("no plugin needed it yet".to_owned())),
        Kept::In(path) => (Some(path), None),
        Kept::Nowhere(why) => (None, Some(why)),
    };
    Some(EnginePart {
        small_slots: slots(facts.small),
        large_slots: facts.large.map(slots),
        reset: facts.reset.as_str().to_owned(),
        concurrency: false,
        code_cache,
        code_cache_off,
        compiled: codes.compiled,
        from_cache: codes.cached,
        cache_rejected: codes.rejected,
    })
}
