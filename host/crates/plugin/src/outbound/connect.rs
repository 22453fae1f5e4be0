//! The way to an upstream: addresses, TCP, TLS, and the connection that a call drives itself.

use super::{Answer, HEAD_BYTES_MAX, HEADERS_MAX, Resolve, UpstreamSettings, address, take};
use crate::bindings::contract::types::Failure;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// An upstream as the process knows it.
pub(crate) struct Target {
    pub(super) settings: UpstreamSettings,
    resolver: Option<Arc<dyn Resolve>>,
    tls: Option<(tokio_rustls::TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// # Errors
    /// Its certificates can't be read, or its name is none.
    pub(crate) fn new(settings: &UpstreamSettings, resolver: Option<Arc<dyn Resolve>>) -> Result<Self, String> {
        let tls = if settings.tls { Some(tls(settings)?) } else { None };
        Ok(Self { settings: settings.clone(), resolver, tls })
    }

    /// Resolves, judges, connects to what passed.
    ///
    /// # Errors
    /// `denied` if the name leads where plugins may not go, `unavailable` otherwise.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let addresses = self.addresses().await?;
        for address in addresses {
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            // Small requests and replies: nothing is gained by waiting for more.
            drop(stream.set_nodelay(true));
            return match &self.tls {
                None => Connection::open(stream).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await.map_err(|_| Failure::Unavailable)?;
                    Connection::open(stream).await
                }
            };
        }
        Err(Failure::Unavailable)
    }

    /// One address that may not be reached refuses all: such a name is not what the operator meant.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let UpstreamSettings { host, port, private, .. } = &self.settings;
        let found = match (host.parse::<IpAddr>(), &self.resolver) {
            (Ok(address), _) => vec![SocketAddr::new(address, *port)],
            (Err(_), Some(resolver)) => resolver.resolve(host, *port).await.map_err(|_| Failure::Unavailable)?,
            (Err(_), None) => {
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                found.map_err(|_| Failure::Unavailable)?.collect()
            }
        };
        if !private && found.iter().any(|found| !address::is_public(found.ip())) {
            return Err(Failure::Denied);
        }
        Ok(found)
    }
}

fn tls(settings: &UpstreamSettings) -> Result<(tokio_rustls::TlsConnector, ServerName<'static>), String> {
    let mut roots = rustls::RootCertStore::empty();
    match &settings.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("its ca is not PEM: {error:?}"))?;
                roots.add(certificate).map_err(|error| format!("its ca holds a bad certificate: {error}"))?;
            }
            if roots.is_empty() {
                return Err("its ca holds no certificate".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS can't be used: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(settings.host.clone())
        .map_err(|_| format!("\"{}\" is no name that a certificate can bear", settings.host.escape_debug()))?;
    Ok((tokio_rustls::TlsConnector::from(Arc::new(config)), name))
}

/// A connection with the work that keeps it going: no task of its own, so that it ends
/// with whoever holds it.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    work: Work,
}

/// What keeps a connection going; `None` once it has ended, since what has ended must not be polled.
struct Work(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Work {
    /// Does what can be done now; true if the connection has ended.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.0.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_ready()) {
            self.0 = None;
        }
        self.0.is_none()
    }
}

impl Connection {
    async fn open<S>(stream: S) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await;
        let (sender, work) = opened.map_err(|_| Failure::Unavailable)?;
        Ok(Self { sender, work: Work(Some(Box::pin(async move { drop(work.await) }))) })
    }

    /// One request and its whole reply.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>, bytes_max: u64) -> Result<Answer, Failure> {
        let Self { sender, work } = self;
        let call = async {
            let reply = sender.send_request(request).await.map_err(|_| Failure::Unavailable)?;
            let (head, body) = reply.into_parts();
            let bytes = take(body, bytes_max).await?;
            Ok((head.status.as_u16(), head.headers, bytes))
        };
        driven(work, call).await.unwrap_or(Err(Failure::Unavailable))
    }

    /// True if the next request may go over it; false once the other side has closed it.
    pub(super) async fn is_ready(&mut self) -> bool {
        let Self { sender, work } = self;
        let mut turns = 0;
        poll_fn(|cx| {
            if work.is_over(cx) || sender.is_closed() {
                return Poll::Ready(false);
            }
            turns += 1;
            match sender.poll_ready(cx) {
                Poll::Ready(ready) => Poll::Ready(ready.is_ok()),
                Poll::Pending if turns > 2 => Poll::Ready(false),
                Poll::Pending => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Polls a call together with the work of its connection. `None` if that ended first.
async fn driven<T>(work: &mut Work, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        let ended = work.is_over(cx);
        match call.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // What had arrived before the end has been taken by now.
            Poll::Pending if ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
