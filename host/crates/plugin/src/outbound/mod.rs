//! Outgoing calls of plugins: one small HTTP/1.1 client with a limit on everything.
//!
//! A name is resolved, each address is judged, and the connection goes to an address that
//! passed: nothing is resolved a second time. A redirect is an answer like any other; it is
//! never followed, so that no hop leaves what the operator named.
//!
//! *Invariants:* the connection belongs to the call; whoever drops the call drops the
//! connection. Nothing here knows the pairing token.

mod address;
mod connect;
mod counts;

pub(crate) use connect::Target;
pub(crate) use counts::Counts;
pub use counts::UpstreamSeen;

use crate::bindings::contract::types::Failure;
use crate::metrics::PluginMetrics;
use bytes::Bytes;
use connect::Connection;
use http::header::{ACCEPT_ENCODING, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most calls of one `send-all`. More: each answers `too-large`.
pub(crate) const CALLS_AT_ONCE_MAX: usize = 64;
/// Most fields of a request or a reply. More: `too-large`, and for a reply `unavailable`.
pub(crate) const HEADERS_MAX: usize = 100;
/// Most bytes of a reply's head. More: `unavailable`.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Longest path with its query, bytes. More: `too-large`.
const PATH_BYTES_MAX: usize = 16 * 1024;
/// Idle connections kept per upstream, plugin and worker.
const IDLE_MAX: usize = 16;

/// One `[upstreams.NAME]`.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// TLS, with the server's name checked.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What every path begins with: empty, or `/` and no slash at its end.
    pub prefix: String,
    /// May lead to loopback, link-local, private and other special addresses. Default false.
    pub private: bool,
    /// Certificates in PEM that vouch for the server. Default: those of Mozilla's list.
    pub ca: Option<Arc<[u8]>>,
    /// Most time to resolve, connect and shake hands, milliseconds. Default 5,000; at the edge `timed-out`.
    pub connect_ms_max: u64,
    /// Most time of a call in all, milliseconds; a call may ask for less. Default 30,000; at the edge `timed-out`.
    pub total_ms_max: u64,
    /// Most bytes of a request's body. Default 1 MiB; at the edge `too-large`.
    pub request_bytes_max: u64,
    /// Most bytes of a reply's body; a call may ask for less. Default 1 MiB; at the edge `too-large`.
    pub response_bytes_max: u64,
    /// Most calls at once, per plugin and worker. Default 256; at the edge `unavailable`.
    pub calls_max: u32,
}

impl UpstreamSettings {
    /// The upstream at a URL, with every default.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(url: &str) -> Result<Self, String> {
        let uri: http::Uri = url.parse().map_err(|_| "this is no URL".to_owned())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("an upstream's URL begins with https:// or http://".to_owned()),
        };
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("no user or password in the URL: use a stored credential".to_owned());
        }
        if uri.query().is_some() {
            return Err("no query in an upstream's URL".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self {
            tls,
            host,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            private: false,
            ca: None,
            connect_ms_max: 5_000,
            total_ms_max: 30_000,
            request_bytes_max: 1024 * 1024,
            response_bytes_max: 1024 * 1024,
            calls_max: 256,
        })
    }

    /// The `Host` field: with the port where it is not the scheme's own.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

/// Addresses of a name, as [`Resolve`] finds them.
pub type Resolving = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// How host names become addresses.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// What a plugin asks to be sent.
pub(crate) struct Order {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Zero: the upstream's own limit.
    pub(crate) timeout: Duration,
    /// Zero: the upstream's own limit.
    pub(crate) response_bytes_max: u64,
}

/// Status, fields and body of a reply.
pub(crate) type Answer = (u16, HeaderMap, Vec<u8>);

/// The upstreams of one plugin on one worker, with their connections.
pub(crate) struct Outbound(Vec<(String, Arc<Upstream>)>);

/// One of them.
pub(crate) struct Upstream {
    target: Arc<Target>,
    idle: Mutex<Vec<Connection>>,
    calls: Semaphore,
    counts: Arc<Counts>,
}

impl Outbound {
    pub(crate) fn new(targets: &[(String, Arc<Target>)], metrics: &PluginMetrics) -> Self {
        let upstream = |name: &str, target: &Arc<Target>| {
            let calls = usize::try_from(target.settings.calls_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
            let (target, calls, counts) = (Arc::clone(target), Semaphore::new(calls), metrics.upstream(name));
            Arc::new(Upstream { target, idle: Mutex::default(), calls, counts })
        };
        Self(targets.iter().map(|(name, target)| (name.clone(), upstream(name, target))).collect())
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<Arc<Upstream>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, upstream)| Arc::clone(upstream))
    }
}

impl Upstream {
    /// Sends and takes the whole reply.
    ///
    /// # Cancel safety
    /// Dropping it closes the connection.
    pub(crate) async fn send(&self, order: Order) -> Result<Answer, Failure> {
        let counted = self.counts.begin();
        let outcome = self.send_uncounted(order).await;
        counted.end(&outcome);
        outcome
    }

