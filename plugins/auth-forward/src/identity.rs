//! From a proved principal to header values.
//!
//! The caller's *id* is `id_claim`, by default the subject (with `easy-auth`: `oid`
//! before it, as App Service does for Entra ID). The *name* is `name_claim`, by default
//! the first there is of `preferred_username`, `upn`, `email`, `name`, else the subject.
//! Roles are told inside the principal only, whose `role_typ` says which claim they are.

use crate::base64;
use crate::decide::Principal;
use crate::names::Role;
use crate::settings::Settings;
use gatelodge_sdk::rfc3339;
use serde_json::{Map, Value, json};

const NAME_CLAIMS: [&str; 4] = ["preferred_username", "upn", "email", "name"];

/// Values by role; a role that the principal says nothing about is absent.
#[must_use]
pub fn values(settings: &Settings, principal: &Principal) -> Vec<(Role, String)> {
    let claims = claims(principal);
    let (name_claim, name) = name(settings, principal, &claims);
    let issuer = if settings.easy_auth { settings.provider.clone() } else { principal.issuer.clone() };
    let document = if settings.easy_auth {
        client_principal(settings, &claims, &name_claim).to_string()
    } else {
        Value::Object(claims.clone()).to_string()
    };
    let mut values = vec![
        (Role::Id, id(settings, principal, &claims)),
        (Role::Name, name),
        (Role::Issuer, issuer),
        (Role::Principal, base64::encode(document.as_bytes())),
    ];
    if principal.expires > 0 {
        let plain = principal.expires.to_string();
        values.push((
            Role::Expires,
            if settings.easy_auth { rfc3339(principal.expires.saturating_mul(1000)) } else { plain },
        ));
    }
    values.retain(|(_, value)| !value.is_empty());
    values
}

/// The claims, with the subject among them.
fn claims(principal: &Principal) -> Map<String, Value> {
    let mut claims = match serde_json::from_str(&principal.claims) {
        Ok(Value::Object(claims)) => claims,
        _ => Map::new(),
    };
    if !claims.contains_key("sub") && !principal.subject.is_empty() {
        claims.insert("sub".to_owned(), Value::String(principal.subject.clone()));
    }
    claims
}

fn id(settings: &Settings, principal: &Principal, claims: &Map<String, Value>) -> String {
    let default = settings.easy_auth.then_some("oid");
    let chosen = settings.id_claim.as_deref();
    match chosen.or(default).and_then(|claim| one(claims, claim)) {
        Some(id) => id,
        // A claim that was asked for by name is not replaced by another.
        None if chosen.is_some() => String::new(),
        None => principal.subject.clone(),
    }
}

/// The claim that is the name, and its value.
fn name(settings: &Settings, principal: &Principal, claims: &Map<String, Value>) -> (String, String) {
    if let Some(claim) = &settings.name_claim {
        return (claim.clone(), one(claims, claim).unwrap_or_default());
    }
    let found = NAME_CLAIMS.iter().find_map(|claim| Some(((*claim).to_owned(), one(claims, claim)?)));
    found.unwrap_or_else(|| ("sub".to_owned(), principal.subject.clone()))
}

/// A claim with one value.
fn one(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let mut texts = texts(claims.get(name)?);
    let first = texts.pop()?;
    // Of several nobody could say which is meant.
    texts.is_empty().then_some(first)
}

/// The values of a claim as texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

/// What App Service puts into `X-MS-CLIENT-PRINCIPAL`, before base64.
fn client_principal(settings: &Settings, claims: &Map<String, Value>, name_claim: &str) -> Value {
    let list: Vec<Value> = claims
        .iter()
        .flat_map(|(name, value)| texts(value).into_iter().map(move |text| json!({ "typ": name, "val": text })))
        .collect();
    json!({
        "auth_typ": settings.provider,
        "claims": list,
        "name_typ": name_claim,
        "role_typ": settings.role_claim,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatelodge_sdk::Config;

    fn settings(json: &str) -> Settings {
        Settings::read(Config::parse(json).expect("JSON")).expect("settings")
    }

    fn principal(claims: &str) -> Principal {
        let (subject, issuer, scheme) = ("s1".to_owned(), "https://i".to_owned(), "bearer".to_owned());
        Principal { subject, issuer, scheme, claims: claims.to_owned(), expires: 1_490_999_713 }
    }

    fn value(json: &str, claims: &str, role: Role) -> Option<String> {
        let values = values(&settings(json), &principal(claims));
        values.into_iter().find(|(found, _)| *found == role).map(|(_, value)| value)
    }

    #[test]
    fn chooses_id_and_name() {
        let easy = r#"{"preset":"easy-auth"}"#;
        for (json, claims, id, name) in [
            ("{}", "{}", Some("s1"), Some("s1")),
            ("{}", r#"{"oid":"o1","name":"Ann"}"#, Some("s1"), Some("Ann")),
            (easy, r#"{"oid":"o1","name":"Ann","upn":"ann@x"}"#, Some("o1"), Some("ann@x")),
            (easy, r#"{"name":["Ann","Bob"]}"#, Some("s1"), Some("s1")),
            (r#"{"id_claim":"uid","name_claim":"nick"}"#, r#"{"uid":7,"nick":"a"}"#, Some("7"), Some("a")),
            (r#"{"id_claim":"uid","name_claim":"nick"}"#, r#"{"name":"Ann"}"#, None, None),
            ("{}", "not JSON", Some("s1"), Some("s1")),
        ] {
            assert_eq!(value(json, claims, Role::Id).as_deref(), id, "{json} {claims}");
            assert_eq!(value(json, claims, Role::Name).as_deref(), name, "{json} {claims}");
        }
    }

    #[test]
    fn shapes_the_principal_as_app_service_does() {
        let json = r#"{"preset":"easy-auth","role_claim":"groups"}"#;
        let claims = r#"{"groups":["a","b"],"name":"Zoë","ver":2,"deep":{"k":[1]},"none":null}"#;
        let expected = concat!(
            r#"{"auth_typ":"aad","claims":[{"typ":"deep","val":"{\"k\":[1]}"},{"typ":"groups","val":"a"},"#,
            r#"{"typ":"groups","val":"b"},{"typ":"name","val":"Zoë"},{"typ":"sub","val":"s1"},{"typ":"ver","val":"2"}],"#,
            r#""name_typ":"name","role_typ":"groups"}"#
        );
        assert_eq!(value(json, claims, Role::Principal), Some(base64::encode(expected.as_bytes())));
        assert_eq!(value(json, claims, Role::Issuer).as_deref(), Some("aad"));
        assert_eq!(value(json, claims, Role::Expires).as_deref(), Some("2017-03-31T22:35:13.000Z"));
    }

    #[test]
    fn tells_plain_claims_as_they_are() {
        let expected = r#"{"n":1,"sub":"s2"}"#;
        assert_eq!(value("{}", r#"{"sub":"s2","n":1}"#, Role::Principal), Some(base64::encode(expected.as_bytes())));
        assert_eq!(value("{}", "{}", Role::Issuer).as_deref(), Some("https://i"));
        assert_eq!(value("{}", "{}", Role::Expires).as_deref(), Some("1490999713"));
    }
}
