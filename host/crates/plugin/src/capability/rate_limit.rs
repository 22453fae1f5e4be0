//! `rate-limit`: token buckets that all workers share, by name (grant `limits`).

use crate::bindings::contract::rate_limit::{Host, Outcome};
use crate::bindings::contract::types::Failure;
use crate::limiter::KEY_BYTES_MAX;
use crate::state::{Phase, State};

impl Host for State {
    fn take(&mut self, limiter: String, key: Vec<u8>, cost: u32) -> wasmtime::Result<Result<Outcome, Failure>> {
        if self.phase == Phase::Outside {
            // A start is no request: it must not use up what requests may have.
            return Ok(Err(Failure::Denied));
        }
        let Some(found) = self.common.named.limiter(&limiter) else {
            return Ok(Err(self.denied("limiter", &limiter, "limits")));
        };
        if key.len() > KEY_BYTES_MAX {
            return Ok(Err(Failure::TooLarge));
        }
        let outcome = found.take(&key, cost, found.now_ns()).map(|outcome| Outcome {
            allowed: outcome.allowed,
            limit: outcome.limit,
            remaining: outcome.remaining,
            retry_after_ms: outcome.retry_after_ms,
        });
        Ok(outcome.ok_or(Failure::TooLarge))
    }
}
