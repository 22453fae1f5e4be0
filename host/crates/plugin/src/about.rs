//! What `status` tells of plugins and of what they run on.

use crate::chain::{Chain, Loaded};
use crate::engine::{Allocator, PluginEngine};
use crate::seen::Hook;
use crate::settings::Isolation;
use crate::slots::Slots;
use wasmtime::PoolingAllocationConfig;

/// One plugin of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFacts {
    /// Its name.
    pub name: String,
    /// Where its code came from.
    pub module: String,
    /// SHA-256 of the component, in hex.
    pub sha256: String,
    /// The hooks that it has, in the order of a request.
    pub hooks: Vec<Hook>,
    /// What it shares between requests.
    pub isolation: Isolation,
    /// Which slots its instances live in.
    pub slots: Slots,
    /// True if its hooks may wait, and so run on fibers.
    pub waits: bool,
}

/// What plugins run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Small slots.
    pub small: SlotsFacts,
    /// Large slots; `None` before a plugin needs them.
    pub large: Option<SlotsFacts>,
    /// How the memory of a slot is reset.
    pub reset: Reset,
}

/// Slots of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotsFacts {
    /// How many there are; `None`: none were reserved, memory is mapped for each instance anew.
    pub reserved: Option<u32>,
    /// Instances that are alive; `None` where nobody counts them.
    pub in_use: Option<u64>,
}

/// How the memory of a slot becomes that of a new instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The kernel names the pages that were written (`PAGEMAP_SCAN`, Linux 6.7), and only those are restored.
    PagemapScan,
    /// Part is restored page by page, the rest given back to the kernel and faulted in anew.
    GiveBack,
    /// There are no slots.
    Unmap,
}

impl Reset {
    /// One word, for machines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PagemapScan => "pagemap-scan",
            Self::GiveBack => "give-back",
            Self::Unmap => "unmap",
        }
    }
}

impl Chain {
    /// What each plugin is, in order.
    #[must_use]
    pub fn facts(&self) -> Vec<PluginFacts> {
        self.plugins.iter().map(|plugin| facts(plugin)).collect()
    }
}

fn facts(plugin: &Loaded) -> PluginFacts {
    PluginFacts {
        name: plugin.common.name.as_ref().to_owned(),
        module: plugin.module.clone(),
        sha256: crate::code::hex(&plugin.compiled.digest),
        hooks: plugin.hooks.seen(),
        isolation: plugin.isolation,
        slots: plugin.compiled.slots,
        waits: plugin.blueprint.fiber.is_some(),
    }
}

impl PluginEngine {
    /// What plugins run on now.
    #[must_use]
    pub fn facts(&self) -> EngineFacts {
        let of = |slots| {
            self.allocator(slots).map(|allocator| {
                let reserved = match allocator {
                    Allocator::Pooling(count) => Some(count),
                    Allocator::OnDemand => None,
                };
                SlotsFacts { reserved, in_use: reserved.and_then(|_| self.instances_in(slots)) }
            })
        };
        let small = of(Slots::Small).unwrap_or(SlotsFacts { reserved: None, in_use: None });
        let reset = match small.reserved {
            None => Reset::Unmap,
            Some(_) if PoolingAllocationConfig::is_pagemap_scan_available() => Reset::PagemapScan,
            Some(_) => Reset::GiveBack,
        };
        EngineFacts { small, large: of(Slots::Large), reset }
    }
}
