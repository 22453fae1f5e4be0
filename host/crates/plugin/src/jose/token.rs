//! Checking a compact token against a key set.

use super::KeySet;
use super::base64::decode_url;
use super::key::Alg;

/// Longest token, bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Most keys that are tried for a token that names none.
const TRIED_KEYS_MAX: usize = 16;
/// Most leeway that a plugin can ask for, seconds.
const LEEWAY_S_MAX: u32 = 600;

/// What a token must say besides being signed.
pub(crate) struct Rules<'a> {
    /// The only issuer that is taken.
    pub(crate) issuer: Option<&'a str>,
    /// Must be among the token's audiences.
    pub(crate) audience: Option<&'a str>,
    /// Tolerance for clocks that differ, seconds; at most 600 is granted.
    pub(crate) leeway_s: u32,
    /// Now, seconds since 1970.
    pub(crate) now_s: u64,
}

/// Why a token is not taken. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the token is too long")]
    TooLong,
    #[error("not a signed token in compact form")]
    Malformed,
    #[error("the token demands an extension (crit) that is not known")]
    Critical,
    #[error("the token's algorithm is not allowed for its key")]
    Algorithm,
    #[error("no key of the set has the token's key id")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the claims are not a JSON object of the right shape")]
    Claims,
    #[error("the token has no expiry")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
}

#[derive(serde::Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
    /// RFC 7797: an unencoded payload would be another message.
    b64: Option<serde::de::IgnoredAny>,
}

#[derive(serde::Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl KeySet {
    /// Checks the signature; gives the payload.
    pub(crate) fn verify(&self, token: &str) -> Result<String, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (head, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
        let head = decode_url(head).ok_or(Refusal::Malformed)?;
        let payload = decode_url(payload).ok_or(Refusal::Malformed)?;
        let signature = decode_url(signature).ok_or(Refusal::Malformed)?;
        let head: Header = serde_json::from_slice(&head).map_err(|_| Refusal::Malformed)?;
        if head.crit.is_some() || head.b64.is_some() {
            return Err(Refusal::Critical);
        }
        let alg = Alg::parse(&head.alg).ok_or(Refusal::Algorithm)?;
        self.verify_with(alg, head.kid.as_deref(), message.as_bytes(), &signature)?;
        String::from_utf8(payload).map_err(|_| Refusal::Claims)
    }

    /// Checks signature and claims; gives the claims.
    pub(crate) fn verify_claims(&self, token: &str, rules: &Rules<'_>) -> Result<String, Refusal> {
        let payload = self.verify(token)?;
        let claims: Claims = serde_json::from_str(&payload).map_err(|_| Refusal::Claims)?;
        check(&claims, rules)?;
        Ok(payload)
    }

    fn verify_with(&self, alg: Alg, id: Option<&str>, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let named = |key: &&super::key::Key| id.is_none() || key.id.as_deref() == id;
        let mut known = self.keys.iter().filter(named).peekable();
        if known.peek().is_none() {
            return Err(Refusal::UnknownKey);
        }
        let mut allowed = known.filter(|key| key.allows(alg)).take(TRIED_KEYS_MAX).peekable();
        if allowed.peek().is_none() {
            return Err(Refusal::Algorithm);
        }
        if allowed.any(|key| key.verify(alg, message, signature)) { Ok(()) } else { Err(Refusal::Signature) }
    }
}

/// RFC 7519 §4.1. An expiry is demanded: a token without one would be good for ever.
fn check(claims: &Claims, rules: &Rules<'_>) -> Result<(), Refusal> {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 stay exact in 52 bits")]
    let now = rules.now_s as f64;
    let leeway = f64::from(rules.leeway_s.min(LEEWAY_S_MAX));
    match claims.exp {
        None => return Err(Refusal::NoExpiry),
        Some(expiry) if expiry + leeway > now => {}
        Some(_) => return Err(Refusal::Expired),
    }
    if claims.nbf.is_some_and(|begin| begin > now + leeway) {
        return Err(Refusal::NotYet);
    }
    if rules.issuer.is_some() && claims.iss.as_deref() != rules.issuer {
        return Err(Refusal::Issuer);
    }
    if let Some(wanted) = rules.audience {
        let meant = match &claims.aud {
            Some(Audience::One(name)) => name == wanted,
            Some(Audience::Many(names)) => names.iter().any(|name| name == wanted),
            None => false,
        };
        if !meant {
            return Err(Refusal::Audience);
        }
    }
    Ok(())
}
