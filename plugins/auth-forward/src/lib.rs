//! `builtin:auth-forward`: hands the caller's credential and identity to the backend.
//!
//! On the way in it
//! 1. takes away every header that only this plugin may write, whoever sent it;
//! 2. finds the caller's credential: a bearer token (RFC 6750 §2.1) or a cookie;
//! 3. where a key set is configured, has the host verify it as a JWT;
//! 4. writes the credential, as it came, and the identity into the configured headers.
//!
//! *Identity is only what was proved*: the claims of a token that the host verified, or
//! the principal that an earlier plugin or the host set. Nothing inside an unverified
//! token is ever read. No log line, answer or error has a credential in it.
//!
//! # Settings
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `preset` | header names to start from: `plain` or `easy-auth` (Azure App Service) | `plain` |
//! | `headers` | table role → header name; an empty name switches the role off | the preset's |
//! | `key_set` | verify credentials as JWTs by this key set; a bad one is answered with 401 | none: not verified |
//! | `issuer`, `audience` | what the token must say (needs `key_set`) | not checked |
//! | `leeway_s` | clock difference allowed for `exp` and `nbf`, seconds, at most 600 | 60 |
//! | `cookie` | cookie that carries the credential where there is no bearer token | none |
//! | `require` | 401 for a request without credential or identity | false |
//! | `realm` | in `WWW-Authenticate` | `gatelodge` |
//! | `authorization` | the client's own `Authorization`: `keep` or `remove` | `keep` |
//! | `provider` | identity provider of `easy-auth` names: `aad`, `google`, ... | `aad` |
//! | `id_claim`, `name_claim`, `role_claim` | claims that mean these things | see [`identity`] |
//!
//! Roles and names: `token` (`x-auth-token`), `id` (`x-auth-id`), `name` (`x-auth-name`),
//! `issuer` (`x-auth-issuer`), `principal` (`x-auth-principal`: claims as base64 of JSON),
//! `expires` (`x-auth-expires`).
#![forbid(unsafe_code)]

pub mod base64;
pub mod credential;
pub mod decide;
pub mod identity;
pub mod names;
pub mod settings;

use decide::{Host, Outcome, Principal, Refusal};
use gatelodge_sdk::exchange::{self, Side};
use gatelodge_sdk::identity_control::{clear_principal, forward_credential, set_principal};
use gatelodge_sdk::{
    Config, Credential, Failure, Header, Plugin, Registration, RequestHead, Response, Verdict, View, clock, crypto,
    identity as wit_identity,
};
use settings::{KeySet, Settings};

gatelodge_sdk::manifest! {
    name: "auth-forward",
    version: env!("CARGO_PKG_VERSION"),
    description: "Hands the caller's credential and proven identity to the backend",
    grants: { "log": true, "identity": true },
}
gatelodge_sdk::export!(AuthForward; request_head);

/// The plugin: settings, read once.
pub struct AuthForward {
    settings: Settings,
}

impl Plugin for AuthForward {
    fn configure(config: Config) -> Result<(Self, Registration), String> {
        let settings = Settings::read(config)?;
        settings.keys.as_ref().map_or(Ok(()), known)?;
        Ok((Self { settings }, Registration::new()))
    }
}

impl RequestHead for AuthForward {
    fn request_head(&mut self, _view: &View) -> Verdict {
        // All lines, unjoined: both to see a repeated Authorization as what it is, and to
        // find every spelling of a name that must not pass.
        let headers = match exchange::headers(Side::Request) {
            Ok(headers) => headers,
            Err(failure) => return broken("the host does not show the headers", &failure),
        };
        let outcome = decide::decide(&self.settings, &headers, &Sandbox);
        self.carry_out(outcome).unwrap_or_else(|(what, failure)| broken(what, &failure))
    }
}

impl AuthForward {
    fn carry_out(&self, outcome: Outcome) -> Result<Verdict, (&'static str, Failure)> {
        if let Some(principal) = &outcome.proved {
            set_principal(&to_wit(principal)).map_err(|failure| ("the host does not take the principal", failure))?;
        }
        if outcome.expired {
            clear_principal().map_err(|failure| ("the host does not clear the principal", failure))?;
        }
        if self.settings.remove_authorization {
            forward_credential(&Credential::None)
                .map_err(|failure| ("the host does not take the credential", failure))?;
        }
        for warning in &outcome.warnings {
            gatelodge_sdk::warn!("{warning}");
        }
        Ok(outcome.verdict)
    }
}

/// Finds a misspelt key set at load instead of at the first request.
fn known(keys: &KeySet) -> Result<(), String> {
    let rules = crypto::TokenRules { issuer: None, audience: None, leeway_s: 0 };
    match crypto::verify_jwt(&keys.name, "", &rules) {
        Err(Failure::NotFound | Failure::Denied) => Err(format!("`key_set`: there is no key set `{}`", keys.name)),
        _ => Ok(()),
    }
}

/// The answer where the host does not do its part: nobody gets through unseen.
fn broken(what: &str, failure: &Failure) -> Verdict {
    Response::new(503).text("Authentication is not available.").reason(format!("{what}: {failure:?}")).verdict()
}

fn to_wit(principal: &Principal) -> wit_identity::Principal {
    wit_identity::Principal {
        subject: principal.subject.clone(),
        issuer: principal.issuer.clone(),
        scheme: principal.scheme.clone(),
        claims: principal.claims.clone(),
        expires: principal.expires,
    }
}

/// The host's part, from inside the sandbox.
struct Sandbox;

impl Host for Sandbox {
    fn verify(&self, keys: &KeySet, token: &str) -> Result<String, Refusal> {
        let rules = crypto::TokenRules {
            issuer: keys.issuer.clone(),
            audience: keys.audience.clone(),
            leeway_s: keys.leeway_s,
        };
        crypto::verify_jwt(&keys.name, token, &rules).map_err(|failure| match failure {
            Failure::Invalid(why) => Refusal::Invalid(why),
            Failure::TooLarge => Refusal::Invalid("the token is too long".to_owned()),
            Failure::Unavailable => Refusal::UnknownKey,
            other => Refusal::Broken(format!("{other:?}")),
        })
    }

    fn principal(&self) -> Option<Principal> {
        let wit_identity::Principal { subject, issuer, scheme, claims, expires } = wit_identity::get_principal()?;
        Some(Principal { subject, issuer, scheme, claims, expires })
    }

    fn unix_s(&self) -> u64 {
        clock::unix_ms() / 1000
    }
}

/// A header line, for the modules that only look.
pub type Line = Header;
