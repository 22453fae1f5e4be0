//! A door with a handler that records, and a client that writes raw bytes.

use bytes::Bytes;
use gatelodge_edge::{Counters, Door, DrainOrder, DrainReport, EdgeSettings, RequestBody, serve};
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, LocalSet};
use wire::ports::{Handle, Reply};
use wire::{ConnFacts, Fault, Framing, Kind, RequestHead, ResponseHead};

/// No event that a test waits for may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

type TestBody = UnsyncBoxBody<Bytes, Fault>;

/// A running door.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Rc<Recorder>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) settings: watch::Sender<Arc<EdgeSettings>>,
    pub(crate) order: watch::Sender<DrainOrder>,
    pub(crate) server: JoinHandle<io::Result<DrainReport>>,
}

/// Runs a test against a door with these settings.
pub(crate) fn with<F: Future<Output = ()>>(settings: EdgeSettings, test: impl FnOnce(Site) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let door = Door::bind(&["http://127.0.0.1:0".parse().unwrap()], 1, 64).unwrap();
        let addr = door.bound()[0].addr;
        let listeners = door.into_workers().remove(0);
        let seen = Rc::new(Recorder::default());
        let counters = Arc::new(Counters::default());
        let (order, drain) = watch::channel(DrainOrder::Run);
        let (settings, changes) = watch::channel(Arc::new(settings));
        let served = serve(listeners, changes, Arc::clone(&counters), Rc::clone(&seen), drain);
        let server = tokio::task::spawn_local(served);
        test(Site { addr, seen, counters, settings, order, server }).await;
    });
}

impl Site {
    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(|_| {}).await
    }

    pub(crate) async fn connect_with(&self, prepare: impl FnOnce(&TcpSocket)) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        prepare(&socket);
        let stream = within(socket.connect(self.addr)).await.unwrap();
        stream.into()
    }

    /// The third beat of every attack: an honest client is served.
    pub(crate) async fn serves_the_next(&self) {
        let mut client = self.connect().await;
        client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
}

pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the event comes in time")
}

/// What the handler got of one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) fields: String,
    pub(crate) framing: String,
    pub(crate) body: Option<Result<String, String>>,
}

/// Answers by path, and keeps what it saw.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) requests: RefCell<Vec<Seen>>,
    /// Told when a handler begins to wait.
    pub(crate) waiting: Notify,
    /// Told when a handler is dropped before it answered.
    pub(crate) dropped: Arc<Notify>,
    /// Lets the handlers of `/gate` answer.
    pub(crate) gate: Notify,
    pub(crate) refusals: RefCell<Vec<String>>,
}

impl Recorder {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests.borrow().iter().map(|seen| seen.line.clone()).collect()
    }

    /// Lines without those of honest clients.
    pub(crate) fn attacked(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| !line.contains("/ping")).collect()
    }
}

impl Handle<RequestBody> for Recorder {
    type Body = TestBody;

    async fn handle(&self, _: &Arc<ConnFacts>, head: RequestHead, body: RequestBody) -> Reply<TestBody> {
        let index = self.record(&head);
        let mut guard = Guard { recorder: self, answered: false };
        let reply = self.by_path(index, &head, body).await;
        guard.answered = true;
        reply
    }

    fn refuse(&self, _: &Arc<ConnFacts>, fault: Fault) -> Reply<TestBody> {
        self.refusals.borrow_mut().push(fault.to_string());
        rescue(&fault)
    }
}

struct Guard<'a> {
    recorder: &'a Recorder,
    answered: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.recorder.dropped.notify_one();
        }
    }
}

impl Recorder {
    fn record(&self, head: &RequestHead) -> usize {
        let mut fields: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        fields.sort();
        let framing = match head.framing {
            Framing::None => "none".to_owned(),
            Framing::Length(length) => length.to_string(),
            Framing::Chunked => "chunked".to_owned(),
        };
        let authority = head.authority.to_str().unwrap();
        let line = format!("{} {} @{authority}", head.method, head.target);
        let mut requests = self.requests.borrow_mut();
        requests.push(Seen { line, fields: fields.join("\n"), framing, body: None });
        requests.len() - 1
    }

