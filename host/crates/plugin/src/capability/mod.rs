//! What a plugin may ask of the host: one file per capability.
//!
//! A capability is linked only where the plugin imports it and the operator grants
//! it; the functions here then still check what depends on the moment (a phase, a
//! declared name). None of them waits.

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod crypto;
pub(crate) mod exchange;
pub(crate) mod http_out;
pub(crate) mod identity;
pub(crate) mod identity_control;
pub(crate) mod keys;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod random;
pub(crate) mod rate_limit;
pub(crate) mod secrets;
pub(crate) mod wasi;

use crate::bindings::contract::types;
use crate::log::Level;
use crate::state::State;

/// The types interface has no functions.
impl types::Host for State {}

impl State {
    /// The answer to a name that is not granted; the log tells the line that would grant it.
    fn denied(&self, what: &str, name: &str, grant: &str) -> types::Failure {
        let common = &self.common;
        if common.named.tells_denial() {
            let name = crate::text::escape(name, 64);
            let line = format!("[plugin.grants] {grant} = [\"{name}\"]");
            let text = format!("it asked for the {what} \"{name}\", which is not granted; plugins.toml: {line}");
            common.log.write(&common.name, Level::Warn, &text, &[]);
        }
        types::Failure::Denied
    }

    /// Tells the operator that an upstream led to an address that plugins may not reach.
    fn tell_inner_address(&self, upstream: &str) {
        let common = &self.common;
        if common.named.tells_denial() {
            let name = crate::text::escape(upstream, 64);
            let text = format!(
                "it called the upstream \"{name}\", which leads to an address that is not public; \
                 plugins.toml: [upstreams.{name}] private = true"
            );
            common.log.write(&common.name, Level::Warn, &text, &[]);
        }
    }
}
