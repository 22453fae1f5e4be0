//! What goes to disk and comes from it.

use super::stripe::{Slot, Unwritten};
use super::{STRIPES, Store, cost};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// An entry as disk has it.
pub(super) struct Saved {
    pub(super) version: u64,
    /// Milliseconds since 1970; `u64::MAX`: never.
    pub(super) ends_ms: u64,
    pub(super) value: Arc<[u8]>,
}

/// Changes of a store, to be written all or not at all.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<(Arc<str>, Saved)>,
    pub(super) gone: Vec<Arc<str>>,
    /// Stripes of which disk has to forget all that is not in `entries`.
    pub(super) anew: [bool; STRIPES],
    /// The last version given out.
    pub(super) versions: u64,
}

impl Batch {
    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gone.is_empty() && !self.anew.contains(&true)
    }
}

impl Store {
    /// Takes the changes that disk does not know. Each stripe is locked for the time that its
    /// part takes, and never while disk is waited for.
    pub(super) fn take_unwritten(&self) -> Batch {
        let mut batch = Batch::default();
        let clock = Clock::now(self);
        for (stripe, anew) in self.stripes.iter().zip(&mut batch.anew) {
            stripe.locked(|map| {
                let Some(unwritten) = &mut map.unwritten else { return };
                let Unwritten { keys, all, .. } = std::mem::take(unwritten);
                *anew = all;
                if all {
                    batch.entries.extend(map.iter().map(|(key, slot)| (Arc::clone(key), clock.saved(slot))));
                }
                for key in keys {
                    match map.get(&key).map(|slot| clock.saved(slot)) {
                        Some(saved) => batch.entries.push((key, saved)),
                        None => batch.gone.push(key),
                    }
                }
            });
        }
        batch.versions = self.versions();
        batch
    }

    /// From now on nothing of what disk has is true.
    pub(super) fn write_all_anew(&self) {
        for stripe in &self.stripes {
            stripe.locked(|map| map.unwritten = Some(Unwritten::all()));
        }
    }

    /// Changes that disk does not know; a stripe that is written anew counts all its entries.
    pub(super) fn unwritten(&self) -> u64 {
        let count = |unwritten: &Unwritten, all: usize| if unwritten.all { all } else { unwritten.keys.len() };
        let counts = self.stripes.iter().map(|stripe| {
            stripe.locked(|map| map.unwritten.as_ref().map_or(0, |unwritten| count(unwritten, map.iter().count())))
        });
        counts.map(|count| count as u64).sum()
    }

    /// The last version given out.
    pub(super) fn versions(&self) -> u64 {
        self.versions.load(Ordering::Relaxed)
    }

    /// Versions from here on were never given out before.
    pub(super) fn begin_versions(&self, from: u64) {
        self.versions.fetch_max(from, Ordering::Relaxed);
    }

    /// Takes an entry over that disk has, unless memory knows better. Where there is no room,
    /// the oldest goes. False if this one is what went.
    pub(super) fn restore(&self, key: &str, saved: &Saved) -> bool {
        let clock = Clock::now(self);
        let (stripe, more) = (self.stripe(key), cost(key, &saved.value));
        let key: Arc<str> = key.into();
        let Some(expires_ms) = clock.expires_ms(saved.ends_ms) else {
            stripe.locked(|map| map.mark(&key));
            return true;
        };
        loop {
            let done = self.change_reserved(stripe, |map, reserved| {
                let known = map.get(&key).is_some();
                if known || map.unwritten.as_ref().is_some_and(|unwritten| unwritten.covers(&key)) {
                    return true;
                }
                if !self.reserve(more) {
                    return false;
                }
                *reserved = more;
                let (version, value) = (saved.version, Arc::clone(&saved.value));
                map.put(Arc::clone(&key), Slot { version, stamp: version, expires_ms, value, used: false });
                true
            });
            if done {
                return true;
            }
            let oldest = self.stripes.iter().min_by_key(|stripe| stripe.oldest());
            let older = oldest.filter(|oldest| oldest.oldest() < saved.version);
            self.evicted.fetch_add(1, Ordering::Relaxed);
            let Some(older) = older else {
                // Too old for the room that there is: disk forgets it too.
                stripe.locked(|map| map.mark(&key));
                return false;
            };
            self.change(older, super::stripe::Map::drop_oldest);
        }
    }
}

/// The store's clock and the calendar's at one moment.
struct Clock {
    store_ms: u64,
    unix_ms: u64,
}

impl Clock {
    fn now(store: &Store) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { store_ms: store.now_ms(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    fn saved(&self, slot: &Slot) -> Saved {
        let ends_ms = match slot.expires_ms {
            u64::MAX => u64::MAX,
            // Short of `u64::MAX`, which means: never.
            end => self.unix_ms.saturating_add(end.saturating_sub(self.store_ms)).min(u64::MAX - 1),
        };
        Saved { version: slot.version, ends_ms, value: Arc::clone(&slot.value) }
    }

    /// `None` if it has ended.
    fn expires_ms(&self, ends_ms: u64) -> Option<u64> {
        match ends_ms {
            u64::MAX => Some(u64::MAX),
            end if end <= self.unix_ms => None,
            end => Some(self.store_ms.saturating_add(end - self.unix_ms).min(u64::MAX - 1)),
        }
    }
}