    async fn by_path(&self, index: usize, head: &RequestHead, body: RequestBody) -> Reply<TestBody> {
        match head.path() {
            "/early" => {
                drop(body);
                return full(401, "who are you");
            }
            "/hang" => {
                let _body = body;
                self.waiting.notify_one();
                return pending().await;
            }
            "/gate" => {
                self.waiting.notify_one();
                self.gate.notified().await;
                return full(200, "through");
            }
            "/panic" => panic!("asked for by the test"),
            _ => {}
        }
        if head.path() == "/echo-while-waiting" {
            self.waiting.notify_one();
        }
        let read = body.collect().await.map(|all| {
            assert!(all.trailers().is_none(), "no field may come past admission");
            String::from_utf8_lossy(&all.to_bytes()).into_owned()
        });
        let text = read.as_ref().cloned().unwrap_or_default();
        let failed = read.as_ref().err().cloned();
        self.requests.borrow_mut()[index].body = Some(read.map_err(|fault| format!("{:?}", fault.kind)));
        match failed {
            None if head.path() == "/endless" => {
                reply(200, &[], Endless(Arc::clone(&self.dropped), false).boxed_unsync())
            }
            Some(fault) => rescue(&fault),
            None => content(head.path(), text),
        }
    }
}

fn content(path: &str, text: String) -> Reply<TestBody> {
    match path {
        "/echo" => full(200, text),
        "/close" => Reply { close: true, ..full(200, "bye") },
        "/stream" => reply(200, &[], pieces(["part ", "whole"].map(Ok))),
        "/broken-chunked" => reply(200, &[], pieces([Ok("part"), Err(Kind::Truncated)])),
        "/broken-length" => reply(200, &[("content-length", "10")], pieces([Ok("part"), Err(Kind::Truncated)])),
        "/short" => reply(200, &[("content-length", "10")], pieces([Ok("part")])),
        "/empty-but-promised" => reply(200, &[("content-length", "10")], Empty::new().map_err(never).boxed_unsync()),
        "/long" => reply(200, &[("content-length", "4")], pieces([Ok("part"), Ok(" and more")])),
        "/204" => reply(204, &[("content-length", "4")], pieces([Ok("body")])),
        "/304" => reply(304, &[("content-length", "4")], pieces([Ok("body")])),
        "/103" => reply(103, &[], Empty::new().map_err(never).boxed_unsync()),
        "/coded" => reply(200, &[("transfer-encoding", "gzip, chunked")], pieces([Ok("part")])),
        "/big" => reply(200, &[("content-length", "33554432")], Repeated(512).boxed_unsync()),
        "/reason" => {
            let mut reply = full(200, "");
            reply.head.reason = Some(Bytes::from_static(b"Quite Fine"));
            reply
        }
        _ => full(200, "pong"),
    }
}

fn never(never: std::convert::Infallible) -> Fault {
    match never {}
}

fn reply(status: u16, fields: &[(&'static str, &'static str)], body: TestBody) -> Reply<TestBody> {
    let mut head = ResponseHead::new(StatusCode::from_u16(status).unwrap());
    head.headers = HeaderMap::new();
    for (name, value) in fields {
        head.headers.insert(*name, HeaderValue::from_static(value));
    }
    Reply { head, body, close: false }
}

fn full(status: u16, text: impl Into<String>) -> Reply<TestBody> {
    let text = text.into();
    let length = HeaderValue::from(text.len());
    let mut reply = reply(status, &[], Full::new(Bytes::from(text)).map_err(never).boxed_unsync());
    reply.head.headers.insert(CONTENT_LENGTH, length);
    reply
}

/// As the pipeline would answer.
fn rescue(fault: &Fault) -> Reply<TestBody> {
    let status = match fault.kind {
        Kind::NotFound(_) => 404,
        Kind::MethodNotAllowed(_) => 405,
        Kind::RequestTimeout => 408,
        Kind::TargetTooLong => 414,
        Kind::ExpectationFailed => 417,
        Kind::HeadTooLarge => 431,
        Kind::NotImplemented(_) => 501,
        Kind::VersionNotSupported => 505,
        _ => 400,
    };
    let mut reply = full(status, fault.to_string());
    if let Kind::MethodNotAllowed(allow) = &fault.kind {
        reply.head.headers.insert(ALLOW, HeaderValue::from_str(allow).unwrap());
    }
    reply.close = true;
    reply
}

