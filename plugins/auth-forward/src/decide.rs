//! The decision about one request: pure, so that every case has a line in a table.

use crate::Line;
use crate::credential::{self, Found};
use crate::identity;
use crate::names::{self, Role};
use crate::settings::{KeySet, Settings};
use gatelodge_sdk::{Edits, Response, Verdict};
use serde_json::Value;

/// Who the caller is, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Id of the caller at its issuer.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// How it was proved: `bearer`, `cookie`, or what an earlier plugin says.
    pub scheme: String,
    /// One JSON object, as text.
    pub claims: String,
    /// Seconds since 1970; 0 = never.
    pub expires: u64,
}

/// Why a token is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Signature, time, issuer or audience; for the operator's log only.
    Invalid(String),
    /// No key of the set has the token's key id; the host may be fetching a newer set.
    UnknownKey,
    /// The host cannot verify at all; for the operator's log only.
    Broken(String),
}

/// What the decision asks the host.
pub trait Host {
    /// The claims of a token that is good.
    ///
    /// # Errors
    /// Why it is not.
    fn verify(&self, keys: &KeySet, token: &str) -> Result<String, Refusal>;
    /// The principal that an earlier plugin or the host proved.
    fn principal(&self) -> Option<Principal>;
    /// Seconds since 1970.
    fn unix_s(&self) -> u64;
}

/// What is to be done.
#[derive(Debug)]
pub struct Outcome {
    /// For the host.
    pub verdict: Verdict,
    /// A principal that this plugin proved, for later ones.
    pub proved: Option<Principal>,
    /// The earlier principal's time is over: it must not be seen by later plugins.
    pub expired: bool,
    /// For the operator's log.
    pub warnings: Vec<String>,
}

impl Outcome {
    fn refuse(response: Response) -> Self {
        Self { verdict: response.verdict(), proved: None, expired: false, warnings: Vec::new() }
    }
}

/// Longest header value that is written, bytes; what is longer is left out, with a warning.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Decides about a request with these headers.
#[must_use]
pub fn decide(settings: &Settings, headers: &[Line], host: &impl Host) -> Outcome {
    let found = credential::find(headers, settings.cookie.as_deref());
    let proved = match verified(settings, found, host) {
        Ok(proved) => proved,
        Err(response) => return Outcome::refuse(response),
    };
    let earlier = if proved.is_some() || found == Found::Ambiguous { None } else { host.principal() };
    let expired = earlier.as_ref().is_some_and(|principal| is_over(principal, host.unix_s()));
    let earlier = earlier.filter(|_| !expired);
    let identity = proved.as_ref().or(earlier.as_ref());

    let credential = match found {
        Found::Bearer(text) | Found::Cookie(text) => Some(text),
        Found::Nothing | Found::Ambiguous => None,
    };
    // With keys an unverified credential never gets here.
    if settings.require && credential.is_none() && identity.is_none() {
        return Outcome { expired, ..Outcome::refuse(unauthorized(settings, None, "no credential")) };
    }
    let mut values = identity.map_or_else(Vec::new, |principal| identity::values(settings, principal));
    values.extend(credential.map(|text| (Role::Token, text.to_owned())));
    let mut warnings = Vec::new();
    let verdict = edits(settings, headers, values, &mut warnings).verdict();
    Outcome { verdict, proved, expired, warnings }
}

/// The principal that the credential proves, where keys are configured.
fn verified(settings: &Settings, found: Found<'_>, host: &impl Host) -> Result<Option<Principal>, Response> {
    let (token, scheme) = match found {
        Found::Nothing => return Ok(None),
        Found::Ambiguous if settings.require || settings.keys.is_some() => {
            return Err(unauthorized(
                settings,
                Some("The credential is repeated or malformed"),
                "ambiguous credential",
            ));
        }
        Found::Ambiguous => return Ok(None),
        Found::Bearer(token) => (token, "bearer"),
        Found::Cookie(token) => (token, "cookie"),
    };
    let Some(keys) = &settings.keys else { return Ok(None) };
    let bad = |why: &str| unauthorized(settings, Some("The token is expired, revoked or malformed"), why);
    match host.verify(keys, token) {
        Ok(claims) => principal(claims, scheme).map(Some).ok_or_else(|| bad("the claims are not one JSON object")),
        Err(Refusal::Invalid(why)) => Err(bad(&why)),
        // Nobody can tell a stranger's key from one that is new since the last fetch. For both the
        // client's next step is the same: come back with a fresh token (RFC 6750 §3.1).
        Err(Refusal::UnknownKey) => Err(unauthorized(
            settings,
            Some("The token's key is not known"),
            "no key of the set has the token's key id",
        )),
        Err(Refusal::Broken(why)) => Err(unavailable(&why)),
    }
}

fn principal(claims: String, scheme: &str) -> Option<Principal> {
    let Ok(Value::Object(object)) = serde_json::from_str(&claims) else { return None };
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (subject, issuer) = (text("sub"), text("iss"));
    let expires = object.get("exp").map_or(0, seconds);
    Some(Principal { subject, issuer, scheme: scheme.to_owned(), claims, expires })
}

/// A NumericDate (RFC 7519 §2), which may have a fraction. The host has checked it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast to an integer saturates")]
fn seconds(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_f64().unwrap_or_default() as u64)
}

fn is_over(principal: &Principal, now: u64) -> bool {
    principal.expires != 0 && principal.expires <= now
}

/// RFC 6750 §3: the challenge has an error code only where a credential was given.
fn unauthorized(settings: &Settings, error: Option<&str>, reason: &str) -> Response {
    let mut challenge = format!("Bearer realm=\"{}\"", settings.realm);
    if let Some(description) = error {
        challenge.push_str(&format!(", error=\"invalid_token\", error_description=\"{description}\""));
    }
    Response::new(401)
        .header("www-authenticate", challenge)
        .header("cache-control", "no-store")
        .text("Authentication is required.")
        .reason(reason)
}

fn unavailable(reason: &str) -> Response {
    Response::new(503).header("cache-control", "no-store").text("Authentication is not available.").reason(reason)
}

/// Takes away what only this plugin may write, then writes.
fn edits(settings: &Settings, headers: &[Line], values: Vec<(Role, String)>, warnings: &mut Vec<String>) -> Edits {
    let mut gone: Vec<&str> = Vec::new();
    for Line { name, .. } in headers {
        if names::is_ours(name, &settings.headers) && !gone.contains(&&name[..]) {
            gone.push(name);
        }
    }
    let mut edits = gone.into_iter().fold(Edits::new(), |edits, name| edits.remove(name));
    for (role, value) in values {
        let Some((_, name)) = settings.headers.iter().find(|(known, _)| *known == role) else { continue };
        if fits(&value) {
            edits = edits.set_header(name, value);
        } else {
            // The value itself stays out of the log: it may be a secret.
            warnings.push(format!("{name} is not written: {} bytes that are no header value", value.len()));
        }
    }
    edits
}

/// True for a value that arrives as it was sent: no control, no space at its ends
/// (RFC 9110 §5.5), at most [`VALUE_BYTES_MAX`].
fn fits(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX
        && value.trim_matches(' ').len() == value.len()
        && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
