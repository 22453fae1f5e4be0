//! What a record may have: its names in settings, and where each value comes from.

use gatelodge_sdk::{
    Selector, attribute, authority, claim, client_ip, header, method, nearest, path, query, request_id,
    response_header, response_source, scheme, sni, subject,
};

/// One value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the host's summary of the exchange, or the clock.
    Fact(Fact),
    /// A plain selector, by its name in settings.
    Plain(&'static str),
    /// A request header.
    Header(String),
    /// A response header.
    Response(String),
    /// An attribute of another plugin.
    Attribute(String),
    /// A claim of the caller's principal.
    Claim(String),
}

/// What the summary tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as the field in settings is")]
pub enum Fact {
    Time,
    Status,
    Ending,
    BytesIn,
    BytesOut,
    DurationUs,
    FirstByteUs,
    Upstream,
    Detail,
}

const FACTS: [(&str, Fact); 9] = [
    ("time", Fact::Time),
    ("status", Fact::Status),
    ("ending", Fact::Ending),
    ("bytes_in", Fact::BytesIn),
    ("bytes_out", Fact::BytesOut),
    ("duration_us", Fact::DurationUs),
    ("first_byte_us", Fact::FirstByteUs),
    ("upstream", Fact::Upstream),
    ("detail", Fact::Detail),
];

type MakeSelector = fn() -> Selector;

const PLAIN: [(&str, MakeSelector); 10] = [
    ("client_ip", client_ip),
    ("method", method),
    ("scheme", scheme),
    ("host", authority),
    ("path", path),
    ("query", query),
    ("sni", sni),
    ("request_id", request_id),
    ("subject", subject),
    ("source", response_source),
];

const NAMED: [&str; 4] = ["header", "response", "attribute", "claim"];

impl Part {
    /// Reads a field's name.
    ///
    /// # Errors
    /// Unknown; the text has the nearest known name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, fact)) = FACTS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Fact(*fact));
        }
        if let Some((name, _)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Plain(name));
        }
        let known = || FACTS.iter().map(|(name, _)| *name).chain(PLAIN.iter().map(|(name, _)| *name));
        let Some((kind, name)) = text.split_once(':') else {
            let hint = nearest(text, known()).map_or_else(
                || format!("known are {}, and header:, response:, attribute:, claim: with a name", list(known())),
                |name| format!("did you mean `{name}`?"),
            );
            return Err(format!("unknown field `{}`; {hint}", text.escape_default()));
        };
        match kind {
            "header" => Ok(Self::Header(header_name(name)?)),
            "response" => match header_name(name)?.as_str() {
                // The host has no joined form of it, and its values are secrets anyway.
                "set-cookie" => Err("`response:set-cookie` is never logged".to_owned()),
                name => Ok(Self::Response(name.to_owned())),
            },
            "attribute" | "claim" if name.is_empty() => Err(format!("`{kind}:` needs a name")),
            "attribute" => Ok(Self::Attribute(name.to_owned())),
            "claim" => Ok(Self::Claim(name.to_owned())),
            _ => {
                let hint = nearest(kind, NAMED.into_iter()).map_or_else(|| list(NAMED.into_iter()), str::to_owned);
                Err(format!("unknown kind of field `{}`; did you mean {hint}?", kind.escape_default()))
            }
        }
    }

    /// Its key in a record.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Fact(fact) => {
                FACTS.iter().find(|(_, known)| known == fact).map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
            Self::Plain(name) => (*name).to_owned(),
            Self::Header(name) => format!("header:{name}"),
            Self::Response(name) => format!("response:{name}"),
            Self::Attribute(name) => format!("attribute:{name}"),
            Self::Claim(name) => format!("claim:{name}"),
        }
    }

    /// What to ask the host for, if it is not in the summary.
    #[must_use]
    pub fn selector(&self) -> Option<Selector> {
        match self {
            Self::Fact(_) => None,
            Self::Plain(name) => PLAIN.iter().find(|(known, _)| known == name).map(|(_, make)| make()),
            Self::Header(name) => Some(header(name)),
            Self::Response(name) => Some(response_header(name)),
            Self::Attribute(name) => Some(attribute(name)),
            Self::Claim(name) => Some(claim(name)),
        }
    }
}

/// RFC 9110 §5.6.2, in lower case; the pairing fields are not for logs.
fn header_name(name: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err(format!("`{}` is not a header name", name.escape_default()));
    }
    let name = name.to_ascii_lowercase();
    if name.replace('_', "-").starts_with("ms-aspnetcore") {
        return Err(format!("`{name}` belongs to host and backend"));
    }
    Ok(name)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_its_own_key() {
        for name in FACTS.iter().map(|(name, _)| *name).chain(PLAIN.iter().map(|(name, _)| *name)) {
            let part = Part::parse(name).unwrap();
            assert_eq!(part.key(), name);
            assert_eq!(part.selector().is_none(), matches!(part, Part::Fact(_)), "{name}");
        }
        for name in ["header:user-agent", "response:content-type", "attribute:tenant", "claim:oid"] {
            let part = Part::parse(name).unwrap();
            assert_eq!(part.key(), name);
            assert!(part.selector().is_some());
        }
        assert_eq!(Part::parse("header:User-Agent"), Ok(Part::Header("user-agent".into())));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for (name, part) in [
            ("staus", "did you mean `status`?"),
            ("zzz", "known are time, status"),
            ("", "unknown field ``"),
            ("headr:x", "did you mean header?"),
            ("x:y", "unknown kind of field `x`"),
            ("header:", "not a header name"),
            ("header:a b", "not a header name"),
            ("header:MS-ASPNETCORE-TOKEN", "belongs to host and backend"),
            ("response:Set-Cookie", "never logged"),
            ("claim:", "needs a name"),
            ("attribute:", "needs a name"),
        ] {
            let error = Part::parse(name).unwrap_err();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
