//! The settings, checked once.

use crate::names::{self, ROLES, Role};
use gatelodge_sdk::{Config, nearest};

/// How tokens are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// Its name in plugins.toml.
    pub name: String,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must have.
    pub audience: Option<String>,
    /// Clock difference allowed, seconds.
    pub leeway_s: u32,
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Headers to write, at most one per role.
    pub headers: Vec<(Role, String)>,
    /// App Service's shapes of values instead of plain ones.
    pub easy_auth: bool,
    /// Identity provider in lower case.
    pub provider: String,
    /// Verifies tokens.
    pub keys: Option<KeySet>,
    /// Cookie with the credential.
    pub cookie: Option<String>,
    /// Nobody gets through without credential or identity.
    pub require: bool,
    /// The client's own `Authorization` does not go on.
    pub remove_authorization: bool,
    /// In `WWW-Authenticate`; printable, without quote and backslash.
    pub realm: String,
    /// Claim that is the caller's id.
    pub id_claim: Option<String>,
    /// Claim that is the caller's name.
    pub name_claim: Option<String>,
    /// Claim that lists the caller's roles.
    pub role_claim: String,
}

/// Largest `leeway_s`, seconds; default 60.
pub const LEEWAY_S_MAX: u32 = 600;
const LEEWAY_S: u32 = 60;

impl Settings {
    /// Reads and checks.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn read(mut config: Config) -> Result<Self, String> {
        let easy_auth = config.choice("preset", &["plain", "easy-auth"]) == Some("easy-auth");
        let provider = provider(&mut config);
        let headers = headers(&mut config, easy_auth, &provider);
        let keys = keys(&mut config);
        let cookie = config.string("cookie");
        if cookie.as_ref().is_some_and(|name| names::check(name).is_err()) {
            config.problem("cookie", "is not a cookie's name");
        }
        let realm = config.string("realm").unwrap_or_else(|| "gatelodge".to_owned());
        if !realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            config.problem("realm", "must be printable ASCII without quotes and backslashes");
        }
        let settings = Self {
            headers,
            easy_auth,
            provider,
            keys,
            cookie,
            realm,
            require: config.flag("require", false),
            remove_authorization: config.choice("authorization", &["keep", "remove"]) == Some("remove"),
            id_claim: config.string("id_claim"),
            name_claim: config.string("name_claim"),
            role_claim: config.string("role_claim").unwrap_or_else(|| "roles".to_owned()),
        };
        config.finish()?;
        Ok(settings)
    }
}

fn provider(config: &mut Config) -> String {
    let provider = config.string("provider").unwrap_or_else(|| "aad".to_owned()).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if provider.is_empty() || provider.len() > 64 || !provider.bytes().all(plain) {
        config.problem("provider", "must be letters, digits and hyphens, at most 64");
    }
    provider
}

