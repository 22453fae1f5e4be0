//! A request's way to the backend, in order.

use crate::body::ResponseBody;
use crate::call::{Call, Common, Rest};
use crate::choice::Chosen;
use crate::connection::Connection;
use crate::counters::Counters;
use crate::inbound::{Asked, BodyLength, Inbound};
use crate::link::Link;
use crate::outbound;
use crate::pool::Pool;
use crate::retry::{self, Failure, Verdict};
use crate::route::{Refusal, Route};
use crate::settings::ForwardSettings;
use crate::upload::Upload;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_LENGTH, SET_COOKIE};
use http_body::Body;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use wire::ports::{BackendSignal, BackendState, Forward, Paired};
use wire::trace::{Came, Part};
use wire::{Exchange, Fault, Framing, Kind, ResponseHead, Side};

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
        let age_max = Duration::from_millis(settings.idle_connection_ms_max);
        let pool = RefCell::new(Pool::new(settings.idle_connections_max, age_max));
        let common = Rc::new(Common { settings, pool, counters });
        let link = Rc::new(Link::new(Rc::clone(&common), state, signals, waiting));
        Self { common, link }
    }

    /// Closes idle connections to instances that take no more requests as soon as
    /// they are replaced or gone, and those that have idled too long. Without it
    /// that is seen with this worker's next request only.
    ///
    /// Runs until the process room's end of the state is gone; to be run beside
    /// the worker's requests.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn tend(&self) {
        self.link.tend().await;
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
        let settings = &self.common.settings;
        let mut upload = Upload::new(body, request.framing, bytes_max);
        let mut route =
            Route::new(settings.affinity_cookie.as_ref().and_then(|cookie| cookie.wanted(&request.headers)));
        loop {
            let Chosen { backend, in_flight } = waited(exchange, route.next(&self.link)).await?;
            let idle = if route.needs_new { None } else { self.common.pool.borrow_mut().take(backend.start) };
            let reused = idle.is_some();
            let mut connection = match idle {
                Some(connection) => {
                    self.common.counters.reused();
                    connection
                }
                None => match self.connect(&backend).await {
                    Ok(connection) => connection,
                    Err(refusal) => {
                        drop(in_flight);
                        route.turn_away(refusal, &backend, &self.link).await?;
                        continue;
                    }
                },
            };
            outbound::encode(&mut connection.head, exchange, &backend.token, settings);
            let asked = Asked { head: request.method == Method::HEAD, token: &backend.token, settings };
            let mut call = Call::new(Rc::clone(&self.common), connection, upload, in_flight);
            let failure = match poll_fn(|cx| call.poll_head(cx, &asked)).await {
                Ok(inbound) => return self.answer(call, inbound, exchange, &backend, &route),
                Err(failure) => failure,
            };
            let verdict = retry::judge(&failure, reused, &request.method, request.framing.has_body());
            if verdict == Verdict::Over {
                return Err(self.give_up(failure, &backend));
            }
            upload = call.into_upload();
            upload.rewind();
            if verdict == Verdict::Again {
                self.common.counters.retried();
                route.go_again(&backend, &self.link);
            } else {
                let refusal = Refusal { fault: failure.fault, suspect: true };
                route.turn_away(refusal, &backend, &self.link).await?;
            }
        }
    }

    /// Takes a response's head over.
    ///
    /// # Errors
    /// A bad response, if its body is broken already.
    fn answer<B>(
        &self,
        call: Call<B>,
        inbound: Inbound,
        exchange: &Exchange,
        backend: &Paired,
        route: &Route,
    ) -> Result<(ResponseHead, ResponseBody<B>), Fault>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let Inbound { mut head, length, keep } = inbound;
        let chunked = matches!(length, BodyLength::Chunked(_));
        let rest = call.enter_body(length, keep).inspect_err(|_| self.link.blame(backend))?;
        backend.load.succeeded();
        exchange.upstream.set(Some(backend.addr));
        if let (Rest::Whole(data), true) = (&rest, chunked) {
            head.headers.insert(CONTENT_LENGTH, data.len().into());
        }
        if let Some(affinity) = &self.common.settings.affinity_cookie {
            if route.ask.wanted == Some(backend.affinity) {
                self.common.counters.affinity_hit();
            } else if let Some(value) = affinity.set_cookie(backend.affinity, &exchange.conn, &exchange.request.headers)
            {
                head.headers.append(SET_COOKIE, value);
            }
        }
        Ok((head, ResponseBody::new(rest)))
    }

    /// # Errors
    /// `ConnectFailed`, or `BackendTimeout` at the connect limit.
    async fn connect(&self, backend: &Paired) -> Result<Connection, Refusal> {
        let limit = Duration::from_millis(self.common.settings.connect_ms_max);
        match timeout(limit, Connection::open(backend.addr, backend.start)).await {
            Ok(Ok(connection)) => {
                self.common.counters.connected();
                Ok(connection)
            }
            Ok(Err(error)) => Err(Refusal {
                // Others are this machine's shortage: of descriptors, of ports.
                suspect: matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset),
                fault: Fault::from(Kind::ConnectFailed).with_detail(error),
            }),
            Err(_) => Err(Refusal { suspect: true, fault: Kind::BackendTimeout("connect", limit).into() }),
        }
    }

    fn give_up(&self, failure: Failure, backend: &Paired) -> Fault {
        if failure.closed {
            self.link.suspect(backend.start);
        }
        if failure.fault.side == Side::Backend {
            self.link.blame(backend);
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
        let result = match &exchange.trace {
            None => self.exchange(exchange, body, body_bytes_max).await,
            Some(trace) => {
                let started = Instant::now();
                let result = self.exchange(exchange, body, body_bytes_max).await;
                let came = if result.is_ok() { Came::Well } else { Came::Failed };
                trace.add(Part::Backend, came, started.elapsed().saturating_sub(trace.took(&Part::Wake)));
                result
            }
        };
        if let Err(fault) = &result {
            self.common.counters.failed(&fault.kind);
        }
        result
    }
}

/// The wait for an instance, timed where somebody asks.
async fn waited<T>(exchange: &Exchange, wait: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let Some(trace) = &exchange.trace else { return wait.await };
    let started = Instant::now();
    let chosen = wait.await;
    trace.add(Part::Wake, if chosen.is_ok() { Came::Well } else { Came::Failed }, started.elapsed());
    chosen
}
