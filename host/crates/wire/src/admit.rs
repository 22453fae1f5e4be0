//! Admission: from a parsed head to a [`RequestHead`] or a refusal.
//!
//! The one wall between what strangers send and what the rooms pass along: both
//! doors, TCP and HTTP.sys, come through [`admit`]. It is pure, looks at each
//! field once, and allocates nothing for an ordinary request.

use crate::fields::{Class, classify, connection_options};
use crate::host::check_authority;
use crate::target::{PathRules, canonical, check_query};
use crate::trace::TRACE;
use crate::{ConnFacts, Fault, Framing, Kind, RequestHead};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{self, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

/// Methods that `Allow` names where the host itself refuses or answers one.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More names than this in `Connection` are refused with 400.
const CONNECTION_OPTIONS_MAX: usize = 32;

/// Settings of admission.
#[derive(Clone, Copy, Debug)]
pub struct AdmitRules {
    /// What a path may hold.
    pub path: PathRules,
    /// Path and query together, in bytes. Default 16,384, as HTTP.sys has it for
    /// the request line; above: 414.
    pub target_bytes_max: usize,
    /// Field lines of a head. Default 100; above: 431.
    pub header_count_max: usize,
    /// One field's name, in bytes. Default 256; above: 400.
    pub header_name_bytes_max: usize,
    /// Entries of `X-Forwarded-For` that are kept from a trusted peer, the last
    /// ones first, since those were added nearest to us. Default 64.
    pub forwarded_for_count_max: usize,
}

impl Default for AdmitRules {
    fn default() -> Self {
        Self {
            path: PathRules::default(),
            target_bytes_max: 16_384,
            header_count_max: 100,
            header_name_bytes_max: 256,
            forwarded_for_count_max: 64,
        }
    }
}

/// What may go on.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lives for a moment on the stack; a box would cost each request an allocation"
)]
pub enum Admitted {
    /// A request for the pipeline.
    Request(RequestHead),
    /// `OPTIONS *`: asks about the host itself, which answers with [`ALLOW`].
    ServerOptions,
}

/// Decides on a parsed head: all or nothing.
///
/// `parts` must come from a parser that has checked names and values as field
/// names and values (RFC 9110 §5.1, §5.5).
///
/// # Errors
/// A fault of the client: 400 for host, target and framing; 405 for `TRACE`,
/// `TRACK` and `CONNECT`; 414, 417, 431, 501, 505; 404.11 for double escapes.
/// The connection must be closed after it.
pub fn admit(parts: Parts, conn: &ConnFacts, rules: &AdmitRules) -> Result<Admitted, Fault> {
    let Parts { method, uri, version, mut headers, .. } = parts;
    if version != Version::HTTP_11 && version != Version::HTTP_10 {
        return Err(Kind::VersionNotSupported.into());
    }
    check_method(&method)?;
    let seen = look(&headers, conn.trusted, rules)?;
    let framing = if seen.framing { Framing::of_request(&headers)? } else { Framing::None };
    let expects_continue = seen.expect && expectation(&headers, version, framing)?;
    let uri = uri.into_parts();
    let authority = authority(headers.remove(HOST), uri.scheme.as_ref(), uri.authority.as_ref(), version, conn)?;
    let target = target(uri.path_and_query, uri.scheme.is_some(), rules)?;
    if target.path() == "*" {
        return server_options(&method);
    }
    let path = canonical(target.path(), rules.path)?;
    if let Some(query) = target.query() {
        check_query(query)?;
    }
    let trace = if seen.trace { trace(&mut headers) } else { None };
    remove(&mut headers, seen, rules);
    let head = RequestHead { method, target, path, authority, version, headers, framing, expects_continue, trace };
    Ok(Admitted::Request(head))
}

/// What asks for a trace: it may be the key, which no log and no page shows.
fn trace(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut asked = headers.remove(TRACE)?;
    asked.set_sensitive(true);
    Some(asked)
}

