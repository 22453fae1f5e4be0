//! Signed tokens (RFC 7515, 7517, 7519), checked against key sets that stay in the host.
//!
//! The algorithm comes from the key: a token only picks one that its key allows,
//! so `none` and the mix-up of a public key with a shared secret are impossible.

pub(crate) mod base64;
mod key;
mod token;

pub(crate) use token::{Refusal, Rules};

use key::Key;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most keys of a set.
const KEYS_MAX: usize = 100;

/// Keys that sign tokens, by the set's name. Without `Debug`: shared secrets are among them.
#[derive(Clone, Default)]
pub struct KeySets {
    sets: BTreeMap<String, Arc<KeySet>>,
}

/// One JWK set.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

impl KeySets {
    /// No set at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a set from its JSON (RFC 7517 §5). Keys that are not for signing, or of
    /// a kind that is not offered, are left out: sets of big issuers hold some of them.
    ///
    /// # Errors
    /// Says what is wrong: not a JWK set, a broken or too weak key, no usable key, too many.
    pub fn insert(&mut self, name: impl Into<String>, jwks: &[u8]) -> Result<(), String> {
        let set = KeySet::parse(jwks)?;
        self.sets.insert(name.into(), Arc::new(set));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&KeySet> {
        self.sets.get(name).map(|set| &**set)
    }
}

#[derive(serde::Deserialize)]
struct Jwks {
    keys: Vec<key::Jwk>,
}

impl KeySet {
    fn parse(json: &[u8]) -> Result<Self, String> {
        let set: Jwks = serde_json::from_slice(json).map_err(|error| format!("not a JWK set: {}", shape(&error)))?;
        if set.keys.len() > KEYS_MAX {
            return Err(format!("{} keys; at most {KEYS_MAX}", set.keys.len()));
        }
        let keys = set
            .keys
            .into_iter()
            .enumerate()
            .filter_map(|(at, jwk)| jwk.key().map_err(|why| format!("key {at}: {why}")).transpose());
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("no key in it can check a signature".to_owned());
        }
        Ok(Self { keys })
    }
}

/// Where JSON is broken, without quoting it: a key might stand there.
fn shape(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

#[cfg(test)]
mod tests;
