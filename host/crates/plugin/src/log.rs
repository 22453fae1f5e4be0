//! Where plugins' words and the room's own reports about them go.

use crate::breaker::HoldBack;
use wire::fault::PluginFault;

/// Weight of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For somebody who looks at each step.
    Trace,
    /// For somebody who looks for a defect.
    Debug,
    /// Normal events.
    Info,
    /// Something that somebody should look at.
    Warn,
    /// Something failed.
    Error,
}

/// Where log lines of plugins go. Called on workers: it must not block.
///
/// Texts arrive with control characters escaped and cut to their limits.
pub trait LogSink: Send + Sync {
    /// False if a line of this level would be thrown away.
    fn enabled(&self, plugin: &str, level: Level) -> bool;

    /// One line.
    fn write(&self, plugin: &str, level: Level, message: &str, fields: &[(String, String)]);

    /// Something happened to a store that is kept on disk.
    fn store(&self, store: &str, level: Level, message: &str) {
        self.write("", level, message, &[("store".to_owned(), store.to_owned())]);
    }

    /// A plugin failed; `text` is for the operator: what happened and, where known, in which function.
    fn fault(&self, plugin: &str, kind: PluginFault, text: &str) {
        let fields = [("fault".to_owned(), kind.as_str().to_owned())];
        self.write(plugin, Level::Error, text, &fields);
    }

    /// A plugin that keeps failing is held back on a worker, tried, or let in again.
    fn hold_back(&self, plugin: &str, change: &HoldBack) {
        self.write(plugin, change.level(), &change.to_string(), &[]);
    }
}