/// `TRACE` would show the client what the host adds (RFC 9110 §9.3.8), `TRACK`
/// is its old twin, and `CONNECT` asks for a tunnel that nobody offers.
fn check_method(method: &Method) -> Result<(), Fault> {
    let refused = match *method {
        Method::GET | Method::POST | Method::HEAD => false,
        Method::TRACE | Method::CONNECT => true,
        ref other => other.as_str().eq_ignore_ascii_case("track") || other.as_str().eq_ignore_ascii_case("trace"),
    };
    if refused { Err(Kind::MethodNotAllowed(ALLOW.into()).into()) } else { Ok(()) }
}

/// What the one pass over the fields found.
#[derive(Default)]
struct Seen {
    framing: bool,
    expect: bool,
    connection: bool,
    forwarded_for: bool,
    trace: bool,
    /// Names to remove besides those that have a flag.
    remove: Vec<HeaderName>,
}

fn look(headers: &HeaderMap, trusted: bool, rules: &AdmitRules) -> Result<Seen, Fault> {
    if headers.len() > rules.header_count_max {
        return Err(Kind::HeadTooLarge.into());
    }
    let mut seen = Seen::default();
    let mut options = false;
    let mut hosts = 0;
    for (name, value) in headers {
        if name.as_str().len() > rules.header_name_bytes_max {
            return Err(Kind::BadRequest("field name too long").into());
        }
        match classify(name.as_str()) {
            Class::EndToEnd => {}
            Class::Host => hosts += 1,
            Class::Framing => seen.framing = true,
            Class::Expect => seen.expect = true,
            Class::Connection => {
                seen.connection = true;
                options |= !names_no_field(value.as_bytes());
            }
            Class::Trace => seen.trace = true,
            Class::ForwardedFor if trusted => seen.forwarded_for = true,
            Class::Forwarded if trusted => {}
            Class::HopByHop | Class::Forwarded | Class::ForwardedFor | Class::Never => {
                seen.remove.push(name.clone());
            }
        }
    }
    if hosts > 1 {
        return Err(Kind::BadRequest("several Host fields (RFC 9112 §3.2)").into());
    }
    if options {
        look_at_options(headers, &mut seen.remove)?;
    }
    Ok(seen)
}

/// True for the options that are no names of fields.
fn names_no_field(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
}

/// Names that `Connection` lists go no further (RFC 9110 §7.6.1), but it can't
/// take away what decides where and how long the message is.
fn look_at_options(headers: &HeaderMap, remove: &mut Vec<HeaderName>) -> Result<(), Fault> {
    let mut count = 0;
    for value in headers.get_all(CONNECTION) {
        if !value.as_bytes().is_ascii() {
            return Err(Kind::BadRequest("Connection is not a list of names (RFC 9110 §7.6.1)").into());
        }
        count += 1 + value.as_bytes().iter().filter(|&&byte| byte == b',').count();
    }
    if count > CONNECTION_OPTIONS_MAX {
        return Err(Kind::BadRequest("Connection lists too many names").into());
    }
    for option in connection_options(headers) {
        if names_no_field(option.as_bytes()) {
            continue;
        }
        let Ok(name) = HeaderName::from_bytes(option.as_bytes()) else { continue };
        if !matches!(classify(name.as_str()), Class::Host | Class::Framing) {
            remove.push(name);
        }
    }
    Ok(())
}

fn expectation(headers: &HeaderMap, version: Version, framing: Framing) -> Result<bool, Fault> {
    if version == Version::HTTP_10 {
        // RFC 9110 §10.1.1: an expectation in HTTP/1.0 is ignored.
        return Ok(false);
    }
    if headers.get_all(EXPECT).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Kind::ExpectationFailed.into());
    }
    Ok(framing.has_body())
}

