//! What a plugin wants changed, checked like a stranger's input and applied whole or not at all.

use crate::bindings::contract::types::{Edit, Header, Response};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use wire::exchange::ResponseHead;
use wire::target::PathRules;
use wire::{CanonicalPath, Exchange};

/// Longest value that a plugin may write, bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Largest head after a plugin's additions, bytes: names and values, 4 for each line.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most lines of a head after a plugin's additions.
pub(crate) const HEAD_LINES_MAX: usize = 256;
/// Longest target that a plugin may write, bytes.
pub(crate) const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Largest body of a plugin's own answer, bytes.
pub(crate) const ANSWER_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Which head a batch of edits is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// What is needed to judge edits.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) side: Side,
    /// Names of `registration.outputs`.
    pub(crate) slots: &'a [HeaderName],
    pub(crate) path: PathRules,
}

/// A checked edit.
enum Change {
    Set(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
    Remove(HeaderName),
    Lines(HeaderName, Vec<HeaderValue>),
    Target(PathAndQuery, CanonicalPath),
    Method(Method),
    Authority(HeaderValue),
    Status(StatusCode),
}

/// Checks all edits, then applies all.
///
/// # Errors
/// Names the first edit that is not allowed; nothing was changed then.
pub(crate) fn apply(edits: Vec<Edit>, rules: Rules<'_>, exchange: &mut Exchange) -> Result<(), String> {
    // One edit is the usual case: no list for it.
    if edits.len() == 1 {
        let Some(edit) = edits.into_iter().next() else { return Ok(()) };
        let change = check(edit, rules)?;
        room_for(std::slice::from_ref(&change), rules.side, exchange)?;
        return write(change, rules.side, exchange);
    }
    let changes = edits
        .into_iter()
        .enumerate()
        .map(|(index, edit)| check(edit, rules).map_err(|why| format!("edit {index}: {why}")))
        .collect::<Result<Vec<_>, _>>()?;
    room_for(&changes, rules.side, exchange)?;
    changes.into_iter().try_for_each(|change| write(change, rules.side, exchange))
}

fn check(edit: Edit, rules: Rules<'_>) -> Result<Change, String> {
    Ok(match edit {
        Edit::Set(Header { name, value }) => Change::Set(on(rules.side, &name)?, field_value(&name, value)?),
        Edit::Append(Header { name, value }) => Change::Append(on(rules.side, &name)?, field_value(&name, value)?),
        Edit::Remove(name) => Change::Remove(on(rules.side, &name)?),
        Edit::SetLines((name, values)) => {
            let lines = values.into_iter().map(|value| field_value(&name, value)).collect::<Result<_, _>>()?;
            Change::Lines(on(rules.side, &name)?, lines)
        }
        Edit::SetSlot((slot, value)) => {
            let name = usize::try_from(slot).ok().and_then(|slot| rules.slots.get(slot));
            let name = name.ok_or_else(|| format!("slot {slot} is not declared: there are {}", rules.slots.len()))?;
            Change::Set(name.clone(), field_value(name.as_str(), value)?)
        }
        Edit::PathAndQuery(text) => target(text, rules)?,
        Edit::Method(text) if rules.side == Side::Request => {
            let method = Method::from_bytes(text.as_bytes())
                .map_err(|_| format!("\"{}\" is not a method", crate::text::escape(&text, 32)))?;
            if matches!(method, Method::CONNECT | Method::TRACE) {
                return Err(format!("the method {method} is not forwarded"));
            }
            Change::Method(method)
        }
        Edit::Authority(text) if rules.side == Side::Request => Change::Authority(authority(text)?),
        Edit::Status(code) if rules.side == Side::Response => Change::Status(status(code)?),
        Edit::Method(_) | Edit::Authority(_) => return Err("the request has been sent already".to_owned()),
        Edit::Status(_) => return Err("a request has no status".to_owned()),
        Edit::Named((kind, _)) => return Err(format!("unknown edit \"{}\"", crate::text::escape(&kind, 64))),
    })
}

/// A name that a plugin may write on this side. A response's `trailer` announces the
/// trailers that the plugin ends the body with (RFC 9110 §6.6.2).
fn on(side: Side, name: &str) -> Result<HeaderName, String> {
    if side == Side::Response && name.eq_ignore_ascii_case("trailer") {
        return Ok(http::header::TRAILER);
    }
    writable(name)
}

/// A name that a plugin may write on either side.
pub(crate) fn writable(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("\"{}\" is not a field name", crate::text::escape(name, 64)))?;
    let text = parsed.as_str();
    let owner = if wire::fields::is_reserved(text) {
        "it is between host and backend only"
    } else if wire::fields::is_hop_by_hop(&parsed) {
        "it is about one connection only (RFC 9110 §7.6.1)"
    } else if matches!(text, "content-length" | "host" | "expect") {
        "the host writes it"
    } else if text == "x-iis-windowsauthtoken" {
        "it carries a handle of the host"
    } else if wire::fields::is_look_alike(text) {
        "applications that read _ as - take it for a field that the host owns"
    } else {
        return Ok(parsed);
    };
    Err(format!("the field \"{parsed}\" is not a plugin's to write: {owner}"))
}

