//! One request with its response: what the rooms pass along.

use crate::{CanonicalPath, Framing, Trace};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Scheme by which the client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Facts of a client connection: made once, shared by its requests.
#[derive(Debug)]
pub struct ConnFacts {
    /// Who is at the other end of the socket.
    pub client: SocketAddr,
    /// The listening end.
    pub local: SocketAddr,
    /// As the listener has it.
    pub scheme: Scheme,
    /// Server name that the client asked for in TLS.
    pub sni: Option<Box<str>>,
    /// True if the peer is in `[host.trust] proxies`: its forwarded headers are believed.
    pub trusted: bool,
    /// The client as ANCM writes it into `X-Forwarded-For`: `203.0.113.7:51812`, `[2001:db8::1]:40000`.
    pub forwarded_for: HeaderValue,
}

impl ConnFacts {
    /// Facts of a plain connection.
    #[must_use]
    pub fn new(client: SocketAddr, local: SocketAddr, scheme: Scheme, trusted: bool) -> Self {
        // An IPv4 client on a dual-stack listener is written as the IPv4 address it is.
        let client = SocketAddr::new(client.ip().to_canonical(), client.port());
        let forwarded_for = HeaderValue::from_maybe_shared(Bytes::from(client.to_string()))
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Self { client, local, scheme, sni: None, trusted, forwarded_for }
    }

    /// True if the client sits on this machine: it may see details of failures. What a
    /// trusted proxy on this machine passes on comes from anywhere.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.client.ip().is_loopback() && !self.trusted
    }
}

/// A request head after admission.
#[derive(Debug)]
pub struct RequestHead {
    /// Case kept as sent.
    pub method: Method,
    /// Path and query as the client sent them, byte for byte.
    pub target: PathAndQuery,
    /// The path as rules, mappings, plugins and logs compare it.
    pub path: CanonicalPath,
    /// The authority: `Host`, or the target's own where it was absolute.
    pub authority: HeaderValue,
    /// The client's HTTP version.
    pub version: Version,
    /// The client's fields without `Host`, `Expect`, framing fields, reserved
    /// names and hop-by-hop fields; and without forwarded facts of strangers.
    pub headers: HeaderMap,
    /// Body length as the client declared it.
    pub framing: Framing,
    /// The client waits for `100 Continue` before it sends its body.
    pub expects_continue: bool,
    /// What the client sent to be told what becomes of its request ([`crate::trace::TRACE`]).
    /// The pipeline takes it out.
    pub trace: Option<HeaderValue>,
}

impl RequestHead {
    /// The canonical path, always with a leading slash.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.path {
            CanonicalPath::AsSent => self.target.path(),
            CanonicalPath::Decoded(path) => path,
        }
    }

    /// The raw query without its `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }
}

/// A response head on its way to the client.
#[derive(Debug)]
pub struct ResponseHead {
    /// 200–599, or 101 for an upgrade.
    pub status: StatusCode,
    /// Reason phrase where it differs from the standard one.
    pub reason: Option<Bytes>,
    /// End-to-end fields. `Content-Length` is present exactly where the length is known.
    pub headers: HeaderMap,
}

impl ResponseHead {
    /// A head with this status and no fields.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, reason: None, headers: HeaderMap::new() }
    }
}

/// Who made a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The backend.
    Backend,
    /// A plugin, by its configured name.
    Plugin(Arc<str>),
    /// The host itself: a refusal, a page.
    Host,
}

/// Who the caller is, as a plugin found out and proved (`identity-control`).
#[derive(Clone, Debug)]
pub struct Principal {
    /// Stable id of the caller at its issuer.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// How it was proved: `bearer`, `cookie`, `certificate`, `negotiate`.
    pub scheme: String,
    /// One JSON object, as text.
    pub claims: String,
    /// Seconds since 1970; 0 = never.
    pub expires: u64,
}

/// Which credential goes on to the backend. The host writes it last and keeps it out of logs.
#[derive(Clone)]
pub enum Credential {
    /// The client's own, as it came.
    Original,
    /// None: the client's own is removed.
    None,
    /// This value, in this field.
    Field(http::HeaderName, HeaderValue),
}

