//! `secrets`: secrets that a plugin may read (grant `secrets`).

use crate::bindings::contract::secrets::Host;
use crate::bindings::contract::types::Failure;
use crate::state::State;

impl Host for State {
    fn reveal(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, Failure>> {
        let secret = self.common.named.secret(&name);
        Ok(secret.map(|secret| secret.reveal().to_vec()).ok_or_else(|| self.denied("secret", &name, "secrets")))
    }
}
