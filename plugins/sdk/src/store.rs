//! Stores as a plugin mostly wants them: by one name, with times as durations.

use crate::bindings::imports::gatelodge::plugin::kv;
use crate::bindings::imports::gatelodge::plugin::types::Failure;
use std::time::Duration;

/// Times that [`Store::update`] tries again when others write in between.
const ATTEMPTS_MAX: u32 = 64;

/// A store that the plugin is granted: `state = ["NAME"]` and `[stores.NAME]` in
/// plugins.toml. All instances on all workers see the same.
///
/// Every function fails with `denied` for a store that is not granted, `too-large` for a
/// key above 4 KiB, a value above 1 MiB or an entry larger than the store, `unavailable`
/// where the store is full and evicts nothing.
#[derive(Clone, Debug)]
pub struct Store {
    name: String,
}

impl Store {
    /// The store of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The value of a key, if there is one and its time is not over.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(kv::get(&self.name, key)?.map(|entry| entry.value))
    }

    /// Writes a value; `None`: for ever, or until it has to make room for others. Gives its version.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<u64, Failure> {
        kv::set(&self.name, key, value, ttl.map(ms))
    }

    /// Removes a key; no error if there is none.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn delete(&self, key: &str) -> Result<(), Failure> {
        kv::delete(&self.name, key)
    }

    /// Adds to a number and gives the sum; no entry counts as 0. The time to live
    /// begins with the entry: a window of counting that is not lengthened by counting.
    ///
    /// # Errors
    /// See [`Store`]; `invalid` if the value is no decimal number, or the sum does not fit.
    pub fn add(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, Failure> {
        kv::increment(&self.name, key, by, ttl.map(ms))
    }

    /// Writes what `change` makes of the value, and loses no other writer's change: if
    /// one came in between, `change` is asked again with the new value.
    ///
    /// # Errors
    /// See [`Store`]; `conflict` after 64 attempts.
    pub fn update(
        &self,
        key: &str,
        ttl: Option<Duration>,
        mut change: impl FnMut(Option<&[u8]>) -> Vec<u8>,
    ) -> Result<u64, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let entry = kv::get(&self.name, key)?;
            let seen = entry.as_ref().map_or(0, |entry| entry.version);
            let value = change(entry.as_ref().map(|entry| entry.value.as_slice()));
            match kv::set_if(&self.name, key, &value, ttl.map(ms), seen) {
                Err(Failure::Conflict) => {}
                answer => return answer,
            }
        }
        Err(Failure::Conflict)
    }
}

/// One key's value in the form that an instance works with: it is parsed again only
/// when somebody wrote it.
#[derive(Debug)]
pub struct Cached<T> {
    seen: u64,
    value: Option<T>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { seen: 0, value: None }
    }
}

impl<T> Cached<T> {
    /// The parsed value as it is now; `None` where there is no entry.
    ///
    /// # Errors
    /// See [`Store`].
    pub fn get(&mut self, store: &Store, key: &str, parse: impl FnOnce(&[u8]) -> T) -> Result<Option<&T>, Failure> {
        match kv::get_newer(&store.name, key, self.seen) {
            Ok(Some(entry)) => {
                self.seen = entry.version;
                self.value = Some(parse(&entry.value));
            }
            Ok(None) => {}
            Err(Failure::NotFound) => *self = Self::default(),
            Err(failure) => return Err(failure),
        }
        Ok(self.value.as_ref())
    }
}

/// At least one millisecond, as the host wants it.
fn ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}
