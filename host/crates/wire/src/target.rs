//! The request target: one form for rules, mappings, plugins and logs.
//!
//! The backend gets the target as the client sent it, while rules see the
//! canonical path. So a target where both could mean different things is
//! refused: the house never decides on one form and forwards another.
//!
//! What is refused, and why, in the order in which it is looked for:
//!
//! | in the path | answer |
//! |---|---|
//! | raw control, space, backslash or non-ASCII byte (RFC 3986 §3.3) | 400 |
//! | `%` without two hexadecimal digits (RFC 3986 §2.1), also `%u002e` | 400 |
//! | escaped control (`%00`, `%0d`, `%7f`), escaped backslash (`%5C`) | 400 |
//! | escaped slash, with [`EscapedSlash::Refuse`] | 400 |
//! | double escape: `%25` before two hexadecimal digits (IIS 404.11) | 404.11 |
//! | escapes that are not UTF-8, or control characters beyond ASCII | 400 |
//! | dot segment in any spelling: `.`, `..`, `%2e%2e`, `..;x`, `..%2F` | 400 |
//!
//! Browsers and HTTP libraries resolve dot segments before they send, so that a
//! client of good faith has none (RFC 3986 §5.2.4). Doubled slashes stay as
//! they are in both forms; every segment between them is still seen by rules.

use crate::Kind;
use crate::fault::NotFound;

/// The path as rules see it: percent-decoded once, without dot segments.
///
/// The backend gets the target as the client sent it; this form only decides.
/// Two escapes stay, so that the form is unambiguous: `%2F` (never a separator)
/// and `%25`. All others are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CanonicalPath {
    /// The path of the raw target is already canonical.
    AsSent,
    /// The canonical path, when it differs from the raw one.
    Decoded(Box<str>),
}

/// What to do with `%2F` in a path (`[host] escaped_slash`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlash {
    /// Passed on as sent and never treated as a separator.
    #[default]
    Pass,
    /// 400.
    Refuse,
}

/// Settings of path rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathRules {
    /// `%2F` in a path; default: passed on.
    pub escaped_slash: EscapedSlash,
    /// `requestFiltering allowDoubleEscaping`; default false: 404.11.
    pub allow_double_escaping: bool,
}

/// Decides on the path of a target and gives its canonical form.
///
/// `raw_path` is the path alone: without query, with its leading slash.
///
/// # Errors
/// [`Kind::BadRequest`] or [`NotFound::DoubleEscape`], as the table in the
/// module's documentation says.
pub fn canonical(raw_path: &str, rules: PathRules) -> Result<CanonicalPath, Kind> {
    if !raw_path.starts_with('/') {
        return Err(Kind::BadRequest("the target's path does not begin with a slash (RFC 9112 §3.2.1)"));
    }
    if is_plain(raw_path.as_bytes()) {
        return Ok(CanonicalPath::AsSent);
    }
    let decoded = decode(raw_path.as_bytes(), rules)?;
    if has_dot_segment(&decoded) {
        return Err(Kind::BadRequest("dot segments must be resolved before sending (RFC 3986 §5.2.4)"));
    }
    if decoded == raw_path {
        return Ok(CanonicalPath::AsSent);
    }
    Ok(CanonicalPath::Decoded(decoded.into_boxed_str()))
}

/// Checks a raw query: rules don't look inside, so only bytes that may break
/// what stands around it are refused.
///
/// # Errors
/// [`Kind::BadRequest`] for a control character or a space.
pub fn check_query(raw_query: &str) -> Result<(), Kind> {
    if raw_query.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(Kind::BadRequest("control character or space in the query (RFC 3986 §3.4)"));
    }
    Ok(())
}

/// The segments of a canonical path, split at `/` and also at escaped slashes:
/// for rules that must hold even where a backend decodes `%2F`.
pub fn segments_even_escaped(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').flat_map(|segment| segment.split("%2F"))
}

/// One pass: true where no byte needs a closer look.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        if !matches!(byte, b'!'..=b'$' | b'&'..=b'[' | b']'..=b'~') || (byte == b'.' && previous == b'/') {
            return false;
        }
        previous = byte;
    }
    true
}

fn decode(path: &[u8], rules: PathRules) -> Result<String, Kind> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            out.push(raw_byte(byte)?);
            continue;
        }
        let Some((value, tail)) = escaped(tail) else {
            return Err(Kind::BadRequest("broken percent escape in the path (RFC 3986 §2.1)"));
        };
        rest = tail;
        match value {
            0..=0x1f | 0x7f => return Err(Kind::BadRequest("escaped control character in the path")),
            b'\\' => return Err(Kind::BadRequest("escaped backslash in the path")),
            b'/' if rules.escaped_slash == EscapedSlash::Refuse => {
                return Err(Kind::BadRequest("escaped slash in the path"));
            }
            b'/' => out.extend_from_slice(b"%2F"),
            b'%' if !rules.allow_double_escaping && begins_with_two_digits(rest) => {
                return Err(Kind::NotFound(NotFound::DoubleEscape));
            }
            b'%' => out.extend_from_slice(b"%25"),
            value => out.push(value),
        }
    }
    match String::from_utf8(out) {
        Ok(text) if text.chars().any(char::is_control) => {
            Err(Kind::BadRequest("escaped control character in the path"))
        }
        Ok(text) => Ok(text),
        Err(_) => Err(Kind::BadRequest("the path's escapes are not UTF-8 (RFC 3629)")),
    }
}

fn raw_byte(byte: u8) -> Result<u8, Kind> {
    match byte {
        b'\\' => Err(Kind::BadRequest("backslash in the path (RFC 3986 §3.3)")),
        b'!'..=b'~' => Ok(byte),
        _ => Err(Kind::BadRequest("byte outside visible ASCII in the path (RFC 3986 §3.3)")),
    }
}

/// The value of two hexadecimal digits, and what follows them.
fn escaped(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = rest.split_first_chunk::<2>()?;
    Some((digit(high)? << 4 | digit(low)?, rest))
}

/// True also where the digits are themselves escaped (`%25%32%65`), since a
/// second decoding would find them just the same.
fn begins_with_two_digits(rest: &[u8]) -> bool {
    fn one(rest: &[u8]) -> Option<&[u8]> {
        match rest.split_first()? {
            (b'%', tail) => escaped(tail).filter(|(value, _)| digit(*value).is_some()).map(|(_, rest)| rest),
            (byte, tail) => digit(*byte).map(|_| tail),
        }
    }
    one(rest).and_then(one).is_some()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// A segment's parameters don't hide its dots: some servers drop `;x` first.
fn has_dot_segment(path: &str) -> bool {
    segments_even_escaped(path).any(|segment| {
        let name = segment.split(';').next().unwrap_or(segment);
        name == "." || name == ".."
    })
}

#[cfg(test)]
mod tests;
