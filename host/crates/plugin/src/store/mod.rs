//! Stores: small node-wide maps that plugins share by name, in memory, and on disk behind it
//! where the operator wants it.
//!
//! A store has [`STRIPES`] locks, each held for the time of one map operation and never
//! two at once. What is stored and its bookkeeping count against one limit for the whole
//! store, so that the limit is exact however the keys fall.

mod disk;
mod saved;
mod stripe;

pub(crate) use disk::Kept;
pub use disk::{DiskSettings, DiskUsage};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use disk::Signal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use stripe::{Slot, Stripe, Unwritten};

/// Longest key, bytes.
pub(crate) const KEY_BYTES_MAX: usize = 4 * 1024;
/// Longest value, bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// What an entry counts beside its key and its value, bytes: its places in the maps with
/// their spare room, and the headers of its two allocations.
pub(crate) const ENTRY_BYTES: u64 = 320;
/// Locks of a store.
const STRIPES: usize = 16;
/// Entries that were read since their last turn and so escape one eviction, per write.
const CHANCES_MAX: u32 = 64;
/// Times that a write looks for room while others take it, before it gives up.
const ROUNDS_MAX: u32 = 64;

/// What a write does where there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Expired entries go, then those that were not written or read for the longest time.
    #[default]
    Evict,
    /// Expired entries go; if that is not enough, the write fails (`unavailable`).
    Refuse,
}

/// A store that plugins share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Most bytes of all entries: each counts its key, its value and 320. Default 64 MiB.
    pub bytes_max: u64,
    /// Default evict.
    pub when_full: WhenFull,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { bytes_max: 64 * 1024 * 1024, when_full: WhenFull::Evict }
    }
}

/// Why a store does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Key or value is longer than ever allowed, or the entry larger than the store.
    TooLarge,
    /// The entry has another version.
    Conflict,
    /// No room, and nothing that may go.
    Full,
    /// A time to live of 0.
    NoTime,
    /// The value to add to is no decimal number.
    NotANumber,
    /// The sum does not fit.
    Overflow,
}

/// A version and what it holds.
pub(crate) type Entry = (u64, Arc<[u8]>);

/// One store.
pub(crate) struct Store {
    hasher: RandomState,
    stripes: [Stripe; STRIPES],
    /// The last version given out; versions also order the entries by age.
    versions: AtomicU64,
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    refuses: AtomicBool,
    evicted: AtomicU64,
    started: Instant,
    /// Wakes whoever writes to disk; `None` where the store is in memory only.
    signal: Option<Arc<Signal>>,
}

impl Store {
    pub(crate) fn new(settings: StoreSettings) -> Self {
        Self {
            hasher: RandomState::new(),
            stripes: std::array::from_fn(|_| Stripe::default()),
            versions: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max: AtomicU64::new(settings.bytes_max),
            refuses: AtomicBool::new(settings.when_full == WhenFull::Refuse),
            evicted: AtomicU64::new(0),
            started: Instant::now(),
            signal: None,
        }
    }

    /// A store whose changes are kept until they are taken to be written.
    fn on_disk(settings: StoreSettings, signal: Arc<Signal>) -> Self {
        let store = Self { signal: Some(signal), ..Self::new(settings) };
        store.stripes.iter().for_each(|stripe| stripe.locked(|map| map.unwritten = Some(Unwritten::default())));
        store
    }

    /// Takes other settings; what no longer fits goes as at a write.
    pub(crate) fn configure(&self, settings: StoreSettings) {
        self.bytes_max.store(settings.bytes_max, Ordering::Relaxed);
        self.refuses.store(settings.when_full == WhenFull::Refuse, Ordering::Relaxed);
        // Where nothing may go, writes are refused until it has shrunk by itself.
        let _ = self.make_room(0, self.now_ms());
    }

