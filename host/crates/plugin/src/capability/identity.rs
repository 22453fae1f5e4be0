//! `identity`: who the caller is, as far as earlier plugins found out.

use crate::bindings::contract::identity::{Host, Principal};
use crate::state::State;

impl Host for State {
    fn get_principal(&mut self) -> wasmtime::Result<Option<Principal>> {
        let exchange = self.exchange.as_ref();
        Ok(exchange.and_then(|exchange| exchange.shared.principal.as_ref()).map(|who| Principal {
            subject: who.subject.clone(),
            issuer: who.issuer.clone(),
            scheme: who.scheme.clone(),
            claims: who.claims.clone(),
            expires: who.expires,
        }))
    }
}
