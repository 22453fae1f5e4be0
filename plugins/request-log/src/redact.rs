//! What must not be read in a log.
//!
//! A name says that its value is secret if one of its words is such a word (`api_key`,
//! `X-Amz-Signature`, `clientSecret`), or if it holds one of the longer ones anywhere
//! (`accesstoken`). Too much hidden is a nuisance, too little a breach: where the rule is
//! in doubt, it hides.

/// Stands in a secret's place.
pub const HIDDEN: &str = "[redacted]";

/// Words of a name that make it secret.
const WORDS: [&str; 13] =
    ["key", "code", "sig", "auth", "pass", "pwd", "jwt", "otp", "pin", "sid", "session", "ticket", "nonce"];

/// Parts of a name that make it secret wherever they stand.
const PARTS: [&str; 12] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "signature",
    "credential",
    "apikey",
    "authorization",
    "cookie",
    "sessionid",
    "assertion",
];

/// Further names from the settings, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(pub Vec<String>);

impl Secrets {
    /// True if the value of a parameter or header of this name must not be shown.
    #[must_use]
    pub fn is_secret(&self, name: &str) -> bool {
        let lower = name.to_lowercase();
        let squeezed: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
        self.0.contains(&lower)
            || PARTS.iter().any(|part| squeezed.contains(part))
            || words(name).iter().any(|word| WORDS.contains(&&word[..]))
            || lower == "www-authenticate"
            || lower.starts_with("x-ms-client-principal")
            || lower == "x-auth-principal"
    }

    /// A query with the values of secret parameters hidden. Names are compared decoded.
    #[must_use]
    pub fn query(&self, query: &str) -> String {
        let mut clean = String::with_capacity(query.len());
        for pair in query.split_inclusive(['&', ';']) {
            let (body, end) = match pair.strip_suffix(['&', ';']) {
                Some(body) => (body, pair.get(body.len()..).unwrap_or_default()),
                None => (pair, ""),
            };
            match body.split_once('=') {
                Some((name, value)) if !value.is_empty() && self.is_secret(&decoded(name)) => {
                    clean.extend([name, "=", HIDDEN]);
                }
                _ => clean.push_str(body),
            }
            clean.push_str(end);
        }
        clean
    }

    /// A header's value; one that is a URL loses the secrets of its query and user.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> String {
        if self.is_secret(name) {
            return HIDDEN.to_owned();
        }
        match name {
            "referer" | "referrer" | "location" | "content-location" | "origin" | "link" | "refresh" => self.url(value),
            _ => value.to_owned(),
        }
    }

    fn url(&self, url: &str) -> String {
        // The fragment of a redirect may hold tokens in the form of a query (RFC 6749 §4.2.2).
        let (rest, fragment) = match url.split_once('#') {
            Some((rest, fragment)) => (rest, format!("#{}", self.query(fragment))),
            None => (url, String::new()),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, format!("?{}", self.query(query))),
            None => (rest, String::new()),
        };
        let place = rest.find("://").map_or(0, |scheme| scheme + 3);
        let (scheme, rest) = rest.split_at(place);
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rfind('@').filter(|_| place > 0) {
            Some(at) => format!("{scheme}{HIDDEN}{}{query}{fragment}", rest.get(at..).unwrap_or_default()),
            None => format!("{scheme}{rest}{query}{fragment}"),
        }
    }
}

/// The words of a name in lower case: parted by what is no letter or digit, and where a
/// capital follows a small letter.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (small && c.is_uppercase()) {
            words.push(String::new());
        }
        small = c.is_lowercase() || c.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Percent-decoded, `+` as a space; what is no escape stays.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secret_names() {
        let secrets = Secrets(vec!["badge".into()]);
        for name in [
            "token",
            "access_token",
            "id-token",
            "accesstoken",
            "accessToken",
            "key",
            "api_key",
            "apiKey",
            "apikey",
            "X-Api-Key",
            "secret",
            "client_secret",
            "password",
            "pwd",
            "passwd",
            "code",
            "signature",
            "X-Amz-Signature",
            "sig",
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "set-cookie",
            "jwt",
            "badge",
            "BADGE",
            "session_id",
            "x-auth-token",
            "x-ms-token-aad-access-token",
            "x-ms-client-principal",
            "subscription-key",
            "auth",
            "SAMLAssertion",
            "www-authenticate",
        ] {
            assert!(secrets.is_secret(name), "{name}");
        }
        for name in
            ["q", "keyword", "keyboard", "page", "author", "encode", "design", "zipcode2", "user-agent", "badges"]
        {
            assert!(!secrets.is_secret(name), "{name}");
        }
    }

    #[test]
    fn hides_values_in_queries() {
        let secrets = Secrets(vec!["badge".into()]);
        for (query, expected) in [
            ("", ""),
            ("q=1", "q=1"),
            ("q=1&token=abc&r=2", "q=1&token=[redacted]&r=2"),
            ("token=a=b", "token=[redacted]"),
            ("%74oken=abc", "%74oken=[redacted]"),
            ("%54OKEN=abc;x=1", "%54OKEN=[redacted];x=1"),
            ("token", "token"),
            ("token=", "token="),
            ("badge=7&=x&&", "badge=[redacted]&=x&&"),
            ("user%5Bpassword%5D=p", "user%5Bpassword%5D=[redacted]"),
            ("%zz=1&%=2", "%zz=1&%=2"),
        ] {
            assert_eq!(secrets.query(query), expected);
        }
    }

    #[test]
    fn hides_values_in_headers() {
        let secrets = Secrets::default();
        for (name, value, expected) in [
            ("authorization", "Bearer abc", HIDDEN),
            ("cookie", "a=b", HIDDEN),
            ("user-agent", "curl/8", "curl/8"),
            ("referer", "https://a/b?code=1&q=2#frag", "https://a/b?code=[redacted]&q=2#frag"),
            ("location", "https://a/cb#access_token=1&x=2", "https://a/cb#access_token=[redacted]&x=2"),
            ("referer", "https://me:pw@a/b", "https://[redacted]@a/b"),
            ("location", "/in?token=1", "/in?token=[redacted]"),
            ("location", "/@here", "/@here"),
        ] {
            assert_eq!(secrets.header(name, value), expected, "{name}: {value}");
        }
    }
}
