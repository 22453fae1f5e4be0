//! `%NAME%` in configured text.

use std::ffi::OsString;

/// Replaces each `%NAME%` that `lookup` knows; anything else stays as it is,
/// as the configuration system of IIS does it.
pub(crate) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('%') else {
            out.push('%');
            out.push_str(after);
            return out;
        };
        if let Some(value) = lookup(name) {
            out.push_str(&value);
            rest = tail;
        } else {
            // The second percent sign may begin a name of its own.
            out.push('%');
            out.push_str(name);
            rest = after.get(name.len()..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// The value of `name` in an environment. Names compare without case, as on
/// Windows; where two differ by case only, the one spelled exactly alike wins.
pub(crate) fn lookup(environment: &[(OsString, OsString)], name: &str) -> Option<String> {
    let exact = environment.iter().find(|(n, _)| n == name);
    let found = exact.or_else(|| environment.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)));
    found.map(|(_, value)| value.to_string_lossy().into_owned())
}

/// The value that `name` stands for if it is one of the port's names.
pub(crate) fn port_name(name: &str, port: u16) -> Option<String> {
    let known = ["ASPNETCORE_PORT", "HTTP_PLATFORM_PORT"];
    known.iter().any(|k| k.eq_ignore_ascii_case(name)).then(|| port.to_string())
}

#[cfg(test)]
mod tests {
    use super::{expand, lookup, port_name};

    #[test]
    fn names_are_replaced_and_the_rest_stays() {
        let env = vec![("HOME".into(), "/home/me".into()), ("A".into(), "1".into()), ("a".into(), "2".into())];
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("%home%/x", "/home/me/x"),
            ("%A%%a%", "12"),
            ("%NOPE%;%A%", "%NOPE%;1"),
            ("100%;%HOME%", "100%;/home/me"),
            ("50%", "50%"),
            ("%%", "%%"),
            ("%ASPNETCORE_Port%:%http_platform_port%", "23456:23456"),
        ];
        for (text, expected) in cases {
            let got = expand(text, |name| port_name(name, 23456).or_else(|| lookup(&env, name)));
            assert_eq!(got, expected, "{text:?}");
        }
    }
}
