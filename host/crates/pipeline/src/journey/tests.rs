//! The journey over plain structs: no sockets, no sandbox.

use super::below;
use crate::{Generation, Pipeline, Route, Rules, Site};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use observe::event::Level;
use observe::metrics::{Counter, Shard};
use observe::{Format, Log, LogSettings};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use wire::exchange::Source;
use wire::ports::{Answer, Forward, Handle, Plugins, Step, Summary};
use wire::{
    CanonicalPath, ConnFacts, Exchange, Fault, Framing, Kind, NotFound, PluginFault, RequestHead, ResponseHead, Scheme,
};

type TestBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Fault>;

fn body(text: &'static str) -> TestBody {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

/// A backend that echoes the request's body, or fails as told, or at `/app/never` does nothing.
struct Backend(Option<Kind>);

impl<B: http_body::Body<Data = Bytes, Error = Fault> + Unpin> Forward<B> for Backend {
    type Body = Full2;
    async fn send(&self, exchange: &Exchange, body: B, _: u64) -> Result<(ResponseHead, Full2), Fault> {
        if exchange.request.path() == "/app/never" {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = &self.0 {
            return Err(Fault::new(kind.clone()));
        }
        let bytes = body.collect().await?.to_bytes();
        let mut head = ResponseHead::new(StatusCode::OK);
        head.headers.insert("x-from", HeaderValue::from_static("backend"));
        head.headers.insert("server", HeaderValue::from_static("K"));
        Ok((head, Full2(Some(bytes))))
    }
}

/// A body of one piece that may also end in a fault.
struct Full2(Option<Bytes>);

impl http_body::Body for Full2 {
    type Data = Bytes;
    type Error = Fault;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| {
            if bytes == "cut" { Err(Fault::new(Kind::Truncated)) } else { Ok(http_body::Frame::data(bytes)) }
        }))
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Act {
    Pass,
    Answer,
    Fail,
    AnswerOut,
    Wait,
}

/// Plugins that act as told and write down what they saw.
#[derive(Clone)]
struct Scripted(Act, Rc<RefCell<Vec<String>>>);

fn plugin_answer() -> Box<Answer> {
    Box::new(Answer {
        plugin: "gate".into(),
        status: StatusCode::FORBIDDEN,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"no"),
        reason: Some("said so".into()),
    })
}

/// The body itself, or the one of an answer.
enum Passed<B> {
    Itself(B),
    Answered(Option<Bytes>),
}

impl<B: http_body::Body<Data = Bytes, Error = Fault> + Unpin> http_body::Body for Passed<B> {
    type Data = Bytes;
    type Error = Fault;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        ctx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Self::Itself(body) => std::pin::Pin::new(body).poll_frame(ctx),
            Self::Answered(bytes) => {
                std::task::Poll::Ready(bytes.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
            }
        }
    }
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Itself(body) => body.is_end_stream(),
            Self::Answered(bytes) => bytes.is_none(),
        }
    }
}

impl Plugins for Scripted {
    type Body<B>
        = Passed<B>
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin;

    async fn request_head<B>(&self, mut exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, Passed<B>)
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin,
    {
        exchange.shared.ran = 1;
        self.1.borrow_mut().push(format!("in {}", exchange.request.path()));
        if self.0 == Act::Wait {
            let _held = wire::exchange::Held::new(exchange);
            return std::future::pending().await;
        }
        let step = match self.0 {
            Act::Answer => Step::Answer(plugin_answer()),
            Act::Fail => Step::Fault(Fault::new(Kind::Plugin("gate".into(), PluginFault::Trap))),
            Act::Pass | Act::AnswerOut | Act::Wait => Step::Continue,
        };
        (exchange, step, Passed::Itself(body))
    }
    async fn response_head<B>(&self, exchange: Box<Exchange>, body: B) -> (Box<Exchange>, Step, Passed<B>)
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin,
    {
        let status = exchange.response.as_ref().map_or(0, |head| head.status.as_u16());
        self.1.borrow_mut().push(format!("out {status} {:?}", exchange.source));
        if self.0 == Act::AnswerOut {
            let mut answer = plugin_answer();
            let bytes = std::mem::take(&mut answer.body);
            return (exchange, Step::Answer(answer), Passed::Answered(Some(bytes)));
        }
        (exchange, Step::Continue, Passed::Itself(body))
    }
    fn forget(&self, exchange: &Exchange) {
        self.1.borrow_mut().push(format!("forget {}", exchange.request.path()));
    }