/// A body in pieces, that may end in a fault.
struct Pieces(VecDeque<Result<&'static str, Kind>>);

fn pieces<const N: usize>(pieces: [Result<&'static str, Kind>; N]) -> TestBody {
    Pieces(pieces.into()).boxed_unsync()
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(Err(_)) = self.0.front() {
            // What came before goes out first.
            cx.waker().wake_by_ref();
            self.0.push_front(Ok(""));
            return Poll::Pending;
        }
        while let Some(Ok("")) = self.0.front() {
            self.0.pop_front();
        }
        Poll::Ready(self.0.pop_front().map(|piece| match piece {
            Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Err(kind) => Err(kind.into()),
        }))
    }
}

/// One event, then silence.
struct Endless(Arc<Notify>, bool);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.1 {
            return Poll::Pending;
        }
        self.1 = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"event")))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// So many pieces of 64 KiB.
struct Repeated(usize);

impl http_body::Body for Repeated {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        static PIECE: [u8; 65_536] = [b'x'; 65_536];
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        Poll::Ready(left.map(|_| Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}

/// A client that writes raw bytes.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    bytes: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Its framing was kept to the end.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn says_close(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        Self { stream, bytes: Vec::new() }
    }
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Like [`Client::send`], to a door that may have closed meanwhile.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _ = within(self.stream.write_all(bytes)).await;
    }

    /// Reads some bytes; false at the end or a reset.
    async fn fill(&mut self) -> bool {
        matches!(within(self.stream.read_buf(&mut self.bytes)).await, Ok(count) if count > 0)
    }

    /// Reads until this text has come.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            assert!(self.fill().await, "the end instead of {text:?}");
        }
    }

    /// The connection's end: no byte comes before it.
    pub(crate) async fn assert_closed(&mut self, what: &str) {
        let more = self.fill().await;
        assert!(!more && self.bytes.is_empty(), "{what}: left {:?}", String::from_utf8_lossy(&self.bytes));
    }

    /// After the end of the answers: true while the door still takes what is sent.
    /// A door that does not answers the first write with a reset, which the second one meets.
    pub(crate) async fn is_listened_to(&mut self) -> bool {
        self.assert_closed("the end of the answers").await;
        self.stream.write_all(b"more").await.is_ok() && self.stream.write_all(b"more").await.is_ok()
    }

    /// True if the connection ended by a reset.
    pub(crate) async fn is_reset(&mut self) -> bool {
        loop {
            match within(self.stream.read_buf(&mut self.bytes)).await {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// One response to this method; panics where there is none.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer(method).await.expect("an answer")
    }

    pub(crate) async fn try_answer(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill().await {
                assert!(self.bytes.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.bytes));
                return None;
            }
        };
        let head = String::from_utf8(self.bytes.drain(..end).collect()).unwrap();
        let status: u16 = head[9..12].parse().unwrap();
        let mut answer = Answer { status, head, body: String::new(), whole: true };
        let field = |name: &str| {
            let start = answer.head.find(&format!("\r\n{name}: "))? + name.len() + 4;
            answer.head[start..].split("\r\n").next().map(str::to_owned)
        };
        let length = field("content-length").map(|digits| digits.parse::<usize>().unwrap());
        let chunked = field("transfer-encoding").is_some();
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Some(answer);
        }
        (answer.body, answer.whole) = match (chunked, length) {
            (true, _) => self.chunks().await,
            (false, Some(length)) => self.take(length).await,
            (false, None) => {
                while self.fill().await {}
                (String::from_utf8(std::mem::take(&mut self.bytes)).unwrap(), true)
            }
        };
        Some(answer)
    }

    async fn take(&mut self, length: usize) -> (String, bool) {
        while self.bytes.len() < length {
            if !self.fill().await {
                return (String::from_utf8(std::mem::take(&mut self.bytes)).unwrap(), false);
            }
        }
        (String::from_utf8(self.bytes.drain(..length).collect()).unwrap(), true)
    }

    async fn chunks(&mut self) -> (String, bool) {
        let mut body = String::new();
        loop {
            let end = loop {
                if let Some(at) = self.bytes.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                if !self.fill().await {
                    return (body, false);
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.bytes[..end]).unwrap(), 16).unwrap();
            self.bytes.drain(..end + 2);
            let (piece, whole) = self.take(size + 2).await;
            if !whole {
                return (body + &piece, false);
            }
            if size == 0 {
                return (body, true);
            }
            body.push_str(&piece[..size]);
        }
    }
}
