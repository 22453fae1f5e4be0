//! What a plugin may ask of the host: one file per capability.
//!
//! A capability is linked only where the plugin imports it and the operator grants
//! it; the functions here then still check what depends on the moment (a phase, a
//! declared name). None of them waits.

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod crypto;
pub(crate) mod exchange;
pub(crate) mod identity;
pub(crate) mod identity_control;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod random;
pub(crate) mod wasi;

use crate::bindings::contract::types;

/// The types interface has no functions.
impl types::Host for crate::state::State {}