    fn complete(&self, exchange: Box<Exchange>, summary: &Summary) {
        let status = summary.status.map_or(0, |status| status.as_u16());
        let Some(head) = exchange.response else {
            self.1.borrow_mut().push(format!("done without a response {}", summary.ending.as_str()));
            return assert_eq!((status, summary.bytes_out), (0, 0));
        };
        assert_eq!(head.status.as_u16(), status);
        let kept = exchange.source == Source::Backend && self.completion_reads_response();
        assert_eq!(head.headers.contains_key("x-from"), kept, "copied for who reads it only");
        assert!(head.headers.is_empty() || self.completion_reads_response());
        self.1.borrow_mut().push(format!(
            "done {status} {} in={} out={}",
            summary.ending.as_str(),
            summary.bytes_in,
            summary.bytes_out
        ));
    }
    fn any(&self) -> bool {
        true
    }
    fn wants_completion(&self) -> bool {
        true
    }
    fn may_wait(&self) -> bool {
        self.0 == Act::Wait
    }
    fn completion_reads_response(&self) -> bool {
        self.0 != Act::Fail
    }
    fn untouched<B>(body: B) -> Passed<B>
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin,
    {
        Passed::Itself(body)
    }
    fn wants_request_bodies(&self) -> bool {
        false
    }
}

struct Rule;

impl Site for Rule {
    fn decide(&self, _: &RequestHead, path: &str) -> Result<Route, Kind> {
        if path == "/hidden" {
            Err(Kind::NotFound(NotFound::HiddenSegment))
        } else {
            Ok(Route { body_bytes_max: 10, remove_server_header: path == "/quiet" })
        }
    }
}

fn head(target: &'static str, framing: Framing) -> RequestHead {
    RequestHead {
        method: Method::POST,
        target: http::uri::PathAndQuery::from_static(target),
        path: CanonicalPath::AsSent,
        authority: HeaderValue::from_static("x"),
        version: Version::HTTP_11,
        headers: HeaderMap::new(),
        framing,
        expects_continue: false,
        trace: None,
    }
}

struct Bench {
    pipeline: Pipeline<Backend, Scripted, Rule>,
    seen: Rc<RefCell<Vec<String>>>,
    counters: Arc<Shard>,
    conn: Arc<ConnFacts>,
}

fn bench(backend: Option<Kind>, act: Act) -> Bench {
    let seen: Rc<RefCell<Vec<String>>> = Rc::default();
    let counters: Arc<Shard> = Arc::default();
    let writer =
        Log::open(LogSettings { format: Format::Text, level: Level::Error }, std::io::sink()).expect("a thread");
    let generation = Generation {
        forward: Backend(backend),
        plugins: Scripted(act, Rc::clone(&seen)),
        site: Rule,
        rules: Rules { path_base: "/app".into(), trace_key: None },
        log: writer.log(),
        counters: Arc::clone(&counters),
    };
    let conn = ConnFacts::new(([127, 0, 0, 1], 9).into(), ([127, 0, 0, 1], 80).into(), Scheme::Http, false);
    Bench { pipeline: Pipeline::new(generation, 3), seen, counters, conn: Arc::new(conn) }
}

impl Bench {
    /// Runs one request to its end; gives status, body (or `broken off`) and `close`.
    async fn run(&self, target: &'static str, framing: Framing, sent: &'static str) -> (u16, String, bool) {
        let reply = self.pipeline.handle(&self.conn, head(target, framing), body(sent)).await;
        let status = reply.head.status.as_u16();
        let text = match reply.body.collect().await {
            Ok(all) => String::from_utf8(all.to_bytes().to_vec()).expect("UTF-8"),
            Err(_) => "broken off".into(),
        };
        (status, text, reply.close)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.take()
    }
}

#[tokio::test]
async fn a_request_passes_plugins_backend_and_plugins() {
    let bench = bench(None, Act::Pass);
    assert_eq!(bench.run("/app/x", Framing::Length(5), "hello").await, (200, "hello".into(), false));
    assert_eq!(bench.seen(), ["in /app/x", "out 200 Backend", "done 200 complete in=5 out=5"]);
    assert_eq!(bench.counters.value(Counter::Requests), 1);
}

#[tokio::test]
async fn refusals_before_the_backend() {
    let bench = bench(Some(Kind::Internal("the backend was reached")), Act::Pass);
    for (target, framing, status, close) in [
        ("/app/hidden", Framing::None, 404, false),
        ("/other", Framing::None, 404, false),
        ("/application", Framing::None, 404, false),
        ("/app/x", Framing::Length(11), 413, true),
    ] {
        let got = bench.run(target, framing, "").await;
        assert_eq!((got.0, got.2), (status, close), "{target}");
        let seen = bench.seen();
        assert_eq!(seen[1], format!("out {status} Host"), "{target}");
        assert!(seen[2].starts_with(&format!("done {status} refused")), "{seen:?}");
    }
    assert_eq!(bench.counters.value(Counter::HostFaults), 0);
    // At the limit the backend is asked.
    assert_eq!(bench.run("/app/x", Framing::Length(10), "").await.0, 500);
}

