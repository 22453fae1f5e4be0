//! `kv`: small node-wide stores by name, in memory, and on disk behind it where the operator
//! says so (grant `state`).

use crate::bindings::contract::kv::{Entry, Host};
use crate::bindings::contract::types::Failure;
use crate::state::State;
use crate::store::{Refusal, Store};

type Answer<T> = wasmtime::Result<Result<T, Failure>>;

impl Host for State {
    fn get(&mut self, store: String, key: String) -> Answer<Option<Entry>> {
        Ok(self.store(&store).map(|store| store.get(&key, store.now_ms()).map(entry)))
    }

    fn get_newer(&mut self, store: String, key: String, seen: u64) -> Answer<Option<Entry>> {
        Ok(self.store(&store).and_then(|store| match store.get(&key, store.now_ms()) {
            Some((version, _)) if version == seen => Ok(None),
            Some(found) => Ok(Some(entry(found))),
            // What the plugin keeps of it is to go too.
            None if seen != 0 => Err(Failure::NotFound),
            None => Ok(None),
        }))
    }

    fn set(&mut self, store: String, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Answer<u64> {
        Ok(self.store(&store).and_then(|store| store.set(&key, &value, ttl_ms, store.now_ms()).map_err(failure)))
    }

    fn set_if(&mut self, store: String, key: String, value: Vec<u8>, ttl_ms: Option<u64>, seen: u64) -> Answer<u64> {
        Ok(self
            .store(&store)
            .and_then(|store| store.set_if(&key, &value, ttl_ms, seen, store.now_ms()).map_err(failure)))
    }

    fn delete(&mut self, store: String, key: String) -> Answer<()> {
        Ok(self.store(&store).map(|store| store.delete(&key)))
    }

    fn increment(&mut self, store: String, key: String, by: i64, ttl_ms: Option<u64>) -> Answer<i64> {
        Ok(self.store(&store).and_then(|store| store.increment(&key, by, ttl_ms, store.now_ms()).map_err(failure)))
    }
}

impl State {
    fn store(&self, name: &str) -> Result<&Store, Failure> {
        self.common.named.store(name).ok_or_else(|| self.denied("store", name, "state"))
    }
}

fn entry((version, value): crate::store::Entry) -> Entry {
    Entry { version, value: value.to_vec() }
}

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::TooLarge => Failure::TooLarge,
        Refusal::Conflict => Failure::Conflict,
        Refusal::Full => Failure::Unavailable,
        Refusal::NoTime => Failure::Invalid("ttl-ms is at least 1".to_owned()),
        Refusal::NotANumber => Failure::Invalid("the value is no decimal number of 64 bits".to_owned()),
        Refusal::Overflow => Failure::Invalid("the sum does not fit into 64 bits".to_owned()),
    }
}
