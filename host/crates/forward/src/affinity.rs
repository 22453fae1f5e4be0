//! The cookie by which a client gets the same instance again.
//!
//! It belongs to the host: the backend never gets it. It names an instance by a
//! random number that says nothing about it, so it needs no signature: whoever
//! makes one up reaches an instance that any request could reach.

use bytes::{BufMut as _, BytesMut};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use wire::Scheme;
use wire::exchange::ConnFacts;

/// Hexadecimal digits of an instance's number.
const DIGITS: usize = 16;

/// The affinity cookie.
///
/// A `Set-Cookie` of the same name that the backend writes is passed on as it
/// is: the client's next request then names no instance, and gets ours anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Its name, a token (RFC 6265 §4.1.1); compared exactly. No default.
    pub name: Box<str>,
    /// Its `Path`: where the app lives, such as `/` or `/app`.
    pub path: Box<str>,
}

impl Affinity {
    /// The instance that the client asks for. `None` without the cookie, with
    /// several of them, or with anything but 16 lower-case digits in it.
    pub(crate) fn wanted(&self, headers: &HeaderMap) -> Option<u64> {
        let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let mut values = lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(|pair| self.value(pair));
        match (values.next(), values.next()) {
            (Some(value), None) => number(value),
            _ => None,
        }
    }

    /// Writes a `Cookie` line without this cookie; nothing where no other is left.
    /// What stays keeps its bytes and its order.
    pub(crate) fn put_others(&self, out: &mut BytesMut, line: &[u8]) {
        let is_other = |pair: &&[u8]| self.value(pair).is_none();
        let pairs = || line.split(|byte| *byte == b';');
        if pairs().all(|pair| is_other(&pair)) {
            put_line(out, [line].into_iter());
        } else if pairs().filter(is_other).any(|pair| !pair.trim_ascii().is_empty()) {
            let others = pairs().filter(is_other).enumerate();
            // The first one may have stood behind ours, with a space before it.
            put_line(out, others.map(|(at, pair)| if at == 0 { pair.trim_ascii_start() } else { pair }));
        }
    }

    /// The `Set-Cookie` value that names an instance.
    pub(crate) fn set_cookie(&self, instance: u64, conn: &ConnFacts, headers: &HeaderMap) -> Option<HeaderValue> {
        let (name, path) = (&self.name, &self.path);
        let secure = if is_https(conn, headers) { "; Secure" } else { "" };
        let text = format!("{name}={instance:016x}; Path={path}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
    }

    /// The value, if `pair` is this cookie.
    fn value<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        (name.trim_ascii() == self.name.as_bytes()).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    }
}

fn put_line<'a>(out: &mut BytesMut, pairs: impl Iterator<Item = &'a [u8]>) {
    out.put_slice(b"cookie: ");
    for (at, pair) in pairs.enumerate() {
        if at > 0 {
            out.put_u8(b';');
        }
        out.put_slice(pair);
    }
    out.put_slice(b"\r\n");
}

fn number(digits: &[u8]) -> Option<u64> {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = (digits.len() == DIGITS && digits.iter().all(hex)).then(|| std::str::from_utf8(digits).ok())??;
    u64::from_str_radix(text, 16).ok()
}

/// The scheme by which the client itself came: where a trusted proxy stands
/// between, the first that it tells.
fn is_https(conn: &ConnFacts, headers: &HeaderMap) -> bool {
    let told = if conn.trusted { headers.get("x-forwarded-proto") } else { None };
    match told.and_then(|told| told.as_bytes().split(|byte| *byte == b',').next()) {
        Some(first) => first.trim_ascii().eq_ignore_ascii_case(b"https"),
        None => conn.scheme == Scheme::Https,
    }
}

#[cfg(test)]
mod tests;