pub(crate) fn field_value(name: &str, value: Vec<u8>) -> Result<HeaderValue, String> {
    let length = value.len();
    if length > VALUE_BYTES_MAX {
        let name = crate::text::escape(name, 64);
        return Err(format!("the value of \"{name}\" has {length} bytes; at most {VALUE_BYTES_MAX}"));
    }
    HeaderValue::from_maybe_shared(Bytes::from(value)).map_err(|_| {
        let name = crate::text::escape(name, 64);
        format!("the value of \"{name}\" holds a control character (RFC 9110 §5.5)")
    })
}

fn target(text: String, rules: Rules<'_>) -> Result<Change, String> {
    if rules.side == Side::Response {
        return Err("the request has been sent already".to_owned());
    }
    if text.len() > TARGET_BYTES_MAX {
        return Err(format!("the target has {} bytes; at most {TARGET_BYTES_MAX}", text.len()));
    }
    let shown = crate::text::escape(&text, 128);
    if !text.starts_with('/') || text.contains('#') {
        return Err(format!("\"{shown}\" is not a path with query"));
    }
    let target = PathAndQuery::from_maybe_shared(Bytes::from(text.into_bytes()))
        .map_err(|_| format!("\"{shown}\" is not a path with query"))?;
    wire::target::check_query(target.query().unwrap_or("")).map_err(|kind| format!("\"{shown}\": {}", why(kind)))?;
    let path =
        wire::target::canonical(target.path(), rules.path).map_err(|kind| format!("\"{shown}\": {}", why(kind)))?;
    Ok(Change::Target(target, path))
}

fn why(kind: wire::Kind) -> wire::Fault {
    wire::Fault::new(kind)
}

fn authority(text: String) -> Result<HeaderValue, String> {
    let shown = crate::text::escape(&text, 128);
    let parsed = http::uri::Authority::try_from(text.as_str());
    let fits = parsed.is_ok_and(|authority| !authority.host().is_empty() && !text.contains('@'));
    match HeaderValue::try_from(text) {
        Ok(value) if fits => Ok(value),
        _ => Err(format!("\"{shown}\" is not a host with port")),
    }
}

fn status(code: u16) -> Result<StatusCode, String> {
    match StatusCode::from_u16(code) {
        Ok(status) if (200..=599).contains(&code) => Ok(status),
        _ => Err(format!("status {code} is not one of 200 to 599")),
    }
}

