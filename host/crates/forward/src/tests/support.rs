//! A scripted backend, and requests to send to it.

use crate::{ForwardSettings, Forwarder, ResponseBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use wire::exchange::ConnFacts;
use wire::ports::{BackendSignal, BackendState, Forward as _, Paired};
use wire::{CanonicalPath, Exchange, Fault, Framing, PairingToken, RequestHead, ResponseHead, Scheme};

/// The token of all tests.
pub(crate) const TOKEN: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";

pub(crate) fn token() -> PairingToken {
    PairingToken::from_text(TOKEN).expect("a token")
}

pub(crate) fn exchange(method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Exchange {
    exchange_from("203.0.113.7:51812", false, method, target, fields)
}

pub(crate) fn exchange_from(
    client: &str,
    trusted: bool,
    method: &str,
    target: &str,
    fields: &[(&'static str, &'static str)],
) -> Exchange {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let local = "192.0.2.80:80".parse().expect("an address");
    let conn = ConnFacts::new(client.parse().expect("an address"), local, Scheme::Http, trusted);
    let request = RequestHead {
        method: Method::from_bytes(method.as_bytes()).expect("a method"),
        target: target.parse().expect("a target"),
        path: CanonicalPath::AsSent,
        authority: HeaderValue::from_static("shop.example:8443"),
        version: Version::HTTP_11,
        headers,
        framing: Framing::None,
        expects_continue: false,
        trace: None,
    };
    Exchange::new(Arc::new(conn), request, 1)
}

pub(crate) fn upload(method: &str, framing: Framing) -> Exchange {
    let mut exchange = exchange(method, "/up", &[]);
    exchange.request.framing = framing;
    exchange
}

/// A request body from a list; after it the end, or nothing more for ever.
pub(crate) struct Script {
    pub(crate) frames: VecDeque<Result<Frame<Bytes>, Fault>>,
    pub(crate) stays_open: bool,
}

pub(crate) fn no_body() -> Script {
    body(&[])
}

pub(crate) fn body(pieces: &[&'static str]) -> Script {
    let frame = |piece: &&'static str| Ok(Frame::data(Bytes::from_static(piece.as_bytes())));
    Script { frames: pieces.iter().map(frame).collect(), stays_open: false }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.frames.pop_front() {
            None if self.stays_open => Poll::Pending,
            next => Poll::Ready(next),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && !self.stays_open
    }
}

/// A forwarder, the other ends of its channels, and the listener that is its backend.
pub(crate) struct House {
    pub(crate) forwarder: Forwarder,
    pub(crate) state: watch::Sender<BackendState>,
    pub(crate) signals: mpsc::Receiver<BackendSignal>,
    pub(crate) listener: TcpListener,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(ForwardSettings::default()).await
    }

    pub(crate) async fn with(settings: ForwardSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (state, seen) = watch::channel(ready(&listener, 1));
        let (sender, signals) = mpsc::channel(8);
        let forwarder = Forwarder::new(settings, seen, sender, Arc::new(AtomicUsize::new(0)), Arc::default());
        Self { forwarder, state, signals, listener }
    }

    pub(crate) async fn send<B>(&self, exchange: &Exchange, body: B) -> Result<(ResponseHead, ResponseBody<B>), Fault>
    where
        B: Body<Data = Bytes, Error = Fault> + Unpin,
    {
        within(self.forwarder.send(exchange, body, 30_000_000)).await
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        within(self.listener.accept()).await.expect("a connection").0
    }

    /// Sends `exchange` to a backend that reads a head and answers `raw` on a new connection.
    pub(crate) async fn answer(
        &self,
        exchange: &Exchange,
        raw: &[u8],
    ) -> (Result<(ResponseHead, ResponseBody<Script>), Fault>, TcpStream) {
        let backend = async {
            let mut stream = self.accept().await;
            read_head(&mut stream).await;
            write(&mut stream, raw).await;
            stream
        };
        tokio::join!(self.send(exchange, no_body()), backend)
    }
}

pub(crate) fn ready(listener: &TcpListener, start: u64) -> BackendState {
    let addr = listener.local_addr().expect("it is bound");
    let load = wire::Load::new(std::time::Instant::now());
    BackendState::Ready([Paired { addr, token: token(), start, affinity: start, load }].into())
}

/// Everything awaited in these tests ends within this time or fails the test.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it ends in time")
}

/// Reads up to the end of a request head.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.expect("a whole head"));
    }
    String::from_utf8(head).expect("the tests' heads are UTF-8")
}

pub(crate) async fn read_text(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    within(stream.read_exact(&mut bytes)).await.expect("that many bytes");
    String::from_utf8(bytes).expect("the tests' bodies are UTF-8")
}

/// Reads until the other side closes; true if it ended without a reset.
pub(crate) async fn read_to_close(stream: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let clean = within(stream.read_to_end(&mut bytes)).await.is_ok();
    (bytes, clean)
}

pub(crate) async fn write(stream: &mut TcpStream, raw: &[u8]) {
    within(stream.write_all(raw)).await.expect("the peer reads");
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a socket option");
    drop(stream);
}

/// The whole body, or the fault that ended it.
pub(crate) async fn collect<B>(body: ResponseBody<B>) -> Result<Vec<u8>, Fault>
where
    B: Body<Data = Bytes, Error = Fault> + Unpin,
{
    within(body.collect()).await.map(|whole| whole.to_bytes().to_vec())
}
