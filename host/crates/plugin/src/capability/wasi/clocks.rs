//! `wasi:clocks`: the same frozen time as the contract's `clock`.

use super::handles::Pollable;
use crate::bindings::wasi::wasi::clocks::{monotonic_clock, wall_clock};
use crate::state::State;
use wasmtime::component::Resource;

/// Both clocks move between hooks only, so a finer one promises nothing.
const RESOLUTION_NS: u32 = 1_000_000;

impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(State::now(self).monotonic_ns)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(RESOLUTION_NS.into())
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.streams.pollable(Pollable::At(when))
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        let at = State::now(self).monotonic_ns.saturating_add(when);
        self.streams.pollable(Pollable::At(at))
    }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let unix_ms = State::now(self).unix_ms;
        let millis = u32::try_from(unix_ms % 1_000).unwrap_or(0);
        Ok(wall_clock::Datetime { seconds: unix_ms / 1_000, nanoseconds: millis * 1_000_000 })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: RESOLUTION_NS })
    }
}
