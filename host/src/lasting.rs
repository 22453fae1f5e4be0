//! What plugins keep over all generations of a process.

use crate::settle;
use config::plugins_toml::{CodeCache as Wanted, SharedPlugins};
use plugin::{CodeCache, EngineSettings, Metrics, PluginEngine, Stores, Timers, cache_folder};
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
    cache: Mutex<Kept>,
}

/// What became of the cache of compiled code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// No plugin needed it yet.
    #[default]
    Unopened,
    /// Code is kept in this folder.
    In(String),
    /// Code is not kept; why.
    Nowhere(String),
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
        Arc::new(Self { metrics, stores, timers, engine: Mutex::default(), cache: Mutex::default() })
    }

    /// What plugins run on, made when it is asked for first.
    ///
    /// # Errors
    /// Plugins can't run on this machine; the text says why.
    pub(crate) fn engine(&self, shared: &SharedPlugins) -> Result<Arc<PluginEngine>, String> {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(Arc::clone(engine));
        }
        let slots = |setting: u64| u32::try_from(setting).unwrap_or(u32::MAX);
        let settings = EngineSettings {
            compiler: Some(settle::own_executable()),
            compile_ms_max: shared.compile_ms_max.value,
            instances_max: slots(shared.slots_max.value),
            large_instances_max: slots(shared.large_slots_max.value),
            ..EngineSettings::default()
        };
        let made = Arc::new(PluginEngine::new(&settings)?);
        *engine = Some(Arc::clone(&made));
        Ok(made)
    }

    /// What plugins run on, if that was made.
    pub(crate) fn made(&self) -> Option<Arc<PluginEngine>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the cache of compiled code, once; what became of it, the first time.
    ///
    /// # Errors
    /// The folder that was asked for can't be used; the text says why.
    pub(crate) fn open_cache(&self, shared: &SharedPlugins) -> Result<Option<Kept>, String> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if *cache != Kept::Unopened {
            return Ok(None);
        }
        let bytes_max = shared.cache_bytes_max.value;
        let opened = match &shared.cache.value {
            Wanted::Off => Err("cache = \"off\"".to_owned()),
            Wanted::Folder(path) => Ok(CodeCache::open(path, bytes_max)?),
            Wanted::Auto => match cache_folder() {
                Some(path) => CodeCache::open(&path, bytes_max),
                None => Err("this user has no cache folder".to_owned()),
            },
        };
        *cache = match opened {
            Ok(opened) => {
                let kept = Kept::In(opened.path().display().to_string());
                self.engine(shared)?.use_cache(Some(Arc::new(opened)));
                kept
            }
            Err(why) => Kept::Nowhere(why),
        };
        Ok(Some(cache.clone()))
    }

    /// What became of the cache of compiled code.
    pub(crate) fn cache(&self) -> Kept {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
