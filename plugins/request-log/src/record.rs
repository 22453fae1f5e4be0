//! From the facts of one exchange to its record.

use crate::field::{Fact, Part};
use crate::redact::Secrets;
use crate::settings::Piece;
use gatelodge_sdk::{Ending, Summary, rfc3339};

/// What the host tells at the end.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The host's summary.
    pub summary: &'a Summary,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// A part's value, secrets hidden; `None` if the exchange does not have it.
#[must_use]
pub fn value(part: &Part, seen: Option<&[u8]>, facts: &Facts<'_>, secrets: &Secrets) -> Option<String> {
    if let Part::Fact(fact) = part {
        return told(*fact, facts);
    }
    let text = String::from_utf8_lossy(seen?);
    Some(match part {
        Part::Plain("query") => secrets.query(&text),
        Part::Header(name) | Part::Response(name) => secrets.header(name, &text),
        Part::Attribute(name) | Part::Claim(name) if secrets.is_secret(name) => crate::redact::HIDDEN.to_owned(),
        _ => text.into_owned(),
    })
}

fn told(fact: Fact, Facts { summary, unix_ms }: &Facts<'_>) -> Option<String> {
    match fact {
        Fact::Time => Some(rfc3339(*unix_ms)),
        Fact::Status => summary.status.map(|status| status.to_string()),
        Fact::Ending => Some(ending(summary.ending).to_owned()),
        Fact::BytesIn => Some(summary.bytes_in.to_string()),
        Fact::BytesOut => Some(summary.bytes_out.to_string()),
        Fact::DurationUs => Some(summary.duration_us.to_string()),
        Fact::FirstByteUs => summary.first_byte_us.map(|us| us.to_string()),
        Fact::Upstream => summary.upstream.clone(),
        Fact::Detail => summary.detail.clone(),
    }
}

/// The contract's own words.
fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Complete => "complete",
        Ending::ClientGone => "client-gone",
        Ending::UpstreamGone => "upstream-gone",
        Ending::Refused => "refused",
        Ending::TimedOut => "timed-out",
        Ending::Fault => "fault",
    }
}

/// A record of named values; what is absent is left out.
pub fn fields<'a>(values: impl Iterator<Item = (&'a Part, Option<String>)>) -> Vec<(String, String)> {
    values.filter_map(|(part, value)| Some((part.key(), value?))).collect()
}

/// A line of text; what is absent is `-`.
#[must_use]
pub fn line(pieces: &[Piece], values: &[Option<String>]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => &text[..],
            Piece::Value(index) => values.get(*index).and_then(Option::as_deref).unwrap_or("-"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Form, Settings};
    use gatelodge_sdk::Config;

    fn summary() -> Summary {
        Summary {
            status: Some(200),
            ending: Ending::Complete,
            duration_us: 1500,
            first_byte_us: Some(900),
            bytes_in: 0,
            bytes_out: 5_000_000_000,
            upstream: Some("127.0.0.1:5000".into()),
            detail: None,
        }
    }

    /// What an exchange shows for each selector.
    fn seen(part: &Part) -> Option<&'static [u8]> {
        Some(match &part.key()[..] {
            "client_ip" => b"203.0.113.7",
            "method" => b"GET",
            "path" => b"/a",
            "query" => b"q=1&api_key=s3cret",
            "source" => b"upstream",
            "request_id" => b"17",
            "header:authorization" => b"Bearer s3cret",
            "header:cookie" => b"a=s3cret",
            "header:x-api-key" | "claim:at_hash_token" | "header:badge" => b"s3cret",
            "header:referer" => b"https://x/?token=s3cret",
            "header:x-odd" => b"a\xffb",
            _ => return None,
        })
    }

    fn record(json: &str, summary: &Summary) -> String {
        let settings = Settings::read(Config::parse(json).expect("JSON")).expect("settings");
        let facts = Facts { summary, unix_ms: 1_490_999_713_693 };
        let values = settings.parts.iter().map(|part| (part, value(part, seen(part), &facts, &settings.secrets)));
        match &settings.form {
            Form::Fields { message } => {
                let pairs = fields(values).into_iter().map(|(key, value)| format!(" {key}={value}"));
                format!("{message}{}", pairs.collect::<String>())
            }
            Form::Template(pieces) => line(pieces, &values.map(|(_, value)| value).collect::<Vec<_>>()),
        }
    }

    #[test]
    fn tells_what_happened() {
        assert_eq!(
            record("{}", &summary()),
            "request time=2017-03-31T22:35:13.693Z client_ip=203.0.113.7 method=GET path=/a \
             query=q=1&api_key=[redacted] status=200 bytes_in=0 bytes_out=5000000000 duration_us=1500 \
             first_byte_us=900 source=upstream ending=complete request_id=17 upstream=127.0.0.1:5000"
        );
        let gone = Summary {
            status: None,
            first_byte_us: None,
            ending: Ending::ClientGone,
            detail: Some("reset".into()),
            ..summary()
        };
        assert_eq!(
            record(r#"{"fields":["status","ending","first_byte_us","detail"],"message":"done"}"#, &gone),
            "done ending=client-gone detail=reset"
        );
        assert_eq!(record(r#"{"template":"{method} {path} -> {status} {ending}"}"#, &gone), "GET /a -> - client-gone");
    }

    #[test]
    fn never_tells_secrets() {
        let json = r#"{"redact":["Badge"],"fields":["query","header:authorization","header:cookie","header:x-api-key",
            "header:referer","header:badge","claim:at_hash_token","header:x-odd"]}"#;
        let text = record(json, &summary());
        assert!(!text.contains("s3cret"), "{text}");
        assert_eq!(text.matches("[redacted]").count(), 7);
        assert!(text.ends_with("header:x-odd=a\u{fffd}b"));
    }
}
