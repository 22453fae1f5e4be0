//! `builtin:request-log`: one record per request in the host's log, after the last byte.
//!
//! # Settings
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `fields` | which fields a record has, in order, at most 32 | [`settings::DEFAULT_FIELDS`] |
//! | `template` | one line of text instead: `{method} {path} {status}`; `{{` is a brace | none |
//! | `message` | the record's message | `request` |
//! | `redact` | names of further query parameters and headers whose values are secret | none |
//! | `levels` | table of `1xx` ... `5xx`, `none` (no response) → `trace` ... `error`, `off` | info, `5xx` and `none`: warn |
//!
//! Fields: `time` (of the end, RFC 3339), `client_ip`, `method`, `scheme`, `host`, `path`,
//! `query`, `sni`, `request_id`, `subject`, `status`, `source` (who answered: `upstream`,
//! `plugin:<name>`, `host`), `ending` (how it ended), `bytes_in`, `bytes_out` (bodies),
//! `duration_us`, `first_byte_us`, `upstream`, `detail`, and by name `header:NAME`,
//! `response:NAME`, `attribute:NAME`, `claim:NAME`. What an exchange does not have is
//! absent from its record, and `-` in a template.
//!
//! *Never* in a record: credentials, cookies, and values of query parameters and headers
//! whose names say that they are secret (see [`redact`]).
#![forbid(unsafe_code)]

pub mod field;
pub mod record;
pub mod redact;
pub mod settings;

use field::Part;
use gatelodge_sdk::{Completion, Config, Field, Level, Plugin, Registration, Summary, View, clock};
use record::Facts;
use settings::{Form, Settings};

gatelodge_sdk::manifest! {
    name: "request-log",
    version: env!("CARGO_PKG_VERSION"),
    description: "One structured record per request, secrets redacted",
    grants: { "log": true },
}
gatelodge_sdk::export!(RequestLog; completion);

/// The plugin: settings, and where in the view each part is.
pub struct RequestLog {
    settings: Settings,
    /// In the order of `settings.parts`; `None` for what the summary tells.
    places: Vec<Option<Field>>,
}

impl Plugin for RequestLog {
    fn configure(config: Config) -> Result<(Self, Registration), String> {
        let settings = Settings::read(config)?;
        let mut registration = Registration::new();
        let places = settings.parts.iter().map(|part| Some(registration.completion(part.selector()?))).collect();
        Ok((Self { settings, places }, registration))
    }
}

impl Completion for RequestLog {
    fn completion(&mut self, summary: &Summary, view: &View) {
        let Some(level) = self.settings.levels.of(summary.status) else { return };
        if !gatelodge_sdk::log_enabled(level) {
            return;
        }
        self.write(level, &Facts { summary, unix_ms: clock::unix_ms() }, view);
    }
}

impl RequestLog {
    fn write(&self, level: Level, facts: &Facts<'_>, view: &View) {
        let value = |index: usize, part: &Part| {
            let place = self.places.get(index).copied().flatten();
            record::value(part, place.and_then(|field| view.bytes(field)), facts, &self.settings.secrets)
        };
        let values = self.settings.parts.iter().enumerate().map(|(index, part)| (part, value(index, part)));
        match &self.settings.form {
            Form::Fields { message } => gatelodge_sdk::event(level, message, &record::fields(values)),
            Form::Template(pieces) => {
                let values: Vec<_> = values.map(|(_, value)| value).collect();
                gatelodge_sdk::log_line(level, &record::line(pieces, &values));
            }
        }
    }
}
