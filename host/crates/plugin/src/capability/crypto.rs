//! `crypto`: hashing and token checks at native speed. Needs no grant: keys are
//! public or only verify, and never leave the host.

use crate::bindings::contract::crypto::{Host, TokenRules};
use crate::bindings::contract::types::Failure;
use crate::jose::{Refusal, Rules};
use crate::state::State;

/// Most bytes hashed or compared in one call: keeps a single call below 10 ms. More is a trap.
const BYTES_MAX: usize = 4 * 1024 * 1024;

impl Host for State {
    fn sha256(&mut self, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        bounded(data.len())?;
        Ok(ring::digest::digest(&ring::digest::SHA256, &data).as_ref().to_vec())
    }

    fn constant_time_eq(&mut self, a: Vec<u8>, b: Vec<u8>) -> wasmtime::Result<bool> {
        bounded(a.len().max(b.len()))?;
        // Digests of equal length are compared, so that neither content nor length shows in the time.
        let [a, b] = [a, b].map(|data| ring::digest::digest(&ring::digest::SHA256, &data));
        let different = a.as_ref().iter().zip(b.as_ref()).fold(0, |sum, (a, b)| sum | (a ^ b));
        Ok(std::hint::black_box(different) == 0)
    }

    fn verify_jws(&mut self, key_set: String, token: String) -> wasmtime::Result<Result<String, Failure>> {
        let Some(keys) = self.common.key_sets.get(&key_set) else { return Ok(Err(Failure::NotFound)) };
        Ok(keys.verify(&token).map_err(failure))
    }

    fn verify_jwt(
        &mut self,
        key_set: String,
        token: String,
        rules: TokenRules,
    ) -> wasmtime::Result<Result<String, Failure>> {
        let now = self.now().unix_ms / 1000;
        let Some(keys) = self.common.key_sets.get(&key_set) else { return Ok(Err(Failure::NotFound)) };
        let rules = Rules {
            issuer: rules.issuer.as_deref(),
            audience: rules.audience.as_deref(),
            leeway_s: rules.leeway_s,
            now_s: now,
        };
        Ok(keys.verify_claims(&token, &rules).map_err(failure))
    }
}

/// Traps a call that is given too much at once.
pub(super) fn bounded(bytes: usize) -> wasmtime::Result<()> {
    if bytes > BYTES_MAX {
        return Err(wasmtime::Error::msg(format!("{bytes} bytes given to crypto at once; at most {BYTES_MAX}")));
    }
    Ok(())
}

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::TooLong => Failure::TooLarge,
        Refusal::UnknownKey => Failure::Unavailable,
        other => Failure::Invalid(other.to_string()),
    }
}
