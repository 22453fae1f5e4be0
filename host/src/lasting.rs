//! What plugins keep over all generations of a process.

use crate::settle;
use plugin::{EngineSettings, Metrics, PluginEngine, Stores, Timers};
use std::sync::{Arc, Mutex, PoisonError};

/// One for the process: a reload changes plugins, not what they run on.
pub(crate) struct Lasting {
    /// What plugins count.
    pub(crate) metrics: Arc<Metrics>,
    /// What they keep.
    pub(crate) stores: Arc<Stores>,
    /// What they do in the background.
    pub(crate) timers: Timers,
    engine: Mutex<Option<Arc<PluginEngine>>>,
}

impl Lasting {
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Stores::new())
    }

    /// For a look at plugins that touches no store's file.
    pub(crate) fn for_a_look() -> Arc<Self> {
        Self::with(Stores::in_memory())
    }

    fn with(stores: Arc<Stores>) -> Arc<Self> {
        let (metrics, timers) = (Metrics::new(), Timers::new());
        Arc::new(Self { metrics, stores, timers, engine: Mutex::default() })
    }

    /// What plugins run on, made when it is asked for first.
    ///
    /// # Errors
    /// Plugins can't run on this machine; the text says why.
    pub(crate) fn engine(&self) -> Result<Arc<PluginEngine>, String> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(Arc::clone(engine));
        }
        let settings = EngineSettings { compiler: Some(settle::own_executable()), ..EngineSettings::default() };
        let made = Arc::new(PluginEngine::new(&settings)?);
        *engine = Some(Arc::clone(&made));
        Ok(made)
    }
}
