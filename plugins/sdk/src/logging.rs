//! Lines and records in the host's log.

use crate::bindings::imports::gatelodge::plugin::log;
pub use log::Level;

/// True if the host keeps lines of this level: ask before a costly line is put together.
#[must_use]
pub fn log_enabled(level: Level) -> bool {
    log::enabled(level)
}

/// Writes one line. Use the macros [`crate::error!`] ... [`crate::trace!`].
pub fn log_line(level: Level, text: &str) {
    log::write(level, text);
}

/// Writes a record: a message and named values. The host escapes them and may cut them.
pub fn event(level: Level, message: &str, fields: &[(String, String)]) {
    log::event(level, message, fields);
}

/// Writes a line of a level, if the host keeps that level.
#[macro_export]
macro_rules! log {
    ($level:ident, $($text:tt)+) => {
        if $crate::log_enabled($crate::Level::$level) {
            $crate::log_line($crate::Level::$level, &::std::format!($($text)+));
        }
    };
}

/// Writes an error to the host's log; arguments as for `format!`.
#[macro_export]
macro_rules! error { ($($text:tt)+) => { $crate::log!(Error, $($text)+) }; }
/// Writes a warning to the host's log; arguments as for `format!`.
#[macro_export]
macro_rules! warn { ($($text:tt)+) => { $crate::log!(Warn, $($text)+) }; }
/// Writes a line to the host's log; arguments as for `format!`.
#[macro_export]
macro_rules! info { ($($text:tt)+) => { $crate::log!(Info, $($text)+) }; }
/// Writes a line for debugging to the host's log; arguments as for `format!`.
#[macro_export]
macro_rules! debug { ($($text:tt)+) => { $crate::log!(Debug, $($text)+) }; }
/// Writes a line for tracing to the host's log; arguments as for `format!`.
#[macro_export]
macro_rules! trace { ($($text:tt)+) => { $crate::log!(Trace, $($text)+) }; }
