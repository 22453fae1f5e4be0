//! The request head as the backend gets it.

use crate::settings::ForwardSettings;
use bytes::{BufMut as _, BytesMut};
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use wire::exchange::Credential;
use wire::{Exchange, Framing, PairingToken, fields};

/// Encodes the head of `exchange` into `out`: request line with the target as
/// the client sent it, `Host`, the client's fields in their order, forwarded
/// facts, the credential, framing, and the token last. The affinity cookie stays here.
///
/// Admission has cleaned the fields already; what plugins added since then is
/// held to the same rules here, so that framing and pairing are always ours.
pub(crate) fn encode(out: &mut BytesMut, exchange: &Exchange, token: &PairingToken, settings: &ForwardSettings) {
    let request = &exchange.request;
    out.clear();
    out.reserve(512);
    out.put_slice(request.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(request.target.as_str().as_bytes());
    out.put_slice(b" HTTP/1.1\r\nHost: ");
    out.put_slice(request.authority.as_bytes());
    out.put_slice(b"\r\n");

    let credential = &exchange.shared.credential;
    for (name, value) in &request.headers {
        if is_ours(name, settings) || is_replaced(name, credential) {
            continue;
        }
        match &settings.affinity_cookie {
            Some(affinity) if name == COOKIE => affinity.put_others(out, value.as_bytes()),
            _ => put_field(out, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    let known = exchange.conn.trusted.then_some(&request.headers);
    put_forwarded(out, b"X-Forwarded-For: ", known, "x-forwarded-for", exchange.conn.forwarded_for.as_bytes());
    let scheme = exchange.conn.scheme.as_str().as_bytes();
    put_forwarded(out, b"X-Forwarded-Proto: ", known, "x-forwarded-proto", scheme);
    if let Credential::Field(name, value) = credential
        && !is_ours(name, settings)
    {
        put_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    put_framing(out, &request.method, request.framing);
    for name in &settings.token_headers {
        if name.as_str() != fields::TOKEN {
            put_field(out, name.as_str().as_bytes(), token.reveal());
        }
    }
    put_field(out, b"MS-ASPNETCORE-TOKEN", token.reveal());
    out.put_slice(b"\r\n");
}

fn put_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// Writes a forwarded fact as ANCM does: what a trusted peer said, `, `, ours.
fn put_forwarded(out: &mut BytesMut, name: &[u8], known: Option<&HeaderMap>, key: &str, ours: &[u8]) {
    out.put_slice(name);
    if let Some(headers) = known {
        for value in headers.get_all(key).iter().map(HeaderValue::as_bytes).filter(|value| !value.is_empty()) {
            out.put_slice(value);
            out.put_slice(b", ");
        }
    }
    out.put_slice(ours);
    out.put_slice(b"\r\n");
}

fn put_framing(out: &mut BytesMut, method: &Method, framing: Framing) {
    match framing {
        Framing::Chunked => out.put_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) => put_length(out, length),
        // RFC 9110 §8.6: methods that expect a body say that there is none.
        Framing::None if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => put_length(out, 0),
        Framing::None => {}
    }
}

fn put_length(out: &mut BytesMut, mut length: u64) {
    // 20 digits hold every 64-bit number.
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b"0123456789".get(usize::try_from(length % 10).unwrap_or(0)).copied().unwrap_or(b'0');
        length /= 10;
        used += 1;
        if length == 0 {
            break;
        }
    }
    out.put_slice(b"Content-Length: ");
    out.put_slice(digits.get(digits.len() - used..).unwrap_or_default());
    out.put_slice(b"\r\n");
}

/// Names that only this encoder writes, or that nobody may write.
fn is_ours(name: &HeaderName, settings: &ForwardSettings) -> bool {
    matches!(name.as_str(), "host" | "content-length" | "expect" | "x-forwarded-for" | "x-forwarded-proto")
        || fields::is_hop_by_hop(name)
        || fields::is_reserved(name.as_str())
        || settings.token_headers.contains(name)
}

/// True for the client's own credential where another one, or none, takes its place.
fn is_replaced(name: &HeaderName, credential: &Credential) -> bool {
    match credential {
        Credential::Original => false,
        Credential::None => name == AUTHORIZATION,
        Credential::Field(field, _) => name == AUTHORIZATION || name == field,
    }
}

#[cfg(test)]
mod tests;
