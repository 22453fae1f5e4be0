//! What can go wrong, and who is guilty.
//!
//! One value travels from the room where something failed to `pipeline`'s
//! rescue, the only place that turns it into a status.

use std::sync::Arc;
use std::time::Duration;

/// Who caused a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one who sent the request.
    Client,
    /// The application behind us.
    Backend,
    /// A Wasm component in the pipeline.
    Plugin,
    /// We, or the machine we run on.
    Host,
}

/// Why a plugin could not do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginFault {
    /// It panicked, ran into `unreachable`, a bad memory access or a deep recursion.
    Trap,
    /// It used more CPU time than `deadline_ms`.
    Deadline,
    /// It asked for more memory than `memory_bytes_max`.
    Memory,
    /// It answered something that the contract or HTTP does not allow.
    BadOutput,
    /// `configure` refused when a replacement instance was made.
    Configure,
    /// It was not called: it keeps failing and is held back for a while.
    HeldBack,
}

impl PluginFault {
    /// One word for logs, pages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::BadOutput => "bad-output",
            Self::Configure => "configure",
            Self::HeldBack => "held-back",
        }
    }
}

/// Why a path has no answer here; the number is IIS's sub-status of 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Outside `path_base` (404.0).
    OutsideBase,
    /// No handler mapping selects it (404.4).
    NoHandler,
    /// A mapping selects it whose module is not one of ours (404.2).
    ForeignModule,
    /// A verb that request filtering denies (404.6).
    VerbDenied,
    /// A hidden segment such as `web.config` or `bin` (404.8).
    HiddenSegment,
    /// A doubly escaped path (404.11).
    DoubleEscape,
    /// A path longer than `maxUrl` (404.14).
    PathTooLong,
    /// A query longer than `maxQueryString` (404.15).
    QueryTooLong,
    /// A file that a static mapping demands is not there (404.0).
    NoFile,
}

impl NotFound {
    /// IIS's sub-status.
    #[must_use]
    pub fn sub_status(self) -> u16 {
        match self {
            Self::OutsideBase | Self::NoFile => 0,
            Self::ForeignModule => 2,
            Self::NoHandler => 4,
            Self::VerbDenied => 6,
            Self::HiddenSegment => 8,
            Self::DoubleEscape => 11,
            Self::PathTooLong => 14,
            Self::QueryTooLong => 15,
        }
    }
}

