//! What can be told: one struct per thing, which owns its words.

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step; for finding a fault in Gatelodge or a plugin.
    Trace,
    /// Refused requests, plugin details.
    Debug,
    /// What an operator wants to read on a good day.
    Info,
    /// Something failed and was dealt with.
    Warn,
    /// Something failed and needs a person.
    Error,
}

impl Level {
    /// `trace`, `debug`, `info`, `warn`, `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error].into_iter().find(|level| level.as_str() == name)
    }
}

/// The fields of an event, in order. Values are escaped when they are written.
#[derive(Default)]
pub struct Fields(pub(crate) Vec<(String, serde_json::Value)>);

impl Fields {
    /// Adds text.
    pub fn text(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), serde_json::Value::String(value.into())));
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, value: impl Into<u64>) {
        self.0.push((name.to_owned(), serde_json::Value::from(value.into())));
    }
}

/// A thing worth telling.
pub trait Event {
    /// How loud it is.
    fn level(&self) -> Level;
    /// Its stable name, lower case with dashes: what a log search looks for.
    fn name(&self) -> &'static str;
    /// One sentence for a person.
    fn message(&self) -> String;
    /// Its facts for a machine.
    fn fields(&self, fields: &mut Fields);
}

/// A line whose words were made elsewhere: by a plugin, by process supervision.
pub struct Line {
    /// How loud.
    pub level: Level,
    /// Stable name.
    pub name: &'static str,
    /// One sentence.
    pub message: String,
    /// Facts, in order.
    pub fields: Vec<(String, String)>,
}

impl Event for Line {
    fn level(&self) -> Level {
        self.level
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn message(&self) -> String {
        self.message.clone()
    }
    fn fields(&self, fields: &mut Fields) {
        for (name, value) in &self.fields {
            fields.text(name, value.as_str());
        }
    }
}

/// A request that did not get what it asked for.
pub struct RequestFailed<'a> {
    /// Number of the request, as its page shows it.
    pub id: String,
    /// Its method; empty where the head was not understood.
    pub method: &'a str,
    /// Its canonical path without query; empty where the head was not understood.
    pub path: &'a str,
    /// Who sent it.
    pub client: std::net::SocketAddr,
    /// The status it got; `None` where nobody was left to answer.
    pub status: Option<u16>,
    /// IIS's sub-status, 0 where there is none.
    pub sub_status: u16,
    /// `client`, `backend`, `plugin` or `host`.
    pub guilty: &'static str,
    /// What happened.
    pub what: String,
    /// More for the operator.
    pub detail: Option<&'a str>,
}

impl Event for RequestFailed<'_> {
    fn level(&self) -> Level {
        if self.guilty == "client" { Level::Debug } else { Level::Warn }
    }
    fn name(&self) -> &'static str {
        "request-failed"
    }
    fn message(&self) -> String {
        self.what.clone()
    }
    fn fields(&self, fields: &mut Fields) {
        fields.text("request", self.id.as_str());
        if !self.method.is_empty() {
            fields.text("method", self.method);
            fields.text("path", self.path);
        }
        fields.text("client", self.client.to_string());
        if let Some(status) = self.status {
            fields.text(
                "status",
                if self.sub_status == 0 { status.to_string() } else { format!("{status}.{}", self.sub_status) },
            );
        }
        fields.text("guilty", self.guilty);
        if let Some(detail) = self.detail {
            fields.text("detail", detail);
        }
    }
}

/// What became of a request whose asker had the key for that.
pub struct RequestTraced<'a> {
    /// Number of the request.
    pub id: String,
    /// Its method.
    pub method: &'a str,
    /// Its canonical path without query.
    pub path: &'a str,
    /// Who sent it.
    pub client: std::net::SocketAddr,
    /// The status it got.
    pub status: u16,
    /// How it ended, in a word.
    pub ending: &'static str,
    /// What each part came to and how long it took, as Server Timing has it.
    pub timing: String,
}

impl Event for RequestTraced<'_> {
    fn level(&self) -> Level {
        Level::Info
    }
    fn name(&self) -> &'static str {
        "request-traced"
    }
    fn message(&self) -> String {
        "a request was traced".to_owned()
    }
    fn fields(&self, fields: &mut Fields) {
        fields.text("request", self.id.as_str());
        fields.text("method", self.method);
        fields.text("path", self.path);
        fields.text("client", self.client.to_string());
        fields.number("status", self.status);
        fields.text("ending", self.ending);
        fields.text("timing", self.timing.as_str());
    }
}
