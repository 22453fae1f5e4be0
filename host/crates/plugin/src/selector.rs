//! Selectors, compiled once at load to accessors, and read per request.

use crate::bindings::contract::types::Selector;
use http::header::{COOKIE, HeaderMap, HeaderName};
use std::io::Write as _;
use wire::Exchange;
use wire::exchange::Source;

/// In which view a selector stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Request,
    Response,
    Completion,
}

/// A selector after its load: names parsed, ready to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Method,
    Scheme,
    Authority,
    Path,
    Query,
    Header(HeaderName),
    Cookie(String),
    QueryParam(String),
    ClientIp,
    Sni,
    RequestId,
    /// Known to later versions; nothing to give yet.
    Absent,
    Subject,
    Claim(String),
    Attribute(String),
    Note,
    Status,
    ResponseHeader(HeaderName),
    ResponseSource,
}

impl Access {
    /// Checks a selector for a view.
    pub(crate) fn parse(selector: &Selector, view: View) -> Result<Self, String> {
        let of_response = matches!(selector, Selector::Status | Selector::ResponseHeader(_) | Selector::ResponseSource);
        if of_response && view == View::Request {
            return Err("a field of the response can't be in the request view".to_owned());
        }
        Ok(match selector {
            Selector::Method => Self::Method,
            Selector::Scheme => Self::Scheme,
            Selector::Authority => Self::Authority,
            Selector::Path => Self::Path,
            Selector::Query => Self::Query,
            Selector::Header(name) => Self::Header(readable(name)?),
            Selector::Cookie(name) => Self::Cookie(name.clone()),
            Selector::QueryParam(name) => Self::QueryParam(name.clone()),
            Selector::ClientIp => Self::ClientIp,
            Selector::Sni => Self::Sni,
            Selector::RequestId => Self::RequestId,
            Selector::Route | Selector::Upgrade => Self::Absent,
            Selector::Subject => Self::Subject,
            Selector::Claim(name) => Self::Claim(name.clone()),
            Selector::Attribute(name) => Self::Attribute(name.clone()),
            Selector::Note => Self::Note,
            Selector::Status => Self::Status,
            Selector::ResponseHeader(name) => {
                let name = readable(name)?;
                if name == http::header::SET_COOKIE {
                    return Err("set-cookie lines can't be joined: read them with exchange.lines".to_owned());
                }
                Self::ResponseHeader(name)
            }
            Selector::ResponseSource => Self::ResponseSource,
            Selector::Named(kind) => return Err(format!("unknown selector \"{}\"", crate::text::escape(kind, 64))),
        })
    }

    /// Appends the value to `out`; false if there is none. `plugin` is the reader's index.
    pub(crate) fn read(&self, exchange: &Exchange, plugin: u8, out: &mut Vec<u8>) -> bool {
        let request = &exchange.request;
        match self {
            Self::Method => push(out, request.method.as_str().as_bytes()),
            Self::Scheme => push(out, exchange.conn.scheme.as_str().as_bytes()),
            Self::Authority => push(out, request.authority.as_bytes()),
            Self::Path => push(out, request.path().as_bytes()),
            Self::Query => push_some(out, request.query().map(str::as_bytes)),
            Self::Header(name) => join(&request.headers, name, out),
            Self::Cookie(name) => push_some(out, cookie(&request.headers, name)),
            Self::QueryParam(name) => query_param(request.query().unwrap_or(""), name, out),
            Self::ClientIp => push_text(out, exchange.conn.client.ip()),
            Self::Sni => push_some(out, exchange.conn.sni.as_deref().map(str::as_bytes)),
            Self::RequestId => push_text(out, wire::RequestId(exchange.id)),
            Self::Absent => false,
            Self::Subject => push_some(out, exchange.shared.principal.as_ref().map(|who| who.subject.as_bytes())),
            Self::Claim(name) => match exchange.shared.principal.as_ref().and_then(|who| claim(&who.claims, name)) {
                Some(value) => push(out, value.as_bytes()),
                None => false,
            },
            Self::Attribute(name) => {
                let mut attributes = exchange.shared.attributes.iter();
                push_some(out, attributes.find(|(known, _)| **known == **name).map(|(_, value)| value.as_ref()))
            }
            Self::Note => {
                let mut notes = exchange.shared.notes.iter();
                push_some(out, notes.find(|(owner, _)| *owner == plugin).map(|(_, value)| value.as_ref()))
            }
            Self::Status => match &exchange.response {
                Some(head) => push(out, head.status.as_str().as_bytes()),
                None => false,
            },
            Self::ResponseHeader(name) => match &exchange.response {
                Some(head) => join(&head.headers, name, out),
                None => false,
            },
            Self::ResponseSource => match &exchange.source {
                Source::Backend => push(out, b"upstream"),
                Source::Host => push(out, b"host"),
                Source::Plugin(name) => push(out, b"plugin:") && push(out, name.as_bytes()),
            },
        }
    }
}

/// A field name that a plugin may read. The pairing fields are not for its eyes.
pub(crate) fn readable(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("\"{}\" is not a field name", crate::text::escape(name, 64)))?;
    if wire::fields::is_reserved(parsed.as_str()) {
        return Err(format!("the field \"{parsed}\" is between host and backend only"));
    }
    Ok(parsed)
}

fn push(out: &mut Vec<u8>, value: &[u8]) -> bool {
    out.extend_from_slice(value);
    true
}

fn push_some(out: &mut Vec<u8>, value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| push(out, value))
}

fn push_text(out: &mut Vec<u8>, value: impl std::fmt::Display) -> bool {
    // Writing to a vector can't fail.
    write!(out, "{value}").is_ok()
}

/// All lines of a field, joined as RFC 9110 §5.3 allows, `cookie` as RFC 6265 §5.4 writes it.
fn join(headers: &HeaderMap, name: &HeaderName, out: &mut Vec<u8>) -> bool {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else { return false };
    out.extend_from_slice(first.as_bytes());
    let separator: &[u8] = if name == COOKIE { b"; " } else { b", " };
    for line in lines {
        out.extend_from_slice(separator);
        out.extend_from_slice(line.as_bytes());
    }
    true
}

/// The first cookie of this name (RFC 6265 §4.2.1); names are case-sensitive.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// The first parameter of this name, decoded as forms are: `+` and percent escapes.
/// A broken escape stays as it is.
fn query_param(query: &str, name: &str, out: &mut Vec<u8>) -> bool {
    let mut decoded = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        decoded.clear();
        decode_form(key, &mut decoded);
        if decoded == name.as_bytes() {
            decode_form(value, out);
            return true;
        }
    }
    false
}

fn decode_form(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            _ => out.push(byte),
        }
    }
}

/// Value of a hexadecimal digit; the caller has checked that it is one.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit.to_ascii_lowercase() - b'a').wrapping_add(10),
    }
}

/// One claim of a JSON object, as JSON text. Other claims are skipped, not built.
fn claim(claims: &str, name: &str) -> Option<String> {
    use serde::Deserializer as _;
    let mut json = serde_json::Deserializer::from_str(claims);
    json.deserialize_map(ClaimNamed(name)).ok().flatten()
}

struct ClaimNamed<'a>(&'a str);

impl<'de> serde::de::Visitor<'de> for ClaimNamed<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                // The last one counts, as in every other reader of JSON here.
                found = Some(map.next_value::<serde_json::Value>()?.to_string());
            } else {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