/// What went wrong. Limits carry their value, so that the answer can name it.
#[derive(Clone, Debug)]
pub enum Kind {
    // --- the client's doing ---
    /// 400: the text says which rule of which RFC section was broken.
    BadRequest(&'static str),
    /// 404 with a reason.
    NotFound(NotFound),
    /// 405; the value is the `Allow` field.
    MethodNotAllowed(std::borrow::Cow<'static, str>),
    /// 403; the number is IIS's sub-status: `accessPolicy` lacks what the mapping
    /// requires (1 script or execute, 2 read, 3 write).
    AccessDenied(u16),
    /// 408: the head or the body did not come in time.
    RequestTimeout,
    /// 413; the limit in bytes that `maxAllowedContentLength` sets.
    BodyTooLarge(u64),
    /// 414.
    TargetTooLong,
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed,
    /// 431.
    HeadTooLarge,
    /// 501: a transfer coding that we do not know.
    NotImplemented(&'static str),
    /// 505.
    VersionNotSupported,
    /// The client went away: there is nobody to answer.
    ClientGone,

    // --- the backend's doing ---
    /// 502.5: it could not be started.
    StartFailed(Arc<StartReport>),
    /// 502: nobody accepts connections at its port.
    ConnectFailed,
    /// 502: it closed or reset the connection before a complete head.
    BackendGone,
    /// 502: its response breaks HTTP; the text says how.
    BadResponse(&'static str),
    /// It ended the body early: the client's connection is broken off.
    Truncated,
    /// 504: no progress for this long while waiting for what the text names.
    BackendTimeout(&'static str, Duration),

    // --- a plugin's doing ---
    /// 500 or 503 by its policy.
    Plugin(Arc<str>, PluginFault),
    /// A plugin refused in the middle of a body: its answer where no head was sent
    /// yet, else the connection is broken off.
    Aborted(Arc<crate::ports::Answer>),

    // --- ours ---
    /// 503: too many requests wait for the backend's start already.
    QueueFull,
    /// 503: we are stopping.
    Stopping,
    /// 503 with these bytes as its page: `app_offline.htm` is there.
    Offline(bytes::Bytes),
    /// 500.
    Internal(&'static str),
}

/// A failed exchange: who, what, and what the operator should read.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Who is guilty.
    pub side: Side,
    /// What happened.
    pub kind: Kind,
    /// More for the log (system error, parser message); never a secret, never shown to strangers.
    pub detail: Option<Box<str>>,
}

impl Fault {
    /// A fault without detail; the side follows from the kind.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { side: kind.side(), kind, detail: None }
    }

    /// Adds what the operator should read.
    #[must_use]
    pub fn with_detail(mut self, detail: impl std::fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into_boxed_str());
        self
    }
}

impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self::new(kind)
    }
}

impl Kind {
    /// Who is guilty of it.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::BadRequest(_)
            | Self::NotFound(_)
            | Self::MethodNotAllowed(_)
            | Self::AccessDenied(_)
            | Self::RequestTimeout
            | Self::BodyTooLarge(_)
            | Self::TargetTooLong
            | Self::ExpectationFailed
            | Self::HeadTooLarge
            | Self::NotImplemented(_)
            | Self::VersionNotSupported
            | Self::ClientGone => Side::Client,
            Self::StartFailed(_)
            | Self::ConnectFailed
            | Self::BackendGone
            | Self::BadResponse(_)
            | Self::Truncated
            | Self::BackendTimeout(..) => Side::Backend,
            Self::Plugin(..) | Self::Aborted(_) => Side::Plugin,
            Self::QueueFull | Self::Stopping | Self::Offline(_) | Self::Internal(_) => Side::Host,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            Kind::BadRequest(why) => write!(f, "bad request: {why}"),
            Kind::NotFound(why) => write!(f, "not found (404.{}): {why:?}", why.sub_status()),
            Kind::MethodNotAllowed(allow) => write!(f, "method not allowed; allowed: {allow}"),
            Kind::AccessDenied(sub) => {
                write!(f, "access denied (403.{sub}): accessPolicy of handlers lacks what the mapping requires")
            }
            Kind::RequestTimeout => f.write_str("the request did not arrive in time"),
            Kind::BodyTooLarge(limit) => write!(f, "request body above {limit} bytes"),
            Kind::TargetTooLong => f.write_str("request target too long"),
            Kind::ExpectationFailed => f.write_str("expectation failed"),
            Kind::HeadTooLarge => f.write_str("request head too large"),
            Kind::NotImplemented(what) => write!(f, "not implemented: {what}"),
            Kind::VersionNotSupported => f.write_str("HTTP version not supported"),
            Kind::ClientGone => f.write_str("the client went away"),
            Kind::StartFailed(report) => write!(f, "the backend did not start: {}", report.summary),
            Kind::ConnectFailed => f.write_str("the backend does not accept connections"),
            Kind::BackendGone => f.write_str("the backend closed the connection before it answered"),
            Kind::BadResponse(why) => write!(f, "the backend's response is not valid HTTP: {why}"),
            Kind::Truncated => f.write_str("the backend ended its response early"),
            Kind::BackendTimeout(what, limit) => write!(f, "the backend made no progress in {limit:?} ({what})"),
            Kind::Plugin(name, fault) => write!(f, "plugin \"{name}\" failed: {}", fault.as_str()),
            Kind::Aborted(answer) => {
                write!(f, "plugin \"{}\" refused the body (status {})", answer.plugin, answer.status.as_u16())
            }
            Kind::QueueFull => f.write_str("too many requests wait for the backend"),
            Kind::Stopping => f.write_str("the host is stopping"),
            Kind::Offline(_) => f.write_str("the app is taken off by app_offline.htm"),
            Kind::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Why a start failed, as a class: the word stands in logs, metrics and the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// There is no such program, or it may not be executed.
    NoProgram,
    /// The process ended before it listened.
    Exited,
    /// It did not listen within `startupTimeLimit`.
    TimedOut,
    /// Somebody else listens at the port that it was given.
    ForeignListener,
    /// It listens, but not at the port that it was given.
    WrongPort,
    /// No free port was found, or the configured one is out of range.
    NoPort,
    /// It failed lately; no attempt was made before the back-off ends.
    BackingOff,
    /// The system refused (limits, permissions).
    System,
}

impl StartFailure {
    /// One word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoProgram => "no-program",
            Self::Exited => "exited",
            Self::TimedOut => "timed-out",
            Self::ForeignListener => "foreign-listener",
            Self::WrongPort => "wrong-port",
            Self::NoPort => "no-port",
            Self::BackingOff => "backing-off",
            Self::System => "system",
        }
    }
}

/// A failed start as the page, the log and `status` tell it. Never holds the token.
#[derive(Clone, Debug)]
pub struct StartReport {
    /// Reason class.
    pub failure: StartFailure,
    /// One sentence in plain words: what failed and what to look at.
    pub summary: String,
    /// The command line as it was started.
    pub command: String,
    /// Working directory.
    pub directory: String,
    /// How it ended, in words: `exit code 3`, `signal 11 (SIGSEGV)`.
    pub ended: Option<String>,
    /// The port of the last attempt.
    pub port: Option<u16>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Time spent on all attempts.
    pub elapsed: Duration,
    /// The last lines of its output, oldest first, control characters escaped.
    pub last_lines: Vec<String>,
    /// When a next attempt may be made, counted from the report.
    pub retry_after: Option<Duration>,
    /// True where the configured environment says Development or detailed errors.
    pub development: bool,
    /// False with `disableStartUpErrorPage="true"`: status 502 with an empty body.
    pub show_page: bool,
}
