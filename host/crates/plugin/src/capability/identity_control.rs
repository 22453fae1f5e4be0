//! `identity-control`: saying who the caller is, and which credential goes on
//! (grant `identity`).

use crate::bindings::contract::identity::Principal;
use crate::bindings::contract::identity_control::Host;
use crate::bindings::contract::types::{Credential, Failure};
use crate::jose::base64;
use crate::secrets::Secret;
use crate::state::{Phase, State};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use wire::exchange::Credential as Wanted;

/// Longest of subject, issuer and scheme, bytes.
const NAME_BYTES_MAX: usize = 4 * 1024;
/// Longest claims text, bytes.
const CLAIMS_BYTES_MAX: usize = 64 * 1024;

type Answer = wasmtime::Result<Result<(), Failure>>;

impl Host for State {
    fn set_principal(&mut self, who: Principal) -> Answer {
        Ok(self.check(&who).map(|()| {
            self.remember_shared();
            if let Some(exchange) = &mut self.exchange {
                exchange.shared.principal = Some(Box::new(wire::exchange::Principal {
                    subject: who.subject,
                    issuer: who.issuer,
                    scheme: who.scheme,
                    claims: who.claims,
                    expires: who.expires,
                }));
            }
        }))
    }

    fn clear_principal(&mut self) -> Answer {
        Ok(self.on_the_way_in().map(|()| {
            self.remember_shared();
            if let Some(exchange) = &mut self.exchange {
                exchange.shared.principal = None;
            }
        }))
    }

    fn forward_credential(&mut self, what: Credential) -> Answer {
        Ok(self.on_the_way_in().and_then(|()| self.wanted(what)).map(|credential| {
            self.remember_shared();
            if let Some(exchange) = &mut self.exchange {
                exchange.shared.credential = credential;
            }
        }))
    }
}

impl State {
    /// Identity is settled before the backend is asked: later it decides nothing any more.
    fn on_the_way_in(&self) -> Result<(), Failure> {
        match self.phase {
            Phase::Request => Ok(()),
            Phase::RequestBody | Phase::Response | Phase::ResponseBody | Phase::Completion => Err(Failure::Conflict),
            Phase::Outside | Phase::Tick => Err(Failure::Denied),
        }
    }

    fn check(&self, who: &Principal) -> Result<(), Failure> {
        self.on_the_way_in()?;
        if [&who.subject, &who.issuer, &who.scheme].into_iter().any(|text| text.len() > NAME_BYTES_MAX)
            || who.claims.len() > CLAIMS_BYTES_MAX
        {
            return Err(Failure::TooLarge);
        }
        if [&who.subject, &who.issuer, &who.scheme].into_iter().any(|text| text.contains(char::is_control)) {
            return Err(Failure::Invalid("a control character in subject, issuer or scheme".to_owned()));
        }
        match serde_json::from_str::<std::collections::BTreeMap<String, serde::de::IgnoredAny>>(&who.claims) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Invalid(format!("claims are not a JSON object: {error}"))),
        }
    }

    pub(super) fn wanted(&self, what: Credential) -> Result<Wanted, Failure> {
        match what {
            Credential::None => Ok(Wanted::None),
            Credential::Original => Ok(Wanted::Original),
            Credential::Bearer(token) => sensitive(AUTHORIZATION, b"Bearer ", token.as_bytes()),
            Credential::Basic((user, password)) => {
                if user.contains(':') {
                    return Err(Failure::Invalid("a user name can't hold a colon (RFC 7617 §2)".to_owned()));
                }
                let both = base64::encode(format!("{user}:{password}").as_bytes());
                sensitive(AUTHORIZATION, b"Basic ", both.as_bytes())
            }
            Credential::Stored(name) => sensitive(AUTHORIZATION, b"Bearer ", self.key(&name)?.reveal()),
            Credential::Field((field, name)) => {
                let field = crate::edit::writable(&field).map_err(Failure::Invalid)?;
                sensitive(field, b"", self.key(&name)?.reveal())
            }
        }
    }

    fn key(&self, name: &str) -> Result<&Secret, Failure> {
        self.common.named.key(name).ok_or_else(|| self.denied("key", name, "keys"))
    }
}

/// The field, marked so that nothing prints it.
fn sensitive(field: HeaderName, scheme: &[u8], value: &[u8]) -> Result<Wanted, Failure> {
    if scheme.len() + value.len() > crate::edit::VALUE_BYTES_MAX {
        return Err(Failure::TooLarge);
    }
    let mut value = HeaderValue::from_bytes(&[scheme, value].concat())
        .map_err(|_| Failure::Invalid("the credential holds a character that no header may carry".to_owned()))?;
    value.set_sensitive(true);
    Ok(Wanted::Field(field, value))
}

#[cfg(test)]
mod tests {
    use super::Host as _;
    use crate::bindings::contract::types::Failure;
    use crate::state::Phase;
    use crate::testing::{Ears, exchange, state};
    use std::sync::Arc;

    #[test]
    fn identity_is_settled_on_the_way_in() {
        let mut state = state(&Arc::new(Ears::default()), true);
        for (phase, allowed) in [
            (Phase::Outside, Some(Failure::Denied)),
            (Phase::Request, None),
            (Phase::Response, Some(Failure::Conflict)),
            (Phase::Completion, Some(Failure::Conflict)),
        ] {
            state.enter(phase, exchange("GET", "/"));
            let answer = state.clear_principal().expect("never a trap");
            assert_eq!(answer.err(), allowed, "{phase:?}");
            drop(state.leave());
        }
    }
}
