//! The Wasm engine of the process, tuned for calls of well under a microsecond.
//!
//! What matters: no component-model concurrency (it makes each call three times as
//! dear), a pooling allocator whose slots are reset by `PAGEMAP_SCAN` where the kernel
//! has it, 4 GiB reservations so that bounds checks vanish, and epochs, not fuel.

use crate::bench::Bench;
use crate::cache::CodeCache;
use crate::code::{CodeCounts, Codes};
use crate::slots::{Sized, Slots};
use crate::ticker::Ticker;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::Engine;

/// How the engine is made.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Most component instances alive at once in small slots, in the process. Each reserves (not
    /// uses) 4 GiB of address space. Default 1,000. At the edge a new instance is refused: fault `memory`.
    pub instances_max: u32,
    /// The same for large slots, which there are none of before a plugin needs them. Default 128.
    pub large_instances_max: u32,
    /// Function names of the guest in fault texts. Costs some microseconds per trap. Default on.
    pub backtraces: bool,
    /// Longest compilation of one plugin, milliseconds. Default 60,000. At the edge it is refused
    /// ([`crate::CompileError::TooSlow`]), and the compiler killed if it is a process of its own.
    pub compile_ms_max: u64,
    /// The executable that compiles, see [`crate::COMPILER_ARGUMENT`]. Default `None`: plugins
    /// are compiled in this process, as they are where the executable can't be started.
    pub compiler: Option<PathBuf>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            instances_max: 1_000,
            large_instances_max: 128,
            backtraces: true,
            compile_ms_max: 60_000,
            compiler: None,
        }
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
    small: Arc<Sized>,
    /// Made for the first plugin that needs it.
    large: Mutex<Option<Arc<Sized>>>,
    ticker: Ticker,
    settings: EngineSettings,
    codes: Codes,
    bench: Bench,
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
        let small = Arc::new(Sized::new(Slots::Small, settings)?);
        let ticker =
            Ticker::start(small.engine.clone()).map_err(|error| format!("no thread for the plugin clock: {error}"))?;
        Ok(Self {
            small,
            large: Mutex::default(),
            ticker,
            settings: settings.clone(),
            codes: Codes::default(),
            bench: Bench::default(),
        })
    }

    /// Where instances live, for `status`; `None`: no plugin needed such slots yet.
    #[must_use]
    pub fn allocator(&self, slots: Slots) -> Option<Allocator> {
        self.made(slots).map(|sized| sized.allocator)
    }

    /// Instances that are alive now, of all chains and workers; `None` without pooling.
    #[must_use]
    pub fn instances(&self) -> Option<u64> {
        Some(self.instances_in(Slots::Small)? + self.instances_in(Slots::Large)?)
    }

    /// The same, of slots of one size.
    #[must_use]
    pub fn instances_in(&self, slots: Slots) -> Option<u64> {
        let Some(sized) = self.made(slots) else { return Some(0) };
        sized.engine.pooling_allocator_metrics().map(|metrics| metrics.component_instances())
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

    pub(crate) fn bench(&self) -> &Bench {
        &self.bench
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The engine for small slots; what it compiles runs on the other one too.
    pub(crate) fn small(&self) -> &Engine {
        &self.small.engine
    }

    /// The engine for large slots, made now if there is none.
    ///
    /// # Errors
    /// As [`PluginEngine::new`].
    pub(crate) fn large(&self) -> Result<Engine, String> {
        let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(large) = &*large {
            return Ok(large.engine.clone());
        }
        let made = Sized::new(Slots::Large, &self.settings)?;
        let engine = made.engine.clone();
        self.ticker.drive(engine.clone());
        *large = Some(Arc::new(made));
        Ok(engine)
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    fn made(&self, slots: Slots) -> Option<Arc<Sized>> {
        match slots {
            Slots::Small => Some(Arc::clone(&self.small)),
            Slots::Large => self.large.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests;
