//! `config`: the plugin's settings as one JSON document.

use crate::bindings::contract::config::Host;
use crate::state::State;

impl Host for State {
    fn json(&mut self) -> wasmtime::Result<String> {
        Ok(self.common.config_json.clone())
    }
}
