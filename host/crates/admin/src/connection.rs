//! One connection: one request, one answer, a deadline on each step.

use crate::answer::{self, Answer};
use crate::guard::{self, Door};
use crate::house::House;
use crate::route::{self, Lost, Route};
use crate::server::Limits;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

/// A stream of bytes both ways.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Least buffer that hyper takes, in bytes.
const BUFFER_BYTES_MIN: usize = 8_192;

/// What all connections share.
pub(crate) struct Shared<H> {
    pub(crate) house: Arc<H>,
    pub(crate) limits: Limits,
    /// Reloads that may run at once.
    pub(crate) reloads: Semaphore,
}

/// Serves the connection to its end. After `stop` turns true a request that
/// is being answered still gets its answer, and no other is read.
pub(crate) async fn serve<H: House>(
    io: Box<dyn Io>,
    door: Door,
    shared: Arc<Shared<H>>,
    mut stop: watch::Receiver<bool>,
) {
    let limits = shared.limits;
    let (answered, on_answer) = oneshot::channel::<()>();
    let answered = Cell::new(Some(answered));
    let service = service_fn(move |request| {
        let (door, shared, answered) = (door.clone(), Arc::clone(&shared), answered.take());
        async move {
            let answer = respond(request, &door, &shared).await;
            if let Some(answered) = answered {
                // The connection's task waits for it as long as it lives.
                let _ = answered.send(());
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(limits.deadline)
        .max_buf_size(limits.head_bytes_max.max(BUFFER_BYTES_MIN));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut unread = pin!(async {
        match on_answer.await {
            Ok(()) => sleep(limits.deadline).await,
            // The connection ended before there was an answer, which the other branch sees.
            Err(_) => std::future::pending().await,
        }
    });
    let mut stopping = pin!(async move {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let mut stopped = false;
    loop {
        tokio::select! {
            // How it ended is the peer's affair: it has its answer or went away.
            _ = connection.as_mut() => return,
            () = unread.as_mut() => return,
            () = stopping.as_mut(), if !stopped => {
                stopped = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn respond<H: House>(request: Request<Incoming>, door: &Door, shared: &Shared<H>) -> Answer {
    let (head, body) = request.into_parts();
    if head_bytes(&head) > shared.limits.head_bytes_max {
        return answer::error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too large");
    }
    let route = Route::of(&head.method, head.uri.path());
    // A path that is none, or a wrong method, tells nothing and needs no secret.
    let order = matches!(route, Ok(route) if route.is_order());
    if let Err((status, text)) = guard::check(door, &head, order) {
        return answer::error(status, text);
    }
    let route = match route {
        Ok(route) => route,
        Err(Lost::Path) => return answer::lost(route::paths()),
        Err(Lost::Method(allow)) => return answer::wrong_method(allow),
    };
    if order && let Err((status, text)) = swallow(body, shared.limits).await {
        return answer::error(status, text);
    }
    carry_out(route, shared).await
}

/// Reads the body of an order, which means nothing.
async fn swallow(body: Incoming, limits: Limits) -> Result<(), (StatusCode, &'static str)> {
    let body = Limited::new(body, limits.body_bytes_max).collect();
    match timeout(limits.deadline, body).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too large"))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the request's body broke off")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the request's body took too long")),
    }
}

async fn carry_out<H: House>(route: Route, shared: &Shared<H>) -> Answer {
    let Shared { house, limits, reloads } = shared;
    let work = async {
        match route {
            Route::Status => answer::json(StatusCode::OK, &house.status().await),
            Route::Metrics => answer::metrics(house.metrics().await),
            Route::Health => {
                let health = house.health();
                let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                answer::json(status, &health)
            }
            Route::Reload => {
                let Ok(_turn) = reloads.try_acquire() else {
                    return answer::error(StatusCode::SERVICE_UNAVAILABLE, "too many reloads wait already");
                };
                match house.reload().await {
                    Ok(message) => answer::message(StatusCode::OK, message),
                    Err(refusal) => answer::refusal(refusal),
                }
            }
            Route::Stop => {
                house.stop().await;
                answer::message(StatusCode::ACCEPTED, "the host stops".to_owned())
            }
        }
    };
    let caught = caught(work);
    let done = if route == Route::Reload { Ok(caught.await) } else { timeout(limits.deadline, caught).await };
    match done {
        Ok(Some(answer)) => answer,
        Ok(None) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the host failed to answer; its log says more"),
        Err(_) => answer::error(StatusCode::GATEWAY_TIMEOUT, "the host did not answer in time"),
    }
}

/// None if it panicked.
async fn caught<F: Future>(work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// The head as RFC 9112 writes it, in bytes.
fn head_bytes(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " ".len() + " HTTP/1.1\r\n".len();
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>() + "\r\n".len()
}
