//! Compiled code of the process: each component once, however many plugins, workers and
//! generations run it.

use crate::cache::{CodeCache, NotLoaded};
use crate::compile::{CompileError, Compiled, Placed, compile, place};
use crate::engine::PluginEngine;
use crate::log::Level;
use crate::manifest::Manifest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The code that some generation uses, and where more is kept.
#[derive(Default)]
pub(crate) struct Codes {
    /// Lives as long as a plugin that runs it, in whichever generation.
    alive: Mutex<BTreeMap<[u8; 32], Weak<Compiled>>>,
    cache: Mutex<Option<Arc<CodeCache>>>,
    compiled: AtomicU64,
    cached: AtomicU64,
    shared: AtomicU64,
    rejected: AtomicU64,
}

/// How often code was come by in which way, since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeCounts {
    /// Components that were compiled.
    pub compiled: u64,
    /// Components whose code was in the cache.
    pub cached: u64,
    /// Components whose code another plugin or generation was running.
    pub shared: u64,
    /// Files of the cache that were not loaded, because they were not as they had been written.
    pub rejected: u64,
}

/// A component's code.
pub(crate) struct Got {
    pub(crate) code: Arc<Compiled>,
    /// What the operator should hear.
    pub(crate) lines: Vec<(Level, String)>,
}

impl Codes {
    pub(crate) fn use_cache(&self, cache: Option<Arc<CodeCache>>) {
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = cache;
    }

    pub(crate) fn counts(&self) -> CodeCounts {
        CodeCounts {
            compiled: self.compiled.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    /// The code of a component: from memory, from the cache, or compiled.
    pub(crate) fn get(&self, engine: &PluginEngine, bytes: &Arc<[u8]>) -> Result<Got, CompileError> {
        // First: what is too large is not even hashed.
        crate::compile::look(bytes)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(code) = self.alive().get(&digest).and_then(Weak::upgrade) {
            self.shared.fetch_add(1, Ordering::Relaxed);
            return Ok(Got { code, lines: Vec::new() });
        }
        let mut lines = Vec::new();
        let code = Arc::new(self.fresh(engine, bytes, &digest, &mut lines)?);
        let mut alive = self.alive();
        alive.retain(|_, code| code.strong_count() > 0);
        alive.insert(digest, Arc::downgrade(&code));
        Ok(Got { code, lines })
    }

    fn fresh(
        &self,
        engine: &PluginEngine,
        bytes: &Arc<[u8]>,
        digest: &[u8; 32],
        lines: &mut Vec<(Level, String)>,
    ) -> Result<Compiled, CompileError> {
        let manifest = Manifest::read(bytes)?;
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = cache.as_ref().map(|_| name(engine, digest)).unwrap_or_default();
        let kept = cache.as_ref().map_or(Err(NotLoaded::Missing), |cache| cached(engine, cache, &name, bytes.len()));
        let (component, slots, why) = match kept {
            Ok(placed) => {
                self.cached.fetch_add(1, Ordering::Relaxed);
                placed
            }
            Err(not) => {
                if let NotLoaded::Rejected(what) = not {
                    self.rejected.fetch_add(1, Ordering::Relaxed);
                    lines.push((Level::Warn, what));
                }
                let code = compile(engine, bytes)?;
                let placed = place(engine, &code, bytes.len())?;
                self.compiled.fetch_add(1, Ordering::Relaxed);
                if let Some(Err(what)) = cache.map(|cache| cache.store(&name, &code)) {
                    lines.push((Level::Warn, what));
                }
                placed
            }
        };
        lines.extend(why.map(|why| (Level::Info, why)));
        Ok(Compiled { component, slots, manifest, digest: *digest })
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 32], Weak<Compiled>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Code from the cache, proven to be our own writing.
fn cached(engine: &PluginEngine, cache: &CodeCache, name: &str, component_bytes: usize) -> Result<Placed, NotLoaded> {
    let code = cache.load(name)?;
    place(engine, &code, component_bytes).map_err(|error| {
        cache.remove(name);
        NotLoaded::Rejected(format!("{name} in the code cache does not fit this host: {error}"))
    })
}

/// Under which name code is kept: what it was made from, and all that its making depends on.
fn name(engine: &PluginEngine, component: &[u8; 32]) -> String {
    let mut depends = Depends(Sha256::new());
    // The engine's version, its settings, and what the processor can do.
    engine.small().precompile_compatibility_hash().hash(&mut depends);
    let [backtraces] = crate::compiler::encode(engine.settings().backtraces);
    for text in [env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, &backtraces] {
        text.hash(&mut depends);
    }
    format!("{}-{}", hex(component), hex(&depends.0.finalize()[..16]))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hasher whose result is the same in every build.
struct Depends(Sha256);

impl Hasher for Depends {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.clone().finalize().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}
