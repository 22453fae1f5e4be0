//! What hooks do in a traced exchange, for the asker. In any other nothing is looked at but
//! that there is nobody to tell.

use crate::seen::{Hook, Said};
use std::sync::Arc;
use std::time::Instant;
use wire::fault::PluginFault;
use wire::trace::{Came, Part};
use wire::{Exchange, Trace};

/// One run of a hook, told when it is dropped: from the search for an instance to what
/// became of the answer. Without a word of how it went, it was given up.
#[derive(Default)]
#[must_use = "it measures until it is dropped"]
pub(crate) struct Traced(Option<Run>);

struct Run {
    trace: Arc<Trace>,
    plugin: Arc<str>,
    hook: Hook,
    began: Instant,
    came: Came,
}

/// A hook could not be called at all.
pub(crate) fn not_called(exchange: &Exchange, plugin: &Arc<str>, hook: Hook, kind: PluginFault) {
    Traced::begin(exchange, plugin, hook).broke(kind);
}

impl Traced {
    /// A hook begins.
    pub(crate) fn begin(exchange: &Exchange, plugin: &Arc<str>, hook: Hook) -> Self {
        Self(exchange.trace.as_ref().map(|trace| Run {
            trace: Arc::clone(trace),
            plugin: Arc::clone(plugin),
            hook,
            began: Instant::now(),
            came: Came::Dropped,
        }))
    }

    /// It said this, and that was carried out.
    pub(crate) fn said(&mut self, said: Said) {
        self.came(Came::Said(said.as_str()));
    }

    /// It failed, or was not called.
    pub(crate) fn broke(&mut self, kind: PluginFault) {
        self.came(Came::Fault(kind));
    }

    /// Its time ends here.
    pub(crate) fn end(&mut self) {
        if let Some(Run { trace, plugin, hook, began, came }) = self.0.take() {
            trace.add(Part::Hook { plugin, hook: hook.as_str() }, came, began.elapsed());
        }
    }

    fn came(&mut self, came: Came) {
        if let Some(run) = &mut self.0 {
            run.came = came;
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}
