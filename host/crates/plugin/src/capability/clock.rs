//! `clock`: the time, frozen while a hook computes.

use crate::bindings::contract::clock::Host;
use crate::state::State;

impl Host for State {
    fn unix_ms(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now().unix_ms)
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now().monotonic_ns)
    }
}
