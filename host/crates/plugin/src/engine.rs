//! The one Wasm engine of the process, tuned for calls of well under a microsecond.
//!
//! What matters: no component-model concurrency (it makes each call three times as
//! dear), a pooling allocator whose slots are reset by `PAGEMAP_SCAN` where the kernel
//! has it, 4 GiB reservations so that bounds checks vanish, and epochs, not fuel.

use crate::cache::CodeCache;
use crate::code::{CodeCounts, Codes};
use crate::ticker::Ticker;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Linear memory that stays resident in an idle slot, bytes.
const KEEP_RESIDENT_BYTES: usize = 2 * 1024 * 1024;
/// Table memory that stays resident in an idle slot, bytes.
const TABLE_KEEP_RESIDENT_BYTES: usize = 8 * 1024;
/// Stack of a guest, bytes; deeper recursion is a trap.
const STACK_BYTES_MAX: usize = 256 * 1024;
/// Address space for each linear memory, bytes: with the guard behind it no access needs a check.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// Core instances of one component: the module itself, adapters and shims.
const CORE_INSTANCES_PER_COMPONENT: u32 = 16;
/// Memories of one component.
const MEMORIES_PER_COMPONENT: u32 = 4;
/// Tables of one component.
const TABLES_PER_COMPONENT: u32 = 16;
/// Elements of one table; a growth beyond it fails.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// How the engine is made.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Most component instances alive at once in the process. Each reserves (not uses)
    /// 4 GiB of address space. Default 1,000. At the edge a new instance is refused: fault `memory`.
    pub instances_max: u32,
    /// Function names of the guest in fault texts. Costs some microseconds per trap. Default on.
    pub backtraces: bool,
    /// The executable that compiles, see [`crate::COMPILER_ARGUMENT`]. Default `None`: plugins
    /// are compiled in this process, as they are where the executable can't be started.
    pub compiler: Option<PathBuf>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { instances_max: 1_000, backtraces: true, compiler: None }
    }
}

/// Where instances live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// In this many slots that were reserved beforehand.
    Pooling(u32),
    /// Memory is mapped for each instance anew: slower, for systems with little address space.
    OnDemand,
}

/// The engine and its clock. One per process; chains of all generations share it.
pub struct PluginEngine {
    engine: Engine,
    ticker: Ticker,
    allocator: Allocator,
    settings: EngineSettings,
    codes: Codes,
}

impl PluginEngine {
    /// Makes the engine and starts its ticker thread.
    ///
    /// Where the address space does not hold the wanted slots (`ulimit -v`, overcommit
    /// rules of a container), fewer are tried, then none: [`PluginEngine::allocator`]
    /// says what it came to.
    ///
    /// # Errors
    /// The processor or the system is not one that compiled code can run on, or no
    /// thread could be started; the text says which.
    pub fn new(settings: &EngineSettings) -> Result<Self, String> {
        let wanted = settings.instances_max.clamp(1, 100_000);
        let sizes = std::iter::once(wanted).chain([256, 64, 16].into_iter().filter(|size| *size < wanted));
        for size in sizes {
            if let Ok(engine) = Engine::new(&config(settings, Allocator::Pooling(size))) {
                return Self::with_ticker(engine, Allocator::Pooling(size), settings);
            }
        }
        let engine = Engine::new(&config(settings, Allocator::OnDemand))
            .map_err(|error| format!("no Wasm engine on this machine: {error:#}"))?;
        Self::with_ticker(engine, Allocator::OnDemand, settings)
    }

    fn with_ticker(engine: Engine, allocator: Allocator, settings: &EngineSettings) -> Result<Self, String> {
        let ticker =
            Ticker::start(engine.clone()).map_err(|error| format!("no thread for the plugin clock: {error}"))?;
        Ok(Self { engine, ticker, allocator, settings: settings.clone(), codes: Codes::default() })
    }

    /// Where instances live, for `status`.
    #[must_use]
    pub fn allocator(&self) -> Allocator {
        self.allocator
    }

    /// Instances that are alive now, of all chains and workers; `None` without pooling.
    #[must_use]
    pub fn instances(&self) -> Option<u64> {
        self.engine.pooling_allocator_metrics().map(|metrics| metrics.component_instances())
    }

    /// From now on, compiled code is taken from and kept in this folder; none: nowhere.
    pub fn use_cache(&self, cache: Option<Arc<CodeCache>>) {
        self.codes.use_cache(cache);
    }

    /// How often code was compiled, and how often it did not have to be.
    #[must_use]
    pub fn code_counts(&self) -> CodeCounts {
        self.codes.counts()
    }

    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }
}

pub(crate) fn config(settings: &EngineSettings, allocator: Allocator) -> Config {
    let mut config = Config::new();
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(false);
    config.memory_init_cow(true);
    config.memory_reservation(MEMORY_RESERVATION_BYTES);
    config.max_wasm_stack(STACK_BYTES_MAX);
    config.wasm_backtrace_max_frames(if settings.backtraces { std::num::NonZeroUsize::new(16) } else { None });
    config.parallel_compilation(true);
    if let Allocator::Pooling(slots) = allocator {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    }
    config
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots);
    pool.total_core_instances(slots.saturating_mul(4));
    pool.total_memories(slots);
    pool.total_tables(slots.saturating_mul(2));
    pool.total_stacks(1);
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT);
    pool.max_memories_per_component(MEMORIES_PER_COMPONENT);
    pool.max_tables_per_component(TABLES_PER_COMPONENT);
    pool.table_elements(TABLE_ELEMENTS_MAX);
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    pool.table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    pool.pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::{Allocator, EngineSettings, PluginEngine};

    #[test]
    fn the_engine_is_the_fast_one() {
        let engine = PluginEngine::new(&EngineSettings { instances_max: 8, backtraces: false, compiler: None })
            .expect("an engine");
        let config = engine.wasmtime();
        assert!(!config.get_concurrency_support(), "concurrency support triples the price of a call");
        assert!(config.get_epoch_interruption());
        assert!(!config.get_consume_fuel());
        assert_eq!(engine.allocator(), Allocator::Pooling(8));
    }
}
