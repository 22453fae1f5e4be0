//! The two sizes of slots that instances live in.
//!
//! Compiled programs are small: they get many slots that are made and reset in
//! microseconds. An interpreter with its library (JavaScript, Python) is ten to a
//! hundred times larger in every respect, so it gets an engine of its own with few and
//! large slots, which neither slow nor inflate the small ones. Both run the same machine code.

use crate::engine::{Allocator, EngineSettings};
use std::fmt;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Stack of a guest, bytes; deeper recursion is a trap.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// Stack of a fiber, bytes: the guest's, and room for the host functions that it calls.
const FIBER_STACK_BYTES: usize = STACK_BYTES_MAX + 256 * 1024;
/// Address space for each linear memory, bytes: with the guard behind it no access needs a check.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// Table memory that stays resident in an idle slot, bytes.
const TABLE_KEEP_RESIDENT_BYTES: usize = 8 * 1024;
/// Memories of one component.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Largest component that runs in small slots, bytes. Larger ones hold an interpreter or
/// a whole runtime.
pub const SMALL_COMPONENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which slots a plugin's instances live in; chosen by the host at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slots {
    /// For compiled programs: a component of at most [`SMALL_COMPONENT_BYTES_MAX`], tables
    /// of at most 20,000 elements, at most 1 MiB of the engine's own data per instance.
    Small,
    /// For what does not fit a small one: tables of at most 100,000 elements, at most 4 MiB of the
    /// engine's own data per core instance and 8 MiB per component.
    Large,
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Large => "large",
        })
    }
}

impl Slots {
    /// Elements of one table; a growth beyond it fails.
    pub(crate) const fn table_elements_max(self) -> usize {
        match self {
            Self::Small => 20_000,
            Self::Large => 100_000,
        }
    }

    /// How many there should be.
    pub(crate) fn wanted(self, settings: &EngineSettings) -> u32 {
        let wanted = match self {
            Self::Small => settings.instances_max,
            Self::Large => settings.large_instances_max,
        };
        wanted.clamp(1, 100_000)
    }

    /// The engine's own data of one core instance, and of one component, bytes.
    const fn own_bytes_max(self) -> (usize, usize) {
        match self {
            Self::Small => (1 << 20, 1 << 20),
            Self::Large => (4 << 20, 8 << 20),
        }
    }

    /// Core instances of one component: the module itself, adapters and shims; for an
    /// interpreter also its libraries.
    const fn core_instances_max(self) -> u32 {
        match self {
            Self::Small => 16,
            Self::Large => 64,
        }
    }

    /// Tables of one component, and how many of them there are per slot.
    const fn tables_max(self) -> (u32, u32) {
        match self {
            Self::Small => (16, 2),
            Self::Large => (32, 4),
        }
    }

    /// Linear memory that stays resident in an idle slot, bytes.
    pub const fn keep_resident_bytes(self) -> usize {
        match self {
            Self::Small => 2 << 20,
            Self::Large => 8 << 20,
        }
    }

    /// Idle slots that stay ready for the plugin that used them last.
    pub const fn kept_warm(self) -> u32 {
        match self {
            Self::Small => 100,
            Self::Large => 8,
        }
    }

    fn pool(self, slots: u32) -> PoolingAllocationConfig {
        let (core, component) = self.own_bytes_max();
        let (tables_max, tables_each) = self.tables_max();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(slots);
        pool.total_core_instances(slots.saturating_mul(self.core_instances_max()));
        pool.total_memories(slots);
        pool.total_tables(slots.saturating_mul(tables_each));
        // Any instance may be one that waits; a stack that no hook has used is address space only.
        pool.total_stacks(slots);
        pool.max_core_instances_per_component(self.core_instances_max());
        pool.max_memories_per_component(MEMORIES_PER_COMPONENT);
        pool.max_tables_per_component(tables_max);
        pool.max_core_instance_size(core);
        pool.max_component_instance_size(component);
        pool.table_elements(self.table_elements_max());
        pool.max_unused_warm_slots(self.kept_warm());
        pool.linear_memory_keep_resident(self.keep_resident_bytes());
        pool.table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
        pool.pagemap_scan(Enabled::Auto);
        pool
    }
}

/// An engine with slots of one size.
pub(crate) struct Sized {
    pub(crate) engine: Engine,
    pub(crate) allocator: Allocator,
}

impl Sized {
    /// Makes it with as many slots as there is address space for.
    ///
    /// # Errors
    /// See [`crate::PluginEngine::new`].
    pub(crate) fn new(slots: Slots, settings: &EngineSettings) -> Result<Self, String> {
        let wanted = slots.wanted(settings);
        let sizes = std::iter::once(wanted).chain([256, 64, 16].into_iter().filter(|size| *size < wanted));
        for size in sizes {
            let allocator = Allocator::Pooling(size);
            if let Ok(engine) = Engine::new(&config(settings, slots, allocator)) {
                return Ok(Self { engine, allocator });
            }
        }
        let allocator = Allocator::OnDemand;
        let engine = Engine::new(&config(settings, slots, allocator))
            .map_err(|error| format!("no Wasm engine on this machine: {error:#}"))?;
        Ok(Self { engine, allocator })
    }
}

/// Only what is set here before the allocator shapes machine code: it fits engines of all sizes.
pub(crate) fn config(settings: &EngineSettings, slots: Slots, allocator: Allocator) -> Config {
    let mut config = Config::new();
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(false);
    config.memory_init_cow(true);
    config.memory_reservation(MEMORY_RESERVATION_BYTES);
    config.max_wasm_stack(STACK_BYTES_MAX);
    config.async_stack_size(FIBER_STACK_BYTES);
    config.wasm_backtrace_max_frames(if settings.backtraces { std::num::NonZeroUsize::new(16) } else { None });
    config.parallel_compilation(true);
    if let Allocator::Pooling(count) = allocator {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots.pool(count)));
    }
    config
}

#[cfg(test)]
mod tests;