/// What plugins leave for each other during one exchange.
pub struct Shared {
    /// Attributes by name, visible to later plugins and the access record.
    pub attributes: Vec<(Arc<str>, Bytes)>,
    /// Private notes by plugin index.
    pub notes: Vec<(u8, Bytes)>,
    /// The proved caller.
    pub principal: Option<Box<Principal>>,
    /// What goes on to the backend.
    pub credential: Credential,
    /// Bit n: plugin n saw the request on the way in, so it sees the response on the way out.
    pub ran: u64,
    /// What body hooks leave while the exchange is elsewhere; `None` without them.
    pub late: Option<Arc<Mutex<Late>>>,
}

/// Notes and attributes that body hooks wrote: taken over before the next head hook or
/// completion hook runs.
#[derive(Default)]
pub struct Late {
    /// As [`Shared::attributes`], only those that were written.
    pub attributes: Vec<(Arc<str>, Bytes)>,
    /// As [`Shared::notes`], only those that were written.
    pub notes: Vec<(u8, Bytes)>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            attributes: Vec::new(),
            notes: Vec::new(),
            principal: None,
            credential: Credential::Original,
            ran: 0,
            late: None,
        }
    }
}

/// One request, its response and what plugins said about them.
pub struct Exchange {
    /// The connection it came by.
    pub conn: Arc<ConnFacts>,
    /// The request as it goes to the backend.
    pub request: RequestHead,
    /// The response, once there is one.
    pub response: Option<ResponseHead>,
    /// Who made the response.
    pub source: Source,
    /// Left by plugins.
    pub shared: Shared,
    /// Number of this request in this host's life: unique, never reused. See [`RequestId`].
    pub id: u64,
    /// The instance of the backend that gave the response's head. `forward` writes it.
    pub upstream: Cell<Option<SocketAddr>>,
    /// What becomes of it, where an asker with the key wants that told.
    pub trace: Option<Arc<Trace>>,
    /// Where it goes if whoever holds it is dropped while it waits; none: it is lost with that.
    pub home: Option<Arc<Home>>,
}

/// The place to which an exchange comes back whose client left in the middle of a wait.
#[derive(Default)]
pub struct Home(Mutex<Option<Box<Exchange>>>);

impl Home {
    /// Sends an exchange home; without a home it is dropped.
    pub fn send(exchange: Box<Exchange>) {
        let Some(home) = exchange.home.clone() else { return };
        *home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(exchange);
    }

    /// The exchange that came back.
    #[must_use]
    pub fn take(&self) -> Option<Box<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Holds an exchange over a wait: dropped there, it sends it home.
pub struct Held(Option<Box<Exchange>>);

impl Held {
    /// Holds it.
    #[must_use]
    pub fn new(exchange: Box<Exchange>) -> Self {
        Self(Some(exchange))
    }

    /// The wait is over.
    ///
    /// # Panics
    /// Never: nothing else takes it out but the drop.
    #[must_use]
    pub fn release(mut self) -> Box<Exchange> {
        self.0.take().expect("taken out here and in the drop only")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            Home::send(exchange);
        }
    }
}

/// A request's number as pages, logs and plugins show it: `1-42`, the 42nd
/// request of worker 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub u64);

impl RequestId {
    /// The number of a worker's `count`-th request.
    #[must_use]
    pub fn new(worker: u16, count: u64) -> Self {
        Self(u64::from(worker) << 48 | count & 0xffff_ffff_ffff)
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0 >> 48, self.0 & 0xffff_ffff_ffff)
    }
}

impl Exchange {
    /// A new exchange.
    #[must_use]
    pub fn new(conn: Arc<ConnFacts>, request: RequestHead, id: u64) -> Self {
        Self {
            conn,
            request,
            response: None,
            source: Source::Host,
            shared: Shared::default(),
            id,
            upstream: Cell::default(),
            trace: None,
            home: None,
        }
    }
}
