//! A request's way to the backend, in order.

use crate::body::ResponseBody;
use crate::call::{Call, Common, Rest};
use crate::connection::Connection;
use crate::counters::Counters;
use crate::inbound::{Asked, BodyLength, Inbound};
use crate::link::Link;
use crate::outbound;
use crate::pool::Pool;
use crate::retry::{self, Failure};
use crate::settings::ForwardSettings;
use crate::upload::Upload;
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use wire::ports::{BackendSignal, BackendState, Forward, Paired};
use wire::{Exchange, Fault, Framing, Kind, ResponseHead};

/// One worker's way to the backend. A clone shares its connections.
#[derive(Clone)]
pub struct Forwarder {
    common: Rc<Common>,
    link: Rc<Link>,
}

impl Forwarder {
    /// A forwarder without connections.
    ///
    /// `waiting` counts the requests that wait for a start, in all workers;
    /// `counters` are this worker's, and may be read from any thread.
    #[must_use]
    pub fn new(
        settings: ForwardSettings,
        state: watch::Receiver<BackendState>,
        signals: mpsc::Sender<BackendSignal>,
        waiting: Arc<AtomicUsize>,
        counters: Arc<Counters>,
    ) -> Self {
        let link = Link::new(state, signals, waiting, &settings);
        let age_max = Duration::from_millis(settings.idle_connection_ms_max);
        let pool = RefCell::new(Pool::new(settings.idle_connections_max, age_max));
        let common = Common { settings, pool, counters };
        Self { common: Rc::new(common), link: Rc::new(link) }
    }

    /// Where the backend listens, while it is ready.
    #[must_use]
    pub fn upstream(&self) -> Option<SocketAddr> {
        self.link.addr()
    }

    async fn exchange<B>(
        &self,
        exchange: &Exchange,
        body: B,
        bytes_max: u64,
    ) -> Result<(ResponseHead, ResponseBody<B>), Fault>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let request = &exchange.request;
        if matches!(request.framing, Framing::Length(length) if length > bytes_max) {
            return Err(Kind::BodyTooLarge(bytes_max).into());
        }
        let mut upload = Upload::new(body, request.framing, bytes_max);
        let (mut restarted, mut retried) = (false, false);
        loop {
            let backend = self.link.ready().await?;
            let idle = if retried { None } else { self.common.pool.borrow_mut().take(backend.start) };
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) => {
                    self.common.counters.reused();
                    connection
                }
                None => match self.connect(&backend).await {
                    Ok(connection) => connection,
                    // It died unnoticed; this request wakes it as the next one would.
                    Err(refusal) if refusal.suspect && !restarted && self.link.has_left(backend.start).await => {
                        restarted = true;
                        continue;
                    }
                    Err(refusal) => return Err(refusal.fault),
                },
            };
            outbound::encode(&mut connection.head, exchange, &backend.token, &self.common.settings);
            let asked =
                Asked { head: request.method == Method::HEAD, token: &backend.token, settings: &self.common.settings };
            let mut call = Call::new(Rc::clone(&self.common), connection, upload);
            match poll_fn(|cx| call.poll_head(cx, &asked)).await {
                Ok(Inbound { mut head, length, keep }) => {
                    let chunked = matches!(length, BodyLength::Chunked(_));
                    let rest = call.enter_body(length, keep)?;
                    if let (Rest::Whole(data), true) = (&rest, chunked) {
                        head.headers.insert(CONTENT_LENGTH, data.len().into());
                    }
                    return Ok((head, ResponseBody::new(rest)));
                }
                Err(failure) if retry::allows(&failure, reused, &request.method, request.framing.has_body()) => {
                    self.common.counters.retried();
                    retried = true;
                    upload = call.into_upload();
                    upload.rewind();
                }
                Err(failure) => return Err(self.give_up(failure, backend.start)),
            }
        }
    }

    /// # Errors
    /// `ConnectFailed`, or `BackendTimeout` at the connect limit. Where it may be
    /// the backend's doing, the process room has been told.
    async fn connect(&self, backend: &Paired) -> Result<Connection, Refusal> {
        let limit = Duration::from_millis(self.common.settings.connect_ms_max);
        let refusal = match timeout(limit, Connection::open(backend.addr, backend.start)).await {
            Ok(Ok(connection)) => {
                self.common.counters.connected();
                return Ok(connection);
            }
            Ok(Err(error)) => Refusal {
                // Others are this machine's shortage: of descriptors, of ports.
                suspect: matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset),
                fault: Fault::from(Kind::ConnectFailed).with_detail(error),
            },
            Err(_) => Refusal { suspect: true, fault: Kind::BackendTimeout("connect", limit).into() },
        };
        if refusal.suspect {
            self.link.suspect(backend.start);
        }
        Err(refusal)
    }

    fn give_up(&self, failure: Failure, start: u64) -> Fault {
        if failure.closed {
            self.link.suspect(start);
        }
        failure.fault
    }

    #[cfg(test)]
    pub(crate) fn counters(&self) -> &Counters {
        &self.common.counters
    }

    #[cfg(test)]
    pub(crate) fn idle_connections(&self) -> usize {
        self.common.pool.borrow().len()
    }
}

/// A connection that did not come about.
struct Refusal {
    fault: Fault,
    /// The backend may be dead.
    suspect: bool,
}

impl<B> Forward<B> for Forwarder
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    type Body = ResponseBody<B>;

    async fn send(
        &self,
        exchange: &Exchange,
        body: B,
        body_bytes_max: u64,
    ) -> Result<(ResponseHead, Self::Body), Fault> {
        let result = self.exchange(exchange, body, body_bytes_max).await;
        if let Err(fault) = &result {
            self.common.counters.failed(&fault.kind);
        }
        result
    }
}