/// The preset's names with what `headers` changes.
fn headers(config: &mut Config, easy_auth: bool, provider: &str) -> Vec<(Role, String)> {
    let mut headers: Vec<(Role, String)> = ROLES
        .iter()
        .map(|(role, _, plain, easy)| {
            (*role, if easy_auth { easy.replace("{}", provider) } else { (*plain).to_owned() })
        })
        .collect();
    let Some(mut table) = config.table("headers") else { return headers };
    for (key, name) in table.pairs() {
        let Some((role, ..)) = ROLES.iter().find(|(_, known, ..)| *known == key) else {
            let known = ROLES.iter().map(|(_, known, ..)| *known);
            let hint = nearest(&key, known.clone()).map_or_else(
                || format!("known are {}", known.collect::<Vec<_>>().join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            table.problem(&key, &format!("unknown role; {hint}"));
            continue;
        };
        headers.retain(|(known, _)| known != role);
        if name.is_empty() {
            continue;
        }
        match names::check(&name) {
            Ok(name) => headers.push((*role, name)),
            Err(why) => table.problem(&key, &why),
        }
    }
    for (index, (_, name)) in headers.iter().enumerate() {
        if headers.iter().skip(index + 1).any(|(_, other)| other == name) {
            table.problem(name, "is the header of two roles");
        }
    }
    config.close(table);
    headers
}

fn keys(config: &mut Config) -> Option<KeySet> {
    let issuer = config.string("issuer");
    let audience = config.string("audience");
    let leeway = config.number("leeway_s", LEEWAY_S.into(), LEEWAY_S_MAX.into());
    let leeway_s = u32::try_from(leeway).unwrap_or(LEEWAY_S_MAX);
    let Some(name) = config.string("key_set") else {
        for (key, value) in [("issuer", &issuer), ("audience", &audience)] {
            if value.is_some() {
                config.problem(key, "needs `key_set`: without keys nothing of a token is believed");
            }
        }
        return None;
    };
    if name.is_empty() {
        config.problem("key_set", "is empty");
    }
    Some(KeySet { name, issuer, audience, leeway_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        Settings::read(Config::parse(json).expect("JSON"))
    }

    #[test]
    fn nothing_configured_is_plain_and_demands_nothing() {
        let settings = read("{}").unwrap();
        assert!(!settings.require && !settings.easy_auth && !settings.remove_authorization);
        assert_eq!((settings.keys, settings.cookie), (None, None));
        let names: Vec<_> = settings.headers.iter().map(|(_, name)| &name[..]).collect();
        assert_eq!(
            names,
            ["x-auth-token", "x-auth-id", "x-auth-name", "x-auth-issuer", "x-auth-principal", "x-auth-expires"]
        );
    }

    #[test]
    fn reads_all_keys() {
        let settings = read(
            r#"{"preset":"easy-auth","provider":"Google","key_set":"login","issuer":"https://i","audience":"a",
            "leeway_s":600,"cookie":"session","require":true,"realm":"site","authorization":"remove",
            "id_claim":"oid","name_claim":"upn","role_claim":"groups","headers":{"token":"","id":"X-User"}}"#,
        )
        .unwrap();
        let keys = settings.keys.unwrap();
        assert_eq!((&keys.name[..], keys.leeway_s), ("login", 600));
        assert!(settings.easy_auth && settings.require && settings.remove_authorization);
        assert!(settings.headers.contains(&(Role::Id, "x-user".into())));
        assert!(settings.headers.contains(&(Role::Expires, "x-ms-token-google-expires-on".into())));
        assert!(!settings.headers.iter().any(|(role, _)| *role == Role::Token));
    }

    #[test]
    fn refuses_with_all_problems() {
        for (json, part) in [
            (r#"{"keyset":"a"}"#, "`keyset`: unknown key; did you mean `key_set`?"),
            (r#"{"require":"yes"}"#, "`require`: must be true or false, not a text"),
            (r#"{"preset":"easyauth"}"#, "did you mean `easy-auth`?"),
            (r#"{"leeway_s":601}"#, "601 is above 600"),
            (r#"{"issuer":"x"}"#, "`issuer`: needs `key_set`"),
            (r#"{"audience":"x"}"#, "`audience`: needs `key_set`"),
            (r#"{"key_set":""}"#, "`key_set`: is empty"),
            (r#"{"realm":"a\"b"}"#, "`realm`: must be printable"),
            (r#"{"cookie":"a b"}"#, "`cookie`: is not a cookie's name"),
            (r#"{"provider":"a/b"}"#, "`provider`: must be letters"),
            (r#"{"headers":{"tokn":"x-a"}}"#, "`headers.tokn`: unknown role; did you mean `token`?"),
            (r#"{"headers":{"id":"Connection"}}"#, "`headers.id`: `connection` cannot be written"),
            (r#"{"headers":{"id":"ms-aspnetcore-token"}}"#, "host and backend"),
            (r#"{"headers":{"id":"a b"}}"#, "not a header name"),
            (r#"{"headers":{"id":1}}"#, "`headers.id`: must be a text"),
            (r#"{"headers":{"id":"x-auth-name"}}"#, "is the header of two roles"),
            (r#"{"headers":[]}"#, "`headers`: must be a table, not a list"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
        assert_eq!(read(r#"{"a":1,"b":2,"require":3}"#).unwrap_err().lines().count(), 3);
    }
}
