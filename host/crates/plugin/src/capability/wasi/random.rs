//! `wasi:random`: all of it from the system's generator.

use crate::bindings::wasi::wasi::random::{insecure, insecure_seed, random};
use crate::capability::random as system;
use crate::state::State;

impl random::Host for State {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        system::random(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        word()
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        system::random(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        word()
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((word()?, word()?))
    }
}

fn word() -> wasmtime::Result<u64> {
    let mut bytes = [0; 8];
    system::fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
