//! Names of headers: which ones only this plugin may write, and which it may not.

/// What a header that this plugin writes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The credential as it came.
    Token,
    /// The caller's id.
    Id,
    /// The caller's name for people.
    Name,
    /// Who vouches for the caller.
    Issuer,
    /// All claims, as base64 of JSON.
    Principal,
    /// When the proof ends.
    Expires,
}

/// All roles with their keys in `headers`, their `plain` names and their `easy-auth`
/// names, where `{}` stands for the provider.
pub const ROLES: [(Role, &str, &str, &str); 6] = [
    (Role::Token, "token", "x-auth-token", "x-ms-token-{}-access-token"),
    (Role::Id, "id", "x-auth-id", "x-ms-client-principal-id"),
    (Role::Name, "name", "x-auth-name", "x-ms-client-principal-name"),
    (Role::Issuer, "issuer", "x-auth-issuer", "x-ms-client-principal-idp"),
    (Role::Principal, "principal", "x-auth-principal", "x-ms-client-principal"),
    (Role::Expires, "expires", "x-auth-expires", "x-ms-token-{}-expires-on"),
];

/// Families of names that an application behind App Service believes.
const EASY_AUTH: [&str; 2] = ["x-ms-client-principal", "x-ms-token-"];

/// True if nobody but this plugin may write a header of this name: those of both
/// presets, all of App Service's families, and `configured` ones. `_` counts as `-`,
/// because CGI-like environments cannot tell them apart.
#[must_use]
pub fn is_ours(name: &str, configured: &[(Role, String)]) -> bool {
    let name = fold(name);
    EASY_AUTH.iter().any(|family| name.starts_with(family))
        || ROLES.iter().any(|(_, _, plain, _)| name == *plain)
        || configured.iter().any(|(_, own)| name == fold(own))
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Checks a name that an operator wants written.
///
/// # Errors
/// Why it will not do.
pub fn check(name: &str) -> Result<String, String> {
    // RFC 9110 §5.6.2.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_token) {
        return Err(format!("`{}` is not a header name", name.escape_default()));
    }
    let name = name.to_ascii_lowercase();
    match owner(&fold(&name)) {
        None => Ok(name),
        Some(owner) => Err(format!("`{name}` cannot be written by this plugin: {owner}")),
    }
}

/// Longest header name that settings may have, bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Whose name it is, if it cannot be ours.
fn owner(name: &str) -> Option<&'static str> {
    const HOPS: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    const FORWARDED: [&str; 3] = ["forwarded", "x-real-ip", "proxy"];
    const REQUEST: [&str; 6] = ["host", "content-length", "content-type", "content-encoding", "expect", "date"];
    const REWRITE: [&str; 3] = ["x-original-url", "x-rewrite-url", "x-iis-windowsauthtoken"];
    if HOPS.contains(&name) {
        Some("it is about one connection (RFC 9110 §7.6.1)")
    } else if name.starts_with("ms-aspnetcore") {
        Some("it belongs to host and backend")
    } else if FORWARDED.contains(&name) || name.starts_with("x-forwarded-") || name.starts_with("x-original-") {
        Some("it tells where the request came from")
    } else if REQUEST.contains(&name) || REWRITE.contains(&name) {
        Some("it describes the request itself")
    } else if matches!(name, "authorization" | "cookie") {
        Some("the client's own goes on as it came, or not at all by `authorization = \"remove\"`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_names_in_every_spelling() {
        let configured = [(Role::Id, "x-user_id".to_owned())];
        for (name, ours) in [
            ("x-ms-client-principal", true),
            ("X-MS-CLIENT-PRINCIPAL-NAME", true),
            ("x_ms_client_principal_id", true),
            ("x-ms-token-google-id-token", true),
            ("X-Ms_Token-AAD-ACCESS-TOKEN", true),
            ("x-auth-token", true),
            ("X_AUTH_PRINCIPAL", true),
            ("x-user_id", true),
            ("x-user-id", true),
            ("X-USER-ID", true),
            ("authorization", false),
            ("x-auth", false),
            ("x-ms-version", false),
            ("x-user", false),
        ] {
            assert_eq!(is_ours(name, &configured), ours, "{name}");
        }
    }

    #[test]
    fn every_name_of_a_preset_is_ours_and_writable() {
        for (_, _, plain, easy_auth) in ROLES {
            for name in [plain.to_owned(), easy_auth.replace("{}", "aad")] {
                assert!(is_ours(&name, &[]), "{name}");
                assert_eq!(check(&name).as_deref(), Ok(&name[..]));
            }
        }
    }

    #[test]
    fn refuses_names_that_belong_to_others() {
        for (name, part) in [
            ("", "not a header name"),
            ("a b", "not a header name"),
            ("a\r\nb", "not a header name"),
            ("é", "not a header name"),
            ("Connection", "one connection"),
            ("Transfer_Encoding", "one connection"),
            ("MS-ASPNETCORE-TOKEN", "host and backend"),
            ("ms_aspnetcore_user", "host and backend"),
            ("X-Forwarded-For", "came from"),
            ("x-original-host", "came from"),
            ("Host", "the request itself"),
            ("content-length", "the request itself"),
            ("Authorization", "as it came"),
            ("cookie", "as it came"),
        ] {
            let error = check(name).unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
        assert_eq!(check("X-User").as_deref(), Ok("x-user"));
        assert!(check(&"a".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(check(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
    }
}