    async fn send_uncounted(&self, order: Order) -> Result<Answer, Failure> {
        let settings = &self.target.settings;
        let Ok(_call) = self.calls.try_acquire() else { return Err(Failure::Unavailable) };
        if order.body.len() as u64 > settings.request_bytes_max {
            return Err(Failure::TooLarge);
        }
        let most = Duration::from_millis(settings.total_ms_max);
        let time = if order.timeout.is_zero() { most } else { order.timeout.min(most) };
        let response_bytes_max = match order.response_bytes_max {
            0 => settings.response_bytes_max,
            wanted => wanted.min(settings.response_bytes_max),
        };
        let request = self.request(order)?;
        timeout(time, self.exchange(request, response_bytes_max)).await.unwrap_or(Err(Failure::TimedOut))
    }

    fn request(&self, order: Order) -> Result<Request<Full<Bytes>>, Failure> {
        let settings = &self.target.settings;
        if order.path.len() > PATH_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        if !order.path.starts_with('/') || has_dots(&order.path) {
            return Err(Failure::Invalid("a path begins with a slash and has no . or .. in it".to_owned()));
        }
        let target: http::uri::PathAndQuery = format!("{}{}", settings.prefix, order.path)
            .parse()
            .map_err(|_| Failure::Invalid("the path holds what no request may hold".to_owned()))?;
        let mut request = Request::new(Full::new(order.body));
        *request.method_mut() = order.method;
        *request.uri_mut() = target.into();
        *request.headers_mut() = order.headers;
        let host = HeaderValue::try_from(settings.authority())
            .map_err(|_| Failure::Invalid("the upstream's name is none".to_owned()))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("gatelodge"));
        // Nothing here decodes.
        request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, bytes_max: u64) -> Result<Answer, Failure> {
        let mut connection = match self.idle().await {
            Some(connection) => connection,
            None => {
                let time = Duration::from_millis(self.target.settings.connect_ms_max);
                timeout(time, self.target.connect()).await.unwrap_or(Err(Failure::TimedOut))?
            }
        };
        let answer = connection.exchange(request, bytes_max).await?;
        if connection.is_ready().await {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(connection);
            }
        }
        Ok(answer)
    }

    /// A connection that is still open; the last used first.
    async fn idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if connection.is_ready().await {
                return Some(connection);
            }
        }
    }
}

/// A segment that would lead out of the prefix, coded or not.
fn has_dots(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
        plain.split('/').any(|part| part == "." || part == "..")
    })
}

/// All of them at once; answers in their order.
pub(crate) async fn all<T: Send>(calls: impl Iterator<Item = impl Future<Output = T> + Send>) -> Vec<T> {
    let mut calls: Vec<_> = calls.map(|call| (Box::pin(call), None)).collect();
    poll_fn(|cx| {
        let mut waits = false;
        for (call, answer) in &mut calls {
            if answer.is_none() {
                match call.as_mut().poll(cx) {
                    Poll::Ready(value) => *answer = Some(value),
                    Poll::Pending => waits = true,
                }
            }
        }
        if waits { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Takes a body up to its limit.
async fn take(mut body: hyper::body::Incoming, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Failure::Unavailable) };
        if let Ok(data) = frame.into_data() {
            if (bytes.len() + data.len()) as u64 > bytes_max {
                return Err(Failure::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{UpstreamSettings, has_dots};

    #[test]
    fn urls_are_taken_apart() {
        for (url, expected) in [
            ("https://a.example", Some((true, "a.example", 443, "", "a.example"))),
            ("http://a.example:8080/x/", Some((false, "a.example", 8080, "/x", "a.example:8080"))),
            ("http://[::1]:80/", Some((false, "::1", 80, "", "[::1]"))),
            ("ftp://a.example", None),
            ("a.example", None),
            ("https://u:p@a.example", None),
            ("https://a.example/?q", None),
        ] {
            let settings = UpstreamSettings::new(url).ok();
            let told = settings.as_ref().map(|s| (s.tls, &*s.host, s.port, &*s.prefix, s.authority()));
            let told = told.as_ref().map(|(tls, host, port, prefix, name)| (*tls, *host, *port, *prefix, &**name));
            assert_eq!(told, expected, "{url}");
        }
    }

    #[test]
    fn no_path_leads_out_of_its_prefix() {
        for (path, dots) in [
            ("/a/b", false),
            ("/a..b/.c?x=/../", false),
            ("/../a", true),
            ("/a/.", true),
            ("/a/%2e%2E/b", true),
            ("/a%2f..%2Fb", true),
            ("/a\\..\\b", true),
        ] {
            assert_eq!(has_dots(path), dots, "{path}");
        }
    }
}