    /// The time that entries are measured by, milliseconds since the store's start.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes in use, as they count.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Most bytes.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Entries that had to go before their time.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, key: &str, now_ms: u64) -> Option<Entry> {
        self.change(self.stripe(key), |map| map.read(key, now_ms))
    }

    pub(crate) fn set(&self, key: &str, value: &[u8], ttl_ms: Option<u64>, now_ms: u64) -> Result<u64, Refusal> {
        let expires_ms = expiry(ttl_ms, now_ms)?;
        let value = bounded(value)?;
        self.write(key, now_ms, |_| Ok((Arc::clone(&value), expires_ms)))
    }

    /// Writes only where the version is still `seen`; 0: where there is no entry.
    pub(crate) fn set_if(
        &self,
        key: &str,
        value: &[u8],
        ttl_ms: Option<u64>,
        seen: u64,
        now_ms: u64,
    ) -> Result<u64, Refusal> {
        let expires_ms = expiry(ttl_ms, now_ms)?;
        let value = bounded(value)?;
        self.write(key, now_ms, |old| match old.map_or(0, |slot| slot.version) == seen {
            true => Ok((Arc::clone(&value), expires_ms)),
            false => Err(Refusal::Conflict),
        })
    }

    /// Adds to a decimal number; no entry counts as 0. The time to live begins with the
    /// entry: adding to it does not lengthen it.
    pub(crate) fn increment(&self, key: &str, by: i64, ttl_ms: Option<u64>, now_ms: u64) -> Result<i64, Refusal> {
        let fresh_ms = expiry(ttl_ms, now_ms)?;
        let mut sum = 0;
        self.write(key, now_ms, |old| {
            let before = old.map_or(Ok(0), |slot| number(&slot.value))?;
            sum = before.checked_add(by).ok_or(Refusal::Overflow)?;
            Ok((sum.to_string().into_bytes().into(), old.map_or(fresh_ms, |slot| slot.expires_ms)))
        })?;
        Ok(sum)
    }

    pub(crate) fn delete(&self, key: &str) {
        self.change(self.stripe(key), |map| map.remove(key));
    }

    /// Writes what `decide` makes of the live entry, under its lock; asks it again where
    /// room had to be made first.
    fn write(
        &self,
        key: &str,
        now_ms: u64,
        mut decide: impl FnMut(Option<&Slot>) -> Result<(Arc<[u8]>, u64), Refusal>,
    ) -> Result<u64, Refusal> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        let stripe = self.stripe(key);
        for _ in 0..ROUNDS_MAX {
            let written = self.change_reserved(stripe, |map, reserved| {
                map.drop_expired(now_ms, 2);
                let old = map.live(key, now_ms);
                let before = old.map_or(0, |slot| cost(key, &slot.value));
                let (value, expires_ms) = decide(old)?;
                let after = cost(key, &value);
                if after > self.bytes_max() {
                    return Err(Refusal::TooLarge);
                }
                // An expired entry of this key counts until it is replaced here.
                map.remove_expired(key, now_ms);
                let more = after.saturating_sub(before);
                if more > 0 && !self.reserve(more) {
                    return Ok(Err(more));
                }
                *reserved = more;
                let version = self.versions.fetch_add(1, Ordering::Relaxed) + 1;
                map.insert(key, Slot { version, stamp: version, expires_ms, value, used: false });
                Ok(Ok(version))
            })?;
            match written {
                Ok(version) => return Ok(version),
                Err(more) => self.make_room(more, now_ms)?,
            }
        }
        Err(Refusal::Full)
    }

    fn reserve(&self, more: u64) -> bool {
        let most = self.bytes_max();
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
            bytes.checked_add(more).filter(|bytes| *bytes <= most)
        });
        taken.is_ok()
    }

    /// Lets go of what has expired, then of what is oldest, until `more` fits.
    fn make_room(&self, more: u64, now_ms: u64) -> Result<(), Refusal> {
        let fits = || self.bytes().saturating_add(more) <= self.bytes_max();
        while !fits() {
            let Some(stripe) = self.stripes.iter().find(|stripe| stripe.soonest() <= now_ms) else { break };
            self.change(stripe, |map| map.drop_expired(now_ms, 16));
        }
        let mut chances = CHANCES_MAX;
        while !fits() {
            if self.refuses.load(Ordering::Relaxed) {
                return Err(Refusal::Full);
            }
            let oldest = self.stripes.iter().min_by_key(|stripe| stripe.oldest());
            let Some(stripe) = oldest.filter(|stripe| stripe.oldest() != u64::MAX) else { return Err(Refusal::Full) };
            let gone = self.change(stripe, |map| match chances > 0 && map.spare_oldest(&self.versions) {
                true => false,
                false => map.drop_oldest(),
            });
            chances = chances.saturating_sub(1);
            self.evicted.fetch_add(u64::from(gone), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs `act` under the stripe's lock and counts by how much the stripe shrank.
    fn change<T>(&self, stripe: &Stripe, act: impl FnOnce(&mut stripe::Map) -> T) -> T {
        self.change_reserved(stripe, |map, _| act(map))
    }

    /// The same; the stripe may grow by what `act` has reserved before.
    fn change_reserved<T>(&self, stripe: &Stripe, act: impl FnOnce(&mut stripe::Map, &mut u64) -> T) -> T {
        let (answer, fill) = stripe.locked(|map| {
            let (before, mut reserved) = (map.bytes, 0);
            let answer = act(map, &mut reserved);
            self.bytes.fetch_sub(before + reserved - map.bytes, Ordering::Relaxed);
            (answer, map.unwritten.as_ref().map_or(0, Unwritten::fill))
        });
        if let Some(signal) = &self.signal {
            signal.changed(fill);
        }
        answer
    }

    fn stripe(&self, key: &str) -> &Stripe {
        &self.stripes[self.place(key)]
    }

    /// The place of a key's stripe.
    fn place(&self, key: &str) -> usize {
        let at = self.hasher.hash_one(key) % STRIPES as u64;
        usize::try_from(at).expect("below the number of stripes")
    }
}

/// What an entry counts.
fn cost(key: &str, value: &[u8]) -> u64 {
    (key.len() as u64).saturating_add(value.len() as u64).saturating_add(ENTRY_BYTES)
}

fn bounded(value: &[u8]) -> Result<Arc<[u8]>, Refusal> {
    if value.len() > VALUE_BYTES_MAX { Err(Refusal::TooLarge) } else { Ok(value.into()) }
}

/// When an entry ends; `u64::MAX`: never.
fn expiry(ttl_ms: Option<u64>, now_ms: u64) -> Result<u64, Refusal> {
    match ttl_ms {
        Some(0) => Err(Refusal::NoTime),
        Some(ttl_ms) => Ok(now_ms.saturating_add(ttl_ms)),
        None => Ok(u64::MAX),
    }
}

fn number(value: &[u8]) -> Result<i64, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::NotANumber)?;
    text.parse().map_err(|_| Refusal::NotANumber)
}

#[cfg(test)]
mod tests;
