//! `random`: bytes from the system's generator.

use crate::bindings::contract::random::Host;
use crate::state::State;

/// Most bytes of one call; more is a trap.
pub(crate) const BYTES_MAX: u32 = 64 * 1024;

impl Host for State {
    fn bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        random(u64::from(len))
    }

    fn next_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Random bytes, or the error that traps the caller.
pub(crate) fn random(len: u64) -> wasmtime::Result<Vec<u8>> {
    let len = usize::try_from(len).ok().filter(|len| *len <= BYTES_MAX as usize);
    let len =
        len.ok_or_else(|| wasmtime::Error::msg(format!("more than {BYTES_MAX} random bytes asked for at once")))?;
    let mut bytes = vec![0; len];
    fill(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn fill(bytes: &mut [u8]) -> wasmtime::Result<()> {
    getrandom::fill(bytes).map_err(|error| wasmtime::Error::msg(format!("the system gives no random bytes: {error}")))
}
