//! What the rooms ask of each other: the traits between them, and the words
//! that process and forward exchange.

use crate::{ConnFacts, Exchange, Fault, Load, PairingToken, RequestHead, ResponseHead, StartReport};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A response on its way to the client.
pub struct Reply<B> {
    /// Its head.
    pub head: ResponseHead,
    /// Its body.
    pub body: B,
    /// Close the client's connection after it.
    pub close: bool,
}

/// What `edge` calls for each request: the pipeline.
pub trait Handle<B> {
    /// Body of the replies; an error breaks the client's connection off.
    type Body: http_body::Body<Data = Bytes, Error = Fault>;

    /// Answers an admitted request.
    fn handle(&self, conn: &Arc<ConnFacts>, head: RequestHead, body: B) -> impl Future<Output = Reply<Self::Body>>;

    /// Answers a request that admission refused; what is known of its head is
    /// lost on purpose. Such a reply always closes the connection.
    fn refuse(&self, conn: &Arc<ConnFacts>, fault: Fault) -> Reply<Self::Body>;
}

/// What `pipeline` calls to reach the application: `forward`.
pub trait Forward<B> {
    /// The backend's response body.
    type Body: http_body::Body<Data = Bytes, Error = Fault>;

    /// Sends the exchange's request with `body`, gives the response's head and body,
    /// and leaves in `exchange.upstream` whose it is.
    ///
    /// `body_bytes_max`: more body than this ends in [`crate::Kind::BodyTooLarge`].
    ///
    /// # Cancel safety
    /// Dropping the future or the body aborts the backend's request at once.
    fn send(
        &self,
        exchange: &Exchange,
        body: B,
        body_bytes_max: u64,
    ) -> impl Future<Output = Result<(ResponseHead, Self::Body), Fault>>;
}

/// What a hook made of its exchange.
pub enum Step {
    /// Go on.
    Continue,
    /// A plugin answers in the backend's place.
    Answer(Box<Answer>),
    /// A plugin failed and its policy is to refuse.
    Fault(Fault),
}

/// A plugin's own response, checked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Name of the plugin.
    pub plugin: Arc<str>,
    /// 200–599.
    pub status: StatusCode,
    /// Without framing and hop-by-hop fields.
    pub headers: HeaderMap,
    /// Whole body.
    pub body: Bytes,
    /// For the operator's log only.
    pub reason: Option<Box<str>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last byte of the response was handed over.
    Complete,
    /// The client went away first.
    ClientGone,
    /// The backend broke off.
    BackendGone,
    /// A plugin or the host refused it.
    Refused,
    /// A deadline ended it.
    TimedOut,
    /// A plugin or the host failed.
    Fault,
}

impl Ending {
    /// One word for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientGone => "client-gone",
            Self::BackendGone => "upstream-gone",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::Fault => "fault",
        }
    }
}

/// The facts of a finished exchange.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Status that the client got, if any.
    pub status: Option<StatusCode>,
    /// How it ended.
    pub ending: Ending,
    /// From the admitted head to the last byte.
    pub duration: Duration,
    /// From the admitted head to the response's head.
    pub first_byte: Option<Duration>,
    /// Request body bytes taken from the client.
    pub bytes_in: u64,
    /// Response body bytes handed to the client.
    pub bytes_out: u64,
    /// Address of the backend that answered.
    pub upstream: Option<SocketAddr>,
    /// What the operator should read of a failure.
    pub detail: Option<Box<str>>,
}

/// The plugins of one worker. Not shared between threads.
///
/// The exchange is handed over and given back, because hooks reach it from
/// inside the sandbox. So is the body, which some of them ask for: what comes back
/// gives the bytes that they let through, and its faults are theirs and its source's.
pub trait Plugins {
    /// A body behind the body hooks that asked for it. One that none asked for is
    /// `B` itself, moved: neither copied nor boxed.
    type Body<B>: http_body::Body<Data = Bytes, Error = Fault> + Unpin
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin;

    /// Runs the request-head hooks in order, until one answers or fails. A plugin
    /// that wants the whole body is waited for, before the next one's turn. Where a
    /// plugin may change the body, `exchange.request.framing` is set anew.
    ///
    /// # Cancel safety
    /// Dropping the future drops the exchange with all that its hooks hold.
    fn request_head<B>(
        &self,
        exchange: Box<Exchange>,
        body: B,
    ) -> impl Future<Output = (Box<Exchange>, Step, Self::Body<B>)>
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin;

    /// Runs the response-head hooks in reverse order, for the plugins that saw
    /// the request; `exchange.response` holds the head. With [`Step::Answer`] the body
    /// that comes back carries the answer's, and `Answer::body` is empty.
    fn response_head<B>(
        &self,
        exchange: Box<Exchange>,
        body: B,
    ) -> impl Future<Output = (Box<Exchange>, Step, Self::Body<B>)>
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin;

    /// A body that no plugin looks at.
    fn untouched<B>(body: B) -> Self::Body<B>
    where
        B: http_body::Body<Data = Bytes, Error = Fault> + Unpin;

    /// True if some plugin has a hook for request bodies.
    fn wants_request_bodies(&self) -> bool;

    /// Tells the completion hooks of plugins that saw the request, and forgets the exchange.
    fn complete(&self, exchange: Box<Exchange>, summary: &Summary);

    /// Lets go of what plugins keep for an exchange that is over and of which nobody is told.
    fn forget(&self, exchange: &Exchange);

    /// False if no plugin could have anything to do in any phase.
    fn any(&self) -> bool;

    /// True if some plugin has a completion hook.
    fn wants_completion(&self) -> bool;

    /// True if hooks may wait while they hold the exchange: it goes to its home if they are dropped then.
    fn may_wait(&self) -> bool {
        false
    }

    /// True if some completion hook may read fields of the response, whose head is copied
    /// for it then. The others find the status in `exchange.response`, and no field.
    fn completion_reads_response(&self) -> bool;
}

/// A started, proven and paired instance of the backend.
#[derive(Clone)]
pub struct Paired {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its token: new for every start. `None` only where pairing is meaningless.
    pub token: PairingToken,
    /// Number of the start, counted from 1 over all instances: tells a new
    /// instance from an old one.
    pub start: u64,
    /// A random number by which a client may ask for the same instance again;
    /// it says nothing about the instance.
    pub affinity: u64,
    /// What it carries.
    pub load: Arc<Load>,
}

/// The backend as the rest of the house sees it. `process` writes it, `forward` reads it.
#[derive(Clone)]
pub enum BackendState {
    /// Not running: the next request wakes it.
    Idle,
    /// Being started; nobody can take a request yet.
    Starting,
    /// These instances, one at least, take requests.
    Ready(Arc<[Paired]>),
    /// Stopping; no new requests.
    Draining,
    /// Taken off by `app_offline.htm`; its bytes are the answer to every request.
    Offline(Bytes),
    /// The last start failed. A request gets the report; after `retry_after` of
    /// the report (none: at once) the next request wakes it again.
    Down(Arc<StartReport>),
}

/// What `forward` tells `process`, on a bounded channel; a full channel loses
/// nothing, since each of them only hastens what would be found out anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendSignal {
    /// A request waits for a backend.
    Wake,
    /// The instance of this start refused or reset a connection: look whether it lives.
    Suspect {
        /// Number of the start that is meant.
        start: u64,
    },
}
