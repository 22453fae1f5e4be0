//! What goes wrong in the sandbox, told apart.

use crate::capability::exchange::BadEdit;
use crate::instance::HANDED_OVER_BYTES_MAX;
use wasmtime::{Trap, WasmBacktrace};
use wire::fault::PluginFault;

/// Longest text of a fault, bytes.
const TEXT_BYTES_MAX: usize = 2 * 1024;

/// How the engine says that a call handed over more than [`HANDED_OVER_BYTES_MAX`]: the type
/// of that error is not public.
const TOO_MUCH: &str = "too much data is being copied";

/// A hook that failed.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) kind: PluginFault,
    /// For the operator: what happened, and in which function where that is known.
    pub(crate) text: String,
    /// The plugin lost an instance by it: that is what holds it back in the end. What it
    /// merely said wrong, or was not asked at all, costs its request and nothing else.
    pub(crate) is_loss: bool,
}

impl Broken {
    /// One that left the instance as it was, or that had none.
    pub(crate) fn new(kind: PluginFault, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), is_loss: false }
    }

    /// One that an instance was lost by.
    pub(crate) fn loss(kind: PluginFault, text: impl Into<String>) -> Self {
        Self { is_loss: true, ..Self::new(kind, text) }
    }

    /// Reads an engine error. `denied`: the instance was refused memory before it died.
    pub(crate) fn of(error: &wasmtime::Error, denied: bool) -> Self {
        let root = error.root_cause().to_string();
        let root = root.strip_prefix("wasm trap: ").unwrap_or(&root);
        let (kind, what) = if let Some(bad) = error.downcast_ref::<BadEdit>() {
            return Self::loss(PluginFault::BadOutput, bad.0.clone());
        } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
            (PluginFault::Deadline, "it was stopped at its deadline".to_owned())
        } else if root.starts_with(TOO_MUCH) {
            let text = format!("it handed over more than {HANDED_OVER_BYTES_MAX} bytes at once");
            return Self::loss(PluginFault::BadOutput, text);
        } else if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::new(PluginFault::Memory, "all instances of the process are in use");
        } else if denied {
            (PluginFault::Memory, format!("it died after it was refused more memory: {root}"))
        } else {
            (PluginFault::Trap, format!("it trapped: {root}"))
        };
        let text = match error.downcast_ref::<WasmBacktrace>().filter(|trace| !trace.frames().is_empty()) {
            Some(trace) => format!("{what}; wasm backtrace: {}", in_one_line(&trace.to_string())),
            None => what,
        };
        Self::loss(kind, crate::text::escape(&text, TEXT_BYTES_MAX))
    }
}

/// A backtrace without its line ends and indentation.
fn in_one_line(trace: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let frames = trace.lines().map(words).filter(|line| !line.is_empty() && !line.starts_with("error while"));
    frames.collect::<Vec<_>>().join(", ")
}
