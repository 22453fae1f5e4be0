//! The caller's credential, as it came.

use crate::Line;

/// What the request carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing that this plugin understands: no `Authorization` of the bearer scheme, no cookie.
    Nothing,
    /// One that applications could take for another: repeated, or not of its shape.
    Ambiguous,
    /// A bearer token (RFC 6750 §2.1).
    Bearer(&'a str),
    /// The value of the configured cookie.
    Cookie(&'a str),
}

/// Finds the credential; the bearer token goes before the cookie named `cookie`.
#[must_use]
pub fn find<'a>(headers: &'a [Line], cookie: Option<&str>) -> Found<'a> {
    match bearer(headers) {
        Found::Nothing => cookie.map_or(Found::Nothing, |name| in_cookies(headers, name)),
        found => found,
    }
}

fn bearer(headers: &[Line]) -> Found<'_> {
    let mut lines = headers.iter().filter(|line| line.name.eq_ignore_ascii_case("authorization"));
    let Some(line) = lines.next() else { return Found::Nothing };
    // RFC 9110 §5.3: a field that is no list must not be repeated. Who takes which differs.
    if lines.next().is_some() {
        return Found::Ambiguous;
    }
    let Ok(text) = std::str::from_utf8(&line.value) else { return Found::Ambiguous };
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        // Two lines that somebody joined before us.
        let joined = text
            .split(',')
            .skip(1)
            .any(|part| part.trim_start().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")));
        return if joined { Found::Ambiguous } else { Found::Nothing };
    }
    let token = rest.trim_matches(' ');
    if is_token68(token) { Found::Bearer(token) } else { Found::Ambiguous }
}

/// RFC 9110 §11.2; the b64token of RFC 6750 §2.1 is the same.
fn is_token68(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// RFC 6265 §4.2; several cookies of the name with different values are ambiguous.
fn in_cookies<'a>(headers: &'a [Line], name: &str) -> Found<'a> {
    let mut found = Found::Nothing;
    for line in headers.iter().filter(|line| line.name.eq_ignore_ascii_case("cookie")) {
        for pair in line.value.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = pair.split_at(equals);
            if key.trim_ascii() != name.as_bytes() {
                continue;
            }
            let value = cookie_value(value.get(1..).unwrap_or_default().trim_ascii());
            found = match (found, value) {
                (Found::Nothing, Some(value)) => Found::Cookie(value),
                (Found::Cookie(old), Some(value)) if old == value => found,
                _ => return Found::Ambiguous,
            };
        }
    }
    found
}

/// A value of cookie-octets (RFC 6265 §4.1.1), without the quotes around it.
fn cookie_value(value: &[u8]) -> Option<&str> {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    let is_octet = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    (!inner.is_empty() && inner.iter().all(is_octet)).then_some(())?;
    std::str::from_utf8(inner).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[(&str, &str)], cookie: Option<&str>) -> String {
        let headers: Vec<Line> =
            lines.iter().map(|(name, value)| Line { name: (*name).into(), value: value.as_bytes().to_vec() }).collect();
        match find(&headers, cookie) {
            Found::Nothing => "nothing".into(),
            Found::Ambiguous => "ambiguous".into(),
            Found::Bearer(token) => format!("bearer {token}"),
            Found::Cookie(value) => format!("cookie {value}"),
        }
    }

    #[test]
    fn finds_bearer_tokens() {
        for (value, expected) in [
            ("Bearer abc.def-_~+/==", "bearer abc.def-_~+/=="),
            ("bEARER   abc ", "bearer abc"),
            ("Bearer", "ambiguous"),
            ("Bearer ", "ambiguous"),
            ("Bearer a b", "ambiguous"),
            ("Bearer a=b", "ambiguous"),
            ("Bearer a, Bearer b", "ambiguous"),
            ("Basic eDp5, Bearer b", "ambiguous"),
            ("Basic eDp5", "nothing"),
            ("Digest a=\"1\", b=\"2\"", "nothing"),
            ("Bearerx abc", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(told(&[("authorization", value)], None), expected, "{value}");
        }
    }

    #[test]
    fn a_repeated_authorization_is_no_credential() {
        for second in ["Bearer b", "Bearer a", "Basic eDp5"] {
            assert_eq!(told(&[("authorization", "Bearer a"), ("Authorization", second)], None), "ambiguous");
        }
        let bytes = [Line { name: "authorization".into(), value: b"Bearer \xff".to_vec() }];
        assert!(find(&bytes, None) == Found::Ambiguous);
    }

    #[test]
    fn finds_the_cookie() {
        let session = |value: &str| told(&[("cookie", value)], Some("session"));
        for (value, expected) in [
            ("session=abc", "cookie abc"),
            ("a=1; session=abc==; b=2", "cookie abc=="),
            ("session=\"abc\"", "cookie abc"),
            ("session=abc; session=abc", "cookie abc"),
            ("session=abc; session=other", "ambiguous"),
            ("session=", "ambiguous"),
            ("session=a b", "ambiguous"),
            ("session=a,b", "ambiguous"),
            ("Session=abc", "nothing"),
            ("xsession=abc", "nothing"),
            ("session", "nothing"),
        ] {
            assert_eq!(session(value), expected, "{value}");
        }
        assert_eq!(told(&[("cookie", "session=a"), ("cookie", "session=b")], Some("session")), "ambiguous");
        assert_eq!(told(&[("cookie", "session=a")], None), "nothing");
        let both = [("cookie", "session=a"), ("authorization", "Bearer b")];
        assert_eq!(told(&both, Some("session")), "bearer b");
        let broken = [("cookie", "session=a"), ("authorization", "Bearer b c")];
        assert_eq!(told(&broken, Some("session")), "ambiguous");
        let other = [("cookie", "session=a"), ("authorization", "Basic eDp5")];
        assert_eq!(told(&other, Some("session")), "cookie a");
    }
}
