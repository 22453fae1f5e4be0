//! The response head: strict parsing, and what of it the client may see.

use crate::chunked::{Chunked, Taken};
use crate::settings::ForwardSettings;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::mem::MaybeUninit;
use wire::{PairingToken, ResponseHead, fields};

/// Fields of a response head that are parsed on the stack.
const FIELDS_USUAL: usize = 128;
const TOO_MANY_FIELDS: &str = "its head has too many fields";
/// A token shorter than this may be an ordinary word: values are not searched for it.
const SCRUB_BYTES_MIN: usize = 16;

/// A parsed response head.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) head: ResponseHead,
    pub(crate) length: BodyLength,
    /// The connection may serve another request after this response.
    pub(crate) keep: bool,
}

/// How the end of a response body is found (RFC 9112 §6.3).
#[derive(Debug)]
pub(crate) enum BodyLength {
    /// This many bytes are left.
    Left(u64),
    Chunked(Chunked),
    /// The body ends with the connection.
    UntilClose,
}

impl BodyLength {
    /// Takes the next data out of `input`.
    ///
    /// # Errors
    /// The rule that the backend broke.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<Taken, &'static str> {
        match self {
            Self::Left(0) => Ok(Taken::End),
            Self::Left(_) | Self::UntilClose if input.is_empty() => Ok(Taken::More),
            Self::Left(left) => {
                let share = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= share as u64;
                Ok(Taken::Data(input.split_to(share).freeze()))
            }
            Self::UntilClose => Ok(Taken::Data(input.split().freeze())),
            Self::Chunked(chunked) => chunked.take(input),
        }
    }
}

/// What parsing needs to know of the request.
pub(crate) struct Asked<'a> {
    /// The method was `HEAD`.
    pub(crate) head: bool,
    pub(crate) token: &'a PairingToken,
    pub(crate) settings: &'a ForwardSettings,
}

/// What a look at the read buffer gave.
pub(crate) enum Parsed {
    /// The head is not complete.
    Partial,
    /// An interim response (1xx) was taken off.
    Interim,
    /// The final head was taken off.
    Final(Inbound),
}

/// Framing fields and where the kept ones lie.
#[derive(Default)]
struct Facts {
    kept: Vec<(HeaderName, usize, usize)>,
    nominated: Vec<HeaderName>,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
}

/// A head that lies whole in the read buffer.
enum Seen {
    /// An interim one of this many bytes.
    Interim(usize),
    Final {
        /// Its bytes.
        length: usize,
        status: StatusCode,
        reason: Option<Bytes>,
        modern: bool,
        facts: Facts,
    },
}

/// Parses a head at the beginning of `input` and takes it off.
///
/// # Errors
/// The rule that the backend broke.
pub(crate) fn parse(input: &mut BytesMut, asked: &Asked<'_>) -> Result<Parsed, &'static str> {
    let fields_max = asked.settings.header_count_max;
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_USUAL];
    let slots = slots.get_mut(..fields_max.min(FIELDS_USUAL)).unwrap_or_default();
    let seen = match see(slots, input, asked) {
        Err(TOO_MANY_FIELDS) if fields_max > FIELDS_USUAL => see_many(fields_max, input, asked)?,
        seen => seen?,
    };
    match seen {
        None => Ok(Parsed::Partial),
        Some(Seen::Interim(length)) => {
            let _interim = input.split_to(length);
            Ok(Parsed::Interim)
        }
        Some(Seen::Final { length, status, reason, modern, facts }) => {
            let lines = input.split_to(length).freeze();
            finish(status, reason, modern, facts, &lines, asked.head).map(Parsed::Final)
        }
    }
}

/// A head with more fields than usual is looked at anew, with room from the heap.
#[cold]
fn see_many(fields_max: usize, input: &[u8], asked: &Asked<'_>) -> Result<Option<Seen>, &'static str> {
    see(&mut vec![MaybeUninit::uninit(); fields_max], input, asked)
}

/// Understands the head at the beginning of `input`; `None` if it is not whole.
fn see<'b>(
    slots: &mut [MaybeUninit<httparse::Header<'b>>],
    input: &'b [u8],
    asked: &Asked<'_>,
) -> Result<Option<Seen>, &'static str> {
    if input.first().is_some_and(|byte| *byte != b'H') {
        return Err("it does not begin with a status line");
    }
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, input, slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(why(error)),
    };
    let code = response.code.unwrap_or(0);
    let status = StatusCode::from_u16(code).map_err(|_| "its status is out of range")?;
    // The parser takes a CR only before a LF, so a surplus of LF is a bare one.
    let lines = input.get(..length).unwrap_or_default();
    if count(lines, b'\n') != count(lines, b'\r') {
        return Err("a line of its head ends with a bare LF");
    }
    match code {
        101 => return Err("it switches protocols unasked"),
        100..200 => return Ok(Some(Seen::Interim(length))),
        200..600 => {}
        _ => return Err("its status is out of range"),
    }
    let modern = response.version == Some(1);
    let reason = response
        .reason
        .filter(|reason| !reason.is_empty() && Some(*reason) != status.canonical_reason())
        .map(|reason| Bytes::copy_from_slice(reason.as_bytes()))
        .filter(|reason| !holds_token(reason, asked.token));
    let facts = collect(response.headers, lines.as_ptr().addr(), asked)?;
    Ok(Some(Seen::Final { length, status, reason, modern, facts }))
}