/// Refuses additions that make the head larger than its limits.
fn room_for(changes: &[Change], side: Side, exchange: &Exchange) -> Result<(), String> {
    let (lines, bytes) = changes.iter().map(Change::added).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if lines == 0 {
        return Ok(());
    }
    let headers = match (side, &exchange.response) {
        (Side::Request, _) => &exchange.request.headers,
        (Side::Response, Some(head)) => &head.headers,
        (Side::Response, None) => return Ok(()),
    };
    let size: usize = headers.iter().map(|(name, value)| line_bytes(name, value)).sum();
    if size + bytes > HEAD_BYTES_MAX {
        return Err(format!("the head would have {} bytes; at most {HEAD_BYTES_MAX}", size + bytes));
    }
    if headers.len() + lines > HEAD_LINES_MAX {
        return Err(format!("the head would have {} lines; at most {HEAD_LINES_MAX}", headers.len() + lines));
    }
    Ok(())
}

fn line_bytes(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

impl Change {
    /// Lines and bytes that it may add; what it replaces is not counted off.
    fn added(&self) -> (usize, usize) {
        match self {
            Self::Set(name, value) | Self::Append(name, value) => (1, line_bytes(name, value)),
            Self::Lines(name, values) => (values.len(), values.iter().map(|value| line_bytes(name, value)).sum()),
            Self::Remove(_) | Self::Target(..) | Self::Method(_) | Self::Authority(_) | Self::Status(_) => (0, 0),
        }
    }
}

/// Writes a checked change.
fn write(change: Change, side: Side, exchange: &mut Exchange) -> Result<(), String> {
    let headers = match (side, &mut exchange.response) {
        (Side::Request, _) => &mut exchange.request.headers,
        (Side::Response, Some(head)) => &mut head.headers,
        (Side::Response, None) => return Err("there is no response".to_owned()),
    };
    match change {
        Change::Set(name, value) => {
            headers.insert(name, value);
        }
        Change::Append(name, value) => {
            headers.append(name, value);
        }
        Change::Remove(name) => {
            headers.remove(name);
        }
        Change::Lines(name, values) => {
            headers.remove(&name);
            for value in values {
                headers.append(name.clone(), value);
            }
        }
        Change::Target(target, path) => {
            exchange.request.target = target;
            exchange.request.path = path;
        }
        Change::Method(method) => exchange.request.method = method,
        Change::Authority(value) => exchange.request.authority = value,
        Change::Status(status) => {
            if let Some(head) = &mut exchange.response {
                head.status = status;
                head.reason = None;
            }
        }
    }
    Ok(())
}

/// A plugin's own answer, checked: its head and body.
///
/// # Errors
/// Names what HTTP or the contract does not allow.
pub(crate) fn answer(response: Response) -> Result<(ResponseHead, Bytes, Option<Box<str>>), String> {
    let status = status(response.status)?;
    if response.headers.len() > HEAD_LINES_MAX {
        return Err(format!("the answer has {} header lines; at most {HEAD_LINES_MAX}", response.headers.len()));
    }
    if response.body.len() > ANSWER_BODY_BYTES_MAX {
        return Err(format!("the answer's body has {} bytes; at most {ANSWER_BODY_BYTES_MAX}", response.body.len()));
    }
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    let mut bytes = 0;
    for Header { name, value } in response.headers {
        let field = writable(&name)?;
        let value = field_value(&name, value)?;
        bytes += line_bytes(&field, &value);
        headers.append(field, value);
    }
    if bytes > HEAD_BYTES_MAX {
        return Err(format!("the answer's head has {bytes} bytes; at most {HEAD_BYTES_MAX}"));
    }
    // RFC 9110 §15.3.5, §15.4.5: these have no content.
    let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bare { Bytes::new() } else { Bytes::from(response.body) };
    let reason = response.reason.map(|text| crate::text::escape(&text, 1024).into_boxed_str());
    Ok((ResponseHead { status, reason: None, headers }, body, reason))
}

#[cfg(test)]
mod tests;
