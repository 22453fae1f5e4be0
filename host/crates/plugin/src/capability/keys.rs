//! `keys`: secrets that a plugin uses and never sees (grant `keys`).

use crate::bindings::contract::keys::Host;
use crate::bindings::contract::types::Failure;
use crate::state::State;

impl Host for State {
    fn hmac_sha256(&mut self, name: String, data: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        super::crypto::bounded(data.len())?;
        let key = self.common.named.key(&name);
        Ok(key.map(|key| key.hmac_sha256(&data)).ok_or_else(|| self.denied("key", &name, "keys")))
    }
}
