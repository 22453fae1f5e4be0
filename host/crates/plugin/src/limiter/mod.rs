//! Rate limiters: token buckets by key, shared by all workers and plugins.
//!
//! A bucket is kept as what was taken from it and not yet refilled, in units of which a
//! token has as many as its period has nanoseconds: refilling is then a multiplication,
//! and exact. A full bucket is not kept at all. Keys are known by their hash alone, which
//! is seeded by the process: two keys share a bucket once in 2^64 pairs.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Longest key, bytes.
pub(crate) const KEY_BYTES_MAX: usize = 64 * 1024;
/// Locks of a limiter, each held for the time of one look-up.
const STRIPES: usize = 16;
/// Of a full stripe, the part that is forgotten at once: one in so many.
const FORGOTTEN: usize = 16;

/// A limiter that plugins share: `rate` requests per `per_ms`, and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimiterSettings {
    /// Tokens that a bucket gets back in each period; 1 to 1,000,000,000.
    pub rate: u32,
    /// The period, milliseconds; 1 to 86,400,000. Default 1000.
    pub per_ms: u32,
    /// Tokens that a full bucket holds; 1 to 1,000,000,000. Default: the rate.
    pub burst: u32,
    /// Most keys whose buckets are not full; at least 16. Beyond it those that are nearest
    /// to full are forgotten, which fills them. A key takes at most 128 bytes. Default 65,536.
    pub keys_max: u32,
}

impl LimiterSettings {
    /// A limiter with every default.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, per_ms: 1000, burst: rate, keys_max: 65_536 }
    }
}

/// What came of an attempt to take tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) allowed: bool,
    /// Tokens of a full bucket.
    pub(crate) limit: u64,
    /// Whole tokens that are left.
    pub(crate) remaining: u64,
    /// When the same attempt would be allowed, if nobody else takes any; 0: it was.
    pub(crate) retry_after_ms: u64,
}

/// One limiter.
pub(crate) struct Limiter {
    settings: LimiterSettings,
    hasher: RandomState,
    stripes: [Mutex<HashMap<u64, Bucket>>; STRIPES],
    started: Instant,
}

/// What was taken and not refilled when it was last looked at.
#[derive(Clone, Copy)]
struct Bucket {
    taken: u128,
    at_ns: u64,
}

impl Limiter {
    pub(crate) fn new(settings: LimiterSettings) -> Self {
        let stripes = std::array::from_fn(|_| Mutex::default());
        Self { settings, hasher: RandomState::new(), stripes, started: Instant::now() }
    }

    /// The time that buckets are filled by, nanoseconds since the limiter's start.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes `cost` tokens if there are as many; 0 only looks, as if for one. `None`:
    /// no bucket ever holds as many.
    pub(crate) fn take(&self, key: &[u8], cost: u32, now_ns: u64) -> Option<Outcome> {
        let LimiterSettings { burst, keys_max, .. } = self.settings;
        if cost > burst {
            return None;
        }
        let full = u128::from(burst) * self.token();
        let wanted = u128::from(cost.max(1)) * self.token();
        let hash = self.hasher.hash_one(key);
        let at = usize::try_from(hash % STRIPES as u64).expect("below the number of stripes");
        let mut buckets = self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner);
        let known = buckets.get(&hash).copied();
        let taken = known.map_or(0, |bucket| self.refilled(bucket, now_ns));
        let allowed = taken + wanted <= full;
        let after = if allowed && cost > 0 { taken + wanted } else { taken };
        if allowed && cost > 0 {
            let room = usize::try_from(keys_max).unwrap_or(usize::MAX) / STRIPES;
            if buckets.len() >= room && known.is_none() {
                self.forget(&mut buckets, now_ns);
            }
            // Workers read the clock before they take the lock: time never goes back here.
            let at_ns = known.map_or(now_ns, |bucket| bucket.at_ns.max(now_ns));
            buckets.insert(hash, Bucket { taken: after, at_ns });
        }
        drop(buckets);
        let missing = if allowed { 0 } else { taken + wanted - full };
        Some(Outcome {
            allowed,
            limit: burst.into(),
            remaining: whole((full - after.min(full)) / self.token()),
            retry_after_ms: whole(missing.div_ceil(self.rate()).div_ceil(1_000_000)),
        })
    }

    /// Keys whose buckets are kept, for a report.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Lets go of buckets that are full, and of a part of those that will be next.
    fn forget(&self, buckets: &mut HashMap<u64, Bucket>, now_ns: u64) {
        let mut taken: Vec<u128> = buckets.values().map(|bucket| self.refilled(*bucket, now_ns)).collect();
        let part = taken.len() / FORGOTTEN;
        if part >= taken.len() {
            return;
        }
        let (_, least, _) = taken.select_nth_unstable(part);
        let least = *least;
        buckets.retain(|_, bucket| self.refilled(*bucket, now_ns) > least);
    }

    /// What is still taken of a bucket after the time since its last use.
    fn refilled(&self, bucket: Bucket, now_ns: u64) -> u128 {
        let passed = now_ns.saturating_sub(bucket.at_ns);
        bucket.taken.saturating_sub(u128::from(passed) * self.rate())
    }

    /// Units of a token.
    fn token(&self) -> u128 {
        u128::from(self.settings.per_ms) * 1_000_000
    }

    /// Units that come back in a nanosecond.
    fn rate(&self) -> u128 {
        self.settings.rate.into()
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