/// Sums in bytes, of so few at a time that none overflows: the compiler makes
/// vector instructions of it, and it runs over every head.
fn count(bytes: &[u8], wanted: u8) -> usize {
    let pieces = bytes.chunks(usize::from(u8::MAX));
    pieces.map(|piece| usize::from(piece.iter().map(|byte| u8::from(*byte == wanted)).sum::<u8>())).sum()
}

fn why(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field name of its head is malformed",
        httparse::Error::HeaderValue => "a field value of its head is malformed",
        httparse::Error::NewLine => "a line of its head does not end with CRLF",
        httparse::Error::Status => "its status line is malformed",
        httparse::Error::TooManyHeaders => TOO_MANY_FIELDS,
        httparse::Error::Version => "its HTTP version is unknown",
        httparse::Error::Token => "its head holds a forbidden character",
    }
}

/// Sorts the fields: framing is understood, hop-by-hop and secret ones are left
/// out, for the others it is noted where they lie.
fn collect(headers: &[httparse::Header<'_>], base: usize, asked: &Asked<'_>) -> Result<Facts, &'static str> {
    let mut facts = Facts { kept: Vec::with_capacity(headers.len()), ..Facts::default() };
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| "a field name is malformed")?;
        match name.as_str() {
            "content-length" => {
                if facts.content_length.is_some() {
                    return Err("it has several Content-Length fields");
                }
                facts.content_length = Some(decimal(header.value)?);
            }
            "transfer-encoding" => {
                if facts.chunked || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err("its transfer coding is not chunked alone");
                }
                facts.chunked = true;
                continue;
            }
            "connection" => {
                note_connection(header.value, &mut facts);
                continue;
            }
            _ => {
                let kept = name != DATE
                    && !fields::is_hop_by_hop(&name)
                    && !fields::is_reserved(name.as_str())
                    && !asked.settings.token_headers.contains(&name)
                    && !holds_token(header.value, asked.token);
                if !kept {
                    continue;
                }
            }
        }
        let from = header.value.as_ptr().addr().wrapping_sub(base);
        facts.kept.push((name, from, from + header.value.len()));
    }
    if facts.chunked && facts.content_length.is_some() {
        return Err("it has both Content-Length and Transfer-Encoding");
    }
    Ok(facts)
}

/// `close`, or names of further hop-by-hop fields (RFC 9110 §7.6.1).
fn note_connection(value: &[u8], facts: &mut Facts) {
    for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if option.eq_ignore_ascii_case(b"close") {
            facts.close = true;
        } else if !option.is_empty() && !option.eq_ignore_ascii_case(b"keep-alive") {
            // What is not a field name can't remove a field. Content-Length is
            // framing: a backend can't name it away.
            facts.nominated.extend(HeaderName::from_bytes(option).ok().filter(|name| name != CONTENT_LENGTH));
        }
    }
}

/// Digits only, 64 bits (RFC 9110 §8.6).
fn decimal(value: &[u8]) -> Result<u64, &'static str> {
    const WRONG: &str = "its Content-Length is not a number of 64 bits";
    if value.is_empty() {
        return Err(WRONG);
    }
    value.iter().try_fold(0u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10).ok_or(WRONG)?;
        number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit))).ok_or(WRONG)
    })
}

/// True if `value` holds the token's text, wherever.
fn holds_token(value: &[u8], token: &PairingToken) -> bool {
    let token = token.reveal();
    let (Some(first), true) = (token.first(), token.len() >= SCRUB_BYTES_MIN) else { return false };
    if value.len() < token.len() {
        return false;
    }
    value.windows(token.len()).any(|window| window.first() == Some(first) && window == token)
}

fn finish(
    status: StatusCode,
    reason: Option<Bytes>,
    modern: bool,
    facts: Facts,
    lines: &Bytes,
    head_asked: bool,
) -> Result<Inbound, &'static str> {
    if facts.chunked && !modern {
        return Err("it has Transfer-Encoding in HTTP/1.0");
    }
    let mut headers = HeaderMap::with_capacity(facts.kept.len());
    for (name, from, to) in facts.kept {
        if to > lines.len() || from > to {
            return Err("a field lies outside its head");
        }
        // A slice of the read buffer: the value is not copied.
        let value = HeaderValue::from_maybe_shared(lines.slice(from..to)).map_err(|_| "a field value is malformed")?;
        headers.append(name, value);
    }
    for name in &facts.nominated {
        headers.remove(name);
    }
    let bodiless = head_asked || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    let length = if bodiless {
        BodyLength::Left(0)
    } else if facts.chunked {
        BodyLength::Chunked(Chunked::new())
    } else {
        facts.content_length.map_or(BodyLength::UntilClose, BodyLength::Left)
    };
    let keep = modern && !facts.close && !matches!(length, BodyLength::UntilClose);
    Ok(Inbound { head: ResponseHead { status, reason, headers }, length, keep })
}

#[cfg(test)]
mod tests;
