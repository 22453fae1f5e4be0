//! The host's own pages: HTML for a browser, JSON for a program, text for a terminal.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use std::fmt::Write as _;
use wire::RequestId;

/// A status with IIS's sub-status (0: none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16, pub(crate) u16);

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Html,
    Json,
    Text,
}

impl Style {
    /// What the client's `Accept` asks for (RFC 9110 §12.5.1, by order of naming,
    /// which is what clients that care about error pages send): JSON where it
    /// names a JSON type before HTML, HTML where it names HTML, else text.
    pub(crate) fn wanted(accept: Option<&HeaderValue>) -> Self {
        let Some(accept) = accept.and_then(|value| value.to_str().ok()) else { return Self::Text };
        let named = accept.split(',').map(|range| range.split(';').next().unwrap_or("").trim());
        for range in named.take(32) {
            if range.eq_ignore_ascii_case("text/html") || range.eq_ignore_ascii_case("application/xhtml+xml") {
                return Self::Html;
            }
            if range.eq_ignore_ascii_case("application/json") || range.to_ascii_lowercase().ends_with("+json") {
                return Self::Json;
            }
        }
        Self::Text
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/problem+json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// A page before it is written.
pub(crate) struct Page {
    status: Status,
    request: RequestId,
    sentences: Vec<String>,
    facts: Vec<(&'static str, String)>,
    output: Vec<String>,
    hints: Vec<&'static str>,
}

impl Page {
    pub(crate) fn new(status: Status, request: RequestId) -> Self {
        Self { status, request, sentences: Vec::new(), facts: Vec::new(), output: Vec::new(), hints: Vec::new() }
    }

    pub(crate) fn says(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }

    pub(crate) fn fact(&mut self, name: &'static str, value: String) {
        self.facts.push((name, value));
    }

    pub(crate) fn output(&mut self, lines: Vec<String>) {
        self.output = lines;
    }

    pub(crate) fn hints(&mut self, hint: &'static str) {
        self.hints.push(hint);
    }

    /// `502.5 Bad Gateway`.
    fn title(&self) -> String {
        let reason =
            StatusCode::from_u16(self.status.0).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error");
        match self.status {
            Status(code, 0) => format!("{code} {reason}"),
            Status(code, sub) => format!("{code}.{sub} {reason}"),
        }
    }

    /// The bytes.
    pub(crate) fn render(&self, style: Style) -> Bytes {
        match style {
            Style::Html => self.html(),
            Style::Json => self.json(),
            Style::Text => self.text(),
        }
        .into()
    }

    fn html(&self) -> String {
        let title = escape(&self.title());
        let mut out = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\
             body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#222}}\
             h1{{font-size:1.4rem}}dt{{color:#666}}dd{{margin:0 0 .4rem;font-family:monospace;overflow-wrap:anywhere}}\
             pre{{background:#f4f4f4;padding:.7rem;overflow:auto}}small{{color:#666}}</style></head><body><h1>{title}</h1>"
        );
        for sentence in &self.sentences {
            push(&mut out, format_args!("<p>{}</p>", escape(sentence)));
        }
        if !self.facts.is_empty() {
            out.push_str("<dl>");
            for (name, value) in &self.facts {
                push(&mut out, format_args!("<dt>{name}</dt><dd>{}</dd>", escape(value)));
            }
            out.push_str("</dl>");
        }
        if !self.output.is_empty() {
            push(&mut out, format_args!("<p>Last output:</p><pre>{}</pre>", escape(&self.output.join("\n"))));
        }
        for hint in &self.hints {
            push(&mut out, format_args!("<p><small>{}</small></p>", escape(hint)));
        }
        push(&mut out, format_args!("<p><small>Gatelodge, request {}</small></p></body></html>\n", self.request));
        out
    }

    /// RFC 9457 problem details, with the facts as further members.
    fn json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("type".into(), "about:blank".into());
        object.insert("title".into(), self.title().into());
        object.insert("status".into(), self.status.0.into());
        if self.status.1 != 0 {
            object.insert("sub_status".into(), self.status.1.into());
        }
        object.insert("detail".into(), self.sentences.join(" ").into());
        object.insert("request".into(), self.request.to_string().into());
        for (name, value) in &self.facts {
            object.insert(name.replace(' ', "_"), value.as_str().into());
        }
        if !self.output.is_empty() {
            object.insert("last_output".into(), self.output.clone().into());
        }
        serde_json::Value::Object(object).to_string() + "\n"
    }

    fn text(&self) -> String {
        let mut out = self.title() + "\n\n";
        for sentence in &self.sentences {
            push(&mut out, format_args!("{sentence}\n"));
        }
        for (name, value) in &self.facts {
            push(&mut out, format_args!("{name}: {value}\n"));
        }
        if !self.output.is_empty() {
            push(&mut out, format_args!("last output:\n  {}\n", self.output.join("\n  ")));
        }
        for hint in &self.hints {
            push(&mut out, format_args!("{hint}\n"));
        }
        push(&mut out, format_args!("\nGatelodge, request {}\n", self.request));
        out
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = out.write_fmt(text);
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
