//! One lock of a store and the entries behind it.

use super::cost;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Maps with less room than this never give any back.
const ROOM_KEPT: usize = 16;
/// Most keys of a stripe that wait to be written to disk, and most bytes of them; beyond it
/// the stripe is written anew as a whole.
pub(super) const UNWRITTEN_MAX: usize = 1_024;
const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// An entry.
pub(super) struct Slot {
    pub(super) version: u64,
    /// Its place in the order of eviction.
    pub(super) stamp: u64,
    /// When it ends, by the store's clock; `u64::MAX`: never.
    pub(super) expires_ms: u64,
    pub(super) value: Arc<[u8]>,
    /// Read since it was written, or since it last escaped an eviction.
    pub(super) used: bool,
}

/// The entries of a stripe, by key, by age and by end.
#[derive(Default)]
pub(super) struct Map {
    entries: HashMap<Arc<str>, Slot>,
    order: BTreeMap<u64, Arc<str>>,
    expiries: BTreeSet<(u64, u64)>,
    /// What they count.
    pub(super) bytes: u64,
    /// What disk does not know yet; `None` where the store is in memory only.
    pub(super) unwritten: Option<Unwritten>,
}

/// What has changed since it was last taken to be written to disk.
#[derive(Default)]
pub(super) struct Unwritten {
    /// Keys whose entry is another one or gone.
    pub(super) keys: HashSet<Arc<str>>,
    /// What they count.
    bytes: usize,
    /// Too many to be told apart: all of the stripe.
    pub(super) all: bool,
}

impl Unwritten {
    /// All of the stripe.
    pub(super) fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Remembers a change.
    pub(super) fn mark(&mut self, key: &Arc<str>) {
        if self.all || self.keys.contains(key) {
            return;
        }
        if self.keys.len() >= UNWRITTEN_MAX || self.bytes + key.len() > UNWRITTEN_BYTES_MAX {
            *self = Self::all();
            return;
        }
        self.bytes += key.len();
        self.keys.insert(Arc::clone(key));
    }

    /// How much of the room for changes is taken, in hundredths; 0 only where there are none.
    pub(super) fn fill(&self) -> usize {
        let share = |part: usize, most: usize| (part * 100).div_ceil(most);
        if self.all { 100 } else { share(self.keys.len(), UNWRITTEN_MAX).max(share(self.bytes, UNWRITTEN_BYTES_MAX)) }
    }

    /// True if what disk has of this key is out of date.
    pub(super) fn covers(&self, key: &str) -> bool {
        self.all || self.keys.contains(key)
    }
}

/// A map behind its lock, with what others want to know of it without the lock.
pub(super) struct Stripe {
    map: Mutex<Map>,
    oldest: AtomicU64,
    soonest: AtomicU64,
}

impl Default for Stripe {
    fn default() -> Self {
        Self { map: Mutex::default(), oldest: AtomicU64::new(u64::MAX), soonest: AtomicU64::new(u64::MAX) }
    }
}

impl Stripe {
    pub(super) fn locked<T>(&self, act: impl FnOnce(&mut Map) -> T) -> T {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = act(&mut map);
        let oldest = map.order.first_key_value().map_or(u64::MAX, |(stamp, _)| *stamp);
        let soonest = map.expiries.first().map_or(u64::MAX, |(expires_ms, _)| *expires_ms);
        self.oldest.store(oldest, Ordering::Relaxed);
        self.soonest.store(soonest, Ordering::Relaxed);
        answer
    }

    /// Age of the oldest entry; `u64::MAX` where there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    /// When the next entry ends; `u64::MAX` where none does.
    pub(super) fn soonest(&self) -> u64 {
        self.soonest.load(Ordering::Relaxed)
    }
}

impl Map {
    /// The value of a live entry, which counts as used by that.
    pub(super) fn read(&mut self, key: &str, now_ms: u64) -> Option<super::Entry> {
        self.remove_expired(key, now_ms);
        let slot = self.entries.get_mut(key)?;
        slot.used = true;
        Some((slot.version, Arc::clone(&slot.value)))
    }

    pub(super) fn live(&self, key: &str, now_ms: u64) -> Option<&Slot> {
        self.entries.get(key).filter(|slot| slot.expires_ms > now_ms)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Slot> {
        self.entries.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        self.entries.iter()
    }

    pub(super) fn insert(&mut self, key: &str, slot: Slot) {
        let key: Arc<str> = match self.remove(key) {
            Some(known) => known,
            None => key.into(),
        };
        self.mark(&key);
        self.put(key, slot);
    }

    /// Remembers that disk has to hear of this key.
    pub(super) fn mark(&mut self, key: &Arc<str>) {
        if let Some(unwritten) = &mut self.unwritten {
            unwritten.mark(key);
        }
    }

    /// An entry that disk knows, for a key that has none.
    pub(super) fn put(&mut self, key: Arc<str>, slot: Slot) {
        self.bytes += cost(&key, &slot.value);
        self.order.insert(slot.stamp, Arc::clone(&key));
        if slot.expires_ms != u64::MAX {
            self.expiries.insert((slot.expires_ms, slot.stamp));
        }
        self.entries.insert(key, slot);
    }

    /// Removes an entry; gives its key back.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<str>> {
        let (key, slot) = self.entries.remove_entry(key)?;
        self.mark(&key);
        self.order.remove(&slot.stamp);
        self.expiries.remove(&(slot.expires_ms, slot.stamp));
        self.bytes -= cost(&key, &slot.value);
        // Two fifths: below that, empty places would take more than `ENTRY_BYTES` counts for them.
        if self.entries.capacity() > ROOM_KEPT && self.entries.len() < self.entries.capacity() / 5 * 2 {
            self.entries.shrink_to(self.entries.len());
        }
        Some(key)
    }

    pub(super) fn remove_expired(&mut self, key: &str, now_ms: u64) {
        if self.entries.get(key).is_some_and(|slot| slot.expires_ms <= now_ms) {
            self.remove(key);
        }
    }

    /// Drops at most `most` entries that have ended.
    pub(super) fn drop_expired(&mut self, now_ms: u64, most: usize) {
        for _ in 0..most {
            let Some((expires_ms, stamp)) = self.expiries.first().copied() else { return };
            if expires_ms > now_ms {
                return;
            }
            let Some(key) = self.order.get(&stamp).cloned() else { return };
            self.remove(&key);
        }
    }

    /// Puts the oldest entry behind all others, once for each time that it was read.
    /// False if it was not read, or there is none.
    pub(super) fn spare_oldest(&mut self, stamps: &AtomicU64) -> bool {
        let Some((stamp, key)) = self.order.first_key_value() else { return false };
        let (stamp, key) = (*stamp, Arc::clone(key));
        let Some(slot) = self.entries.get_mut(&key).filter(|slot| slot.used) else { return false };
        slot.used = false;
        slot.stamp = stamps.fetch_add(1, Ordering::Relaxed) + 1;
        if self.expiries.remove(&(slot.expires_ms, stamp)) {
            self.expiries.insert((slot.expires_ms, slot.stamp));
        }
        self.order.insert(slot.stamp, key);
        self.order.remove(&stamp);
        true
    }

    /// True if there was one to drop.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some(key) = self.order.first_key_value().map(|(_, key)| Arc::clone(key)) else { return false };
        self.remove(&key).is_some()
    }
}
