//! How long a message body is (RFC 9112 §6).

use crate::Kind;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// The body length of a message as its head declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body follows.
    None,
    /// Exactly this many bytes follow.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

impl Framing {
    /// True where bytes may follow the head.
    #[must_use]
    pub fn has_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }

    /// Reads the framing fields of a request: at most one of `Content-Length`
    /// and `Transfer-Encoding`, on one line; digits only, or `chunked` only.
    /// Leading zeros are taken: the number goes on in canonical form.
    ///
    /// # Errors
    /// [`Kind::NotImplemented`] for a coding besides `chunked` (RFC 9112 §6.1),
    /// [`Kind::BadRequest`] for all else.
    pub fn of_request(headers: &HeaderMap) -> Result<Self, Kind> {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let framing = match (codings.next(), lengths.next()) {
            (None, None) => return Ok(Self::None),
            (Some(_), Some(_)) => {
                return Err(Kind::BadRequest("Content-Length beside Transfer-Encoding (RFC 9112 §6.3)"));
            }
            (Some(coding), None) => chunked(coding.as_bytes())?,
            (None, Some(length)) => Self::Length(number(length.as_bytes())?),
        };
        if codings.next().is_some() || lengths.next().is_some() {
            return Err(Kind::BadRequest("several framing fields (RFC 9112 §6.3)"));
        }
        Ok(framing)
    }
}

fn chunked(coding: &[u8]) -> Result<Framing, Kind> {
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let mut names = coding.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    if names.all(|name| name.eq_ignore_ascii_case(b"chunked") || name.is_empty()) {
        return Err(Kind::BadRequest("chunked may stand only once (RFC 9112 §6.1)"));
    }
    Err(Kind::NotImplemented("transfer coding other than chunked (RFC 9112 §6.1)"))
}

fn number(digits: &[u8]) -> Result<u64, Kind> {
    const BAD: Kind = Kind::BadRequest("Content-Length is not one number (RFC 9110 §8.6)");
    if digits.is_empty() {
        return Err(BAD);
    }
    digits
        .iter()
        .try_fold(0_u64, |sum, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            sum.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(BAD)
}

#[cfg(test)]
mod tests {
    use super::Framing;
    use crate::Kind;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn read(fields: &[(&'static str, &'static str)]) -> Result<Framing, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Framing::of_request(&headers).map_err(|kind| match kind {
            Kind::BadRequest(_) => 400,
            Kind::NotImplemented(_) => 501,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn one_field_one_line_one_value() {
        const CL: &str = "content-length";
        const TE: &str = "transfer-encoding";
        for (fields, want) in [
            (&[][..], Ok(Framing::None)),
            (&[(CL, "0")], Ok(Framing::Length(0))),
            (&[(CL, "00005")], Ok(Framing::Length(5))),
            (&[(CL, "18446744073709551615")], Ok(Framing::Length(u64::MAX))),
            (&[(TE, "chunked")], Ok(Framing::Chunked)),
            (&[(TE, "CHUNKED")], Ok(Framing::Chunked)),
            (&[(CL, "18446744073709551616")], Err(400)),
            (&[(CL, "")], Err(400)),
            (&[(CL, "+5")], Err(400)),
            (&[(CL, "-0")], Err(400)),
            (&[(CL, "0x5")], Err(400)),
            (&[(CL, "5,5")], Err(400)),
            (&[(CL, "5 5")], Err(400)),
            (&[(CL, "5"), (CL, "5")], Err(400)),
            (&[(CL, "5"), (TE, "chunked")], Err(400)),
            (&[(TE, "chunked"), (TE, "chunked")], Err(400)),
            (&[(TE, "chunked, chunked")], Err(400)),
            (&[(TE, "chunked,")], Err(400)),
            (&[(TE, "gzip, chunked")], Err(501)),
            (&[(TE, "chunked, cow")], Err(501)),
            (&[(TE, "identity")], Err(501)),
            (&[(TE, "xchunked")], Err(501)),
        ] {
            assert_eq!(read(fields), want, "{fields:?}");
        }
    }
}