#[tokio::test]
async fn a_body_is_as_long_as_the_site_says_whoever_looks_at_it() {
    let bench = bench(None, Act::Pass);
    for (framing, sent, status) in [
        (Framing::Length(10), "0123456789", 200),
        (Framing::Length(11), "0123456789a", 413),
        (Framing::Chunked, "0123456789", 200),
        (Framing::Chunked, "0123456789a", 413),
    ] {
        let (got, text, close) = bench.run("/app/x", framing, sent).await;
        assert_eq!((got, close), (status, status == 413), "{framing:?} {sent}: {text}");
        assert!(bench.seen()[1].starts_with(&format!("out {status}")), "plugins see what came of it");
    }
}

#[tokio::test]
async fn the_server_field_goes_where_filtering_says_so() {
    let bench = bench(None, Act::Pass);
    for (target, kept) in [("/app/x", true), ("/app/quiet", false)] {
        let reply = bench.pipeline.handle(&bench.conn, head(target, Framing::None), body("")).await;
        assert_eq!(reply.head.headers.contains_key("server"), kept, "{target}");
        assert!(reply.head.headers.contains_key("x-from"));
    }
}

#[tokio::test]
async fn plugins_answer_fail_and_replace() {
    for (act, status, text, seen) in [
        (Act::Answer, 403, Some("no"), ["in /app/x", "out 403 Plugin(\"gate\")", "done 403 refused in=0 out=2"]),
        (Act::AnswerOut, 403, Some("no"), ["in /app/x", "out 200 Backend", "done 403 refused in=5 out=2"]),
        (Act::Fail, 500, None, ["in /app/x", "out 500 Host", "done 500 fault in=0"]),
    ] {
        let bench = bench(None, act);
        let got = bench.run("/app/x", Framing::Length(5), "hello").await;
        assert_eq!(got.0, status);
        assert!(text.is_none_or(|text| text == got.1), "{got:?}");
        for (told, wanted) in bench.seen().iter().zip(seen) {
            assert!(told.starts_with(wanted), "{told} / {wanted}");
        }
    }
}

#[tokio::test]
async fn a_backend_that_breaks_off_is_told_and_never_a_clean_end() {
    let bench = bench(None, Act::Pass);
    assert_eq!(bench.run("/app/x", Framing::Length(3), "cut").await.1, "broken off");
    assert_eq!(bench.seen()[2], "done 200 upstream-gone in=3 out=0");
    assert_eq!(bench.counters.value(Counter::BackendFaults), 1);
}

#[tokio::test]
async fn a_client_that_leaves_is_told() {
    let bench = bench(None, Act::Pass);
    let reply = bench.pipeline.handle(&bench.conn, head("/app/x", Framing::Length(5)), body("hello")).await;
    drop(reply);
    assert_eq!(bench.seen()[2], "done 200 client-gone in=5 out=0");
    assert_eq!(bench.counters.value(Counter::ClientsGone), 1);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_is_told_too() {
    for (act, target) in [(Act::Pass, "/app/never"), (Act::Wait, "/app/x")] {
        let bench = bench(None, act);
        let mut waits = Box::pin(bench.pipeline.handle(&bench.conn, head(target, Framing::None), body("")));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_ready())).await;
        assert!(!polled, "neither the backend nor the hook answers");
        drop(waits);
        assert_eq!(bench.seen(), [&format!("in {target}")[..], "done without a response client-gone"]);
        assert_eq!(bench.counters.value(Counter::ClientsGone), 1);
    }
}

#[tokio::test]
async fn a_swapped_generation_serves_the_next_request() {
    let bench = bench(None, Act::Pass);
    let fresh = self::bench(Some(Kind::QueueFull), Act::Pass);
    let held = bench.pipeline.handle(&bench.conn, head("/app/x", Framing::Length(5)), body("hello")).await;
    let next = fresh.pipeline.current();
    bench.pipeline.swap(Generation {
        forward: Backend(Some(Kind::QueueFull)),
        plugins: next.plugins.clone(),
        site: Rule,
        rules: next.rules.clone(),
        log: next.log.clone(),
        counters: Arc::clone(&next.counters),
    });
    assert_eq!(bench.run("/app/x", Framing::None, "").await.0, 503);
    assert_eq!(held.body.collect().await.expect("the old world").to_bytes(), "hello");
}

#[test]
fn the_path_below_the_base() {
    for (base, path, wanted) in [
        ("", "/x", Some("/x")),
        ("", "/", Some("/")),
        ("/app", "/app", Some("/")),
        ("/app", "/APP/x", Some("/x")),
        ("/app", "/application", None),
        ("/app", "/", None),
        ("/äpp", "/äpp/ö", Some("/ö")),
    ] {
        assert_eq!(below(base, path), wanted, "{base} {path}");
    }
}