/// `Host` and an absolute target must agree; the target alone is not enough
/// (RFC 9112 §3.2). Only HTTP/1.0 may come without: it gets our own address.
fn authority(
    host: Option<HeaderValue>,
    scheme: Option<&uri::Scheme>,
    absolute: Option<&uri::Authority>,
    version: Version,
    conn: &ConnFacts,
) -> Result<HeaderValue, Fault> {
    if let Some(host) = &host {
        check_authority(host.as_bytes())?;
    } else if version != Version::HTTP_10 {
        return Err(Kind::BadRequest("no Host field (RFC 9112 §3.2)").into());
    }
    match (scheme, absolute) {
        (None, None) => {}
        (Some(scheme), Some(absolute)) if *scheme == uri::Scheme::HTTP || *scheme == uri::Scheme::HTTPS => {
            check_authority(absolute.as_str().as_bytes())?;
            if let Some(host) = &host
                && !host.as_bytes().eq_ignore_ascii_case(absolute.as_str().as_bytes())
            {
                return Err(Kind::BadRequest("Host differs from the absolute target (RFC 9112 §3.2.2)").into());
            }
            if host.is_none() {
                return value_of(absolute.as_str());
            }
        }
        (Some(_), Some(_)) => return Err(Kind::BadRequest("scheme other than http and https in the target").into()),
        _ => return Err(Kind::BadRequest("the target has no path (RFC 9112 §3.2)").into()),
    }
    host.map_or_else(|| value_of(&conn.local.to_string()), Ok)
}

fn value_of(authority: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::from_str(authority).map_err(|_| Kind::BadRequest("not a valid host (RFC 9110 §7.2)").into())
}

/// Path and query; those of an absolute target may lack the slash.
fn target(found: Option<PathAndQuery>, absolute: bool, rules: &AdmitRules) -> Result<PathAndQuery, Fault> {
    let target = found.unwrap_or_else(|| PathAndQuery::from_static("/"));
    if target.as_str().len() > rules.target_bytes_max {
        return Err(Kind::TargetTooLong.into());
    }
    if absolute && !target.as_str().starts_with('/') {
        let mut text = String::with_capacity(target.as_str().len() + 1);
        text.push('/');
        text.push_str(target.as_str());
        return PathAndQuery::from_maybe_shared(Bytes::from(text))
            .map_err(|_| Kind::BadRequest("the target's query is not valid (RFC 3986 §3.4)").into());
    }
    Ok(target)
}

fn server_options(method: &Method) -> Result<Admitted, Fault> {
    if *method == Method::OPTIONS {
        return Ok(Admitted::ServerOptions);
    }
    Err(Kind::BadRequest("the target * is for OPTIONS only (RFC 9112 §3.2.4)").into())
}

/// Removes what goes no further; `Host` is gone already.
fn remove(headers: &mut HeaderMap, seen: Seen, rules: &AdmitRules) {
    if seen.framing {
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
    }
    if seen.expect {
        headers.remove(EXPECT);
    }
    if seen.connection {
        headers.remove(CONNECTION);
    }
    for name in seen.remove {
        headers.remove(name);
    }
    if seen.forwarded_for {
        cap_forwarded_for(headers, rules.forwarded_for_count_max);
    }
}

/// Keeps the last `count_max` entries, over all lines.
fn cap_forwarded_for(headers: &mut HeaderMap, count_max: usize) {
    let items = |value: &HeaderValue| 1 + value.as_bytes().iter().filter(|&&byte| byte == b',').count();
    let count: usize = headers.get_all(&FORWARDED_FOR).iter().map(items).sum();
    if count <= count_max {
        return;
    }
    let all: Vec<&[u8]> =
        headers.get_all(&FORWARDED_FOR).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).collect();
    let kept: Vec<&[u8]> = all.iter().skip(count - count_max).map(|item| item.trim_ascii()).collect();
    let value = HeaderValue::from_maybe_shared(Bytes::from(kept.join(&b", "[..])));
    match value {
        Ok(value) if count_max > 0 => headers.insert(FORWARDED_FOR, value),
        _ => headers.remove(FORWARDED_FOR),
    };
}

#[cfg(test)]
mod tests;
