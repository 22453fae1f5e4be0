//! HTTP/1.1 by hyper, with every limit set.

use super::drive::{Alarm, End, turn};
use super::farewell;
use super::progress::{Deadlines, Expired, Progress};
use super::reply::{ReplyBody, response, server_options};
use super::sniff::{Sniffed, sniff};
use super::timed::Timed;
use crate::body::RequestBody;
use crate::counters::{Counters, count};
use crate::settings::EdgeSettings;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use wire::admit::{Admitted, admit};
use wire::ports::Handle;
use wire::{ConnFacts, Fault, Kind};

/// The parser's default for fields of a head; it holds that many on its stack.
const PARSER_FIELDS: usize = 100;

/// What all connections of one worker share.
pub(crate) struct Worker<H> {
    pub(crate) settings: Arc<EdgeSettings>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) handler: Rc<H>,
    http: http1::Builder,
    deadlines: Deadlines,
}

impl<H> Worker<H> {
    pub(crate) fn new(settings: Arc<EdgeSettings>, counters: Arc<Counters>, handler: Rc<H>) -> Self {
        let mut http = http1::Builder::new();
        http.half_close(false)
            .keep_alive(true)
            .title_case_headers(false)
            .preserve_header_case(false)
            .allow_multiple_spaces_in_request_line_delimiters(false)
            .ignore_invalid_headers(false)
            .max_header_size(settings.head_bytes_max)
            .max_buf_size(settings.buffer_bytes_max.max(settings.head_bytes_max).max(8_192))
            // `Progress` keeps the deadlines: hyper's own would cost a timer per
            // head and can't tell an idle connection from a slow head.
            .header_read_timeout(None)
            .auto_date_header(true)
            // Each reply goes out by itself: what a proxied client pipelines
            // comes back at the backend's pace, and must not wait for the rest.
            .pipeline_flush(false);
        if settings.rules.header_count_max != PARSER_FIELDS {
            http.max_headers(settings.rules.header_count_max);
        }
        let deadlines = Deadlines::from(&*settings);
        Self { settings, counters, handler, http, deadlines }
    }
}

/// What the requests of one connection share.
struct Session<H> {
    worker: Rc<Worker<H>>,
    facts: Arc<ConnFacts>,
    progress: Rc<Progress>,
}

/// Serves one connection to its end.
///
/// # Cancel safety
/// Dropped at any time, it drops the request in flight and resets the connection
/// if a reply was owed.
pub(crate) async fn serve_connection<H>(
    worker: Rc<Worker<H>>,
    mut stream: TcpStream,
    facts: Arc<ConnFacts>,
    progress: Rc<Progress>,
) where
    H: Handle<RequestBody> + 'static,
{
    let counters = Arc::clone(&worker.counters);
    let fault = match sniff(&stream, &progress, &worker.settings).await {
        Sniffed::Http1 => return serve_h1(Session { worker, facts, progress }, stream).await,
        Sniffed::Nothing => return,
        Sniffed::Late => return count(&counters.first_byte_timeouts),
        Sniffed::Tls => Kind::BadRequest("a TLS handshake where plain HTTP is spoken"),
        Sniffed::Http2 => Kind::VersionNotSupported,
    };
    count(&counters.malformed);
    let reply = worker.handler.refuse(&facts, fault.into());
    farewell::refuse(&mut stream, reply, &worker.settings).await;
}

async fn serve_h1<H>(session: Session<H>, stream: TcpStream)
where
    H: Handle<RequestBody> + 'static,
{
    let session = Rc::new(session);
    let Session { worker, facts, progress } = &*session;
    let for_service = Rc::clone(&session);
    let service = service_fn(move |request| {
        let session = Rc::clone(&for_service);
        session.progress.request_began();
        async move { Ok::<_, Infallible>(answer(&session, request).await) }
    });
    let io = TokioIo::new(Timed::new(stream, Rc::clone(progress)));
    let mut connection = worker.http.serve_connection(io, service);
    let sleep = pin!(sleep_until(Instant::now()));
    let mut alarm = Alarm::new(sleep);
    let end = poll_fn(|cx| {
        progress.keep_task(cx);
        let shut = |connection: Pin<&mut _>| http1::Connection::graceful_shutdown(connection);
        turn(cx, Pin::new(&mut connection), shut, progress, &worker.deadlines, &worker.counters, &mut alarm)
    })
    .await;
    // What is still owed is reset when the socket is dropped; the request in
    // flight is dropped right here.
    let mut timed = connection.into_parts().io.into_inner();
    let refusal = match end {
        End::Done(Ok(())) => None,
        End::Done(Err(error)) => refusal_of(&error, progress),
        End::Expired(Expired::Head) => {
            count(&worker.counters.head_timeouts);
            Some(Kind::RequestTimeout)
        }
        End::Expired(Expired::Idle) => return count(&worker.counters.idle_timeouts),
        End::Expired(_) => return count(&worker.counters.write_timeouts),
    };
    if !progress.owes_nothing() {
        return count(&worker.counters.broken_replies);
    }
    match refusal {
        Some(kind) => {
            if !matches!(kind, Kind::RequestTimeout) {
                count(&worker.counters.malformed);
            }
            let reply = worker.handler.refuse(facts, kind.into());
            farewell::refuse(timed.stream_mut(), reply, &worker.settings).await;
        }
        None if progress.left_unread() && !progress.has_client_ended() => {
            farewell::linger(timed.stream_mut(), &worker.settings).await;
        }
        None => {}
    }
}

/// What to tell a client whose bytes hyper could not parse; `None` where there
/// is nobody to tell, or nothing.
fn refusal_of(error: &hyper::Error, progress: &Progress) -> Option<Kind> {
    if error.is_parse_version_h2() {
        return Some(Kind::VersionNotSupported);
    }
    match progress.parser_refusal()? {
        414 => Some(Kind::TargetTooLong),
        431 => Some(Kind::HeadTooLarge),
        _ => Some(Kind::BadRequest("not an HTTP/1.1 head (RFC 9112 §2.2)")),
    }
}

async fn answer<H>(session: &Session<H>, request: Request<Incoming>) -> Response<ReplyBody<H::Body>>
where
    H: Handle<RequestBody> + 'static,
{
    let Session { worker, facts, progress } = session;
    count(&worker.counters.requests);
    let (parts, incoming) = request.into_parts();
    let head = match admit(parts, facts, &worker.settings.rules) {
        Ok(Admitted::Request(head)) => head,
        Ok(Admitted::ServerOptions) => return server_options(Rc::clone(progress)),
        Err(fault) => return refuse(session, fault),
    };
    let body = RequestBody::new(incoming, head.framing, progress);
    let reply = worker.handler.handle(facts, head, body).await;
    // A body that nobody read to its end can't be followed by another request.
    let close = reply.close || progress.left_unread() || progress.is_draining();
    response(reply, close, Rc::clone(progress))
}

fn refuse<H>(session: &Session<H>, fault: Fault) -> Response<ReplyBody<H::Body>>
where
    H: Handle<RequestBody> + 'static,
{
    let Session { worker, facts, progress } = session;
    count(&worker.counters.refused);
    progress.mark_unread();
    response(worker.handler.refuse(facts, fault), true, Rc::clone(progress))
}
