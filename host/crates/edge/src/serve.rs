//! A worker's loop: accept, serve, drain.

use crate::body::RequestBody;
use crate::conn::{Progress, Worker, serve_connection};
use crate::counters::{Counters, count};
use crate::drain::{DrainOrder, DrainReport};
use crate::listen::WorkerListeners;
use crate::settings::{EdgeSettings, ms};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use wire::ports::Handle;
use wire::{ConnFacts, Scheme};

/// Serves one worker's listening sockets until it is told to stop.
///
/// Must run inside a `tokio::task::LocalSet` of a current-thread runtime with
/// IO and time. If the sender of `drain` is dropped, everything is cut.
/// A connection is served by the settings of the moment it was accepted.
///
/// # Errors
/// A listening socket could not be handed to the runtime.
///
/// # Cancel safety
/// Dropped at any time, it drops all its connections: those that owe a reply are reset.
pub async fn serve<H>(
    listeners: WorkerListeners,
    mut settings: watch::Receiver<Arc<EdgeSettings>>,
    counters: Arc<Counters>,
    handler: Rc<H>,
    mut drain: watch::Receiver<DrainOrder>,
) -> io::Result<DrainReport>
where
    H: Handle<RequestBody> + 'static,
{
    let sockets = listeners.0.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    let first = settings.borrow_and_update().clone();
    let mut floor = Floor {
        worker: Rc::new(Worker::new(first, counters, handler)),
        settings,
        tasks: JoinSet::new(),
        open: Rc::default(),
        next: 0,
    };
    let mut paused_until = None;
    let mut turn = 0_usize;
    loop {
        turn = turn.wrapping_add(1);
        tokio::select! {
            order = next_order(&mut drain) => {
                floor.take_backlog(sockets);
                return Ok(floor.drain(order, &mut drain).await);
            }
            Some(ended) = floor.tasks.join_next() => floor.reap(&ended),
            () = pause(paused_until), if paused_until.is_some() => paused_until = None,
            accepted = accept(&sockets, turn), if paused_until.is_none() => {
                if let Some(pause) = floor.take(accepted) {
                    paused_until = Some(pause);
                }
            }
        }
    }
}

/// The next order other than to run.
async fn next_order(drain: &mut watch::Receiver<DrainOrder>) -> DrainOrder {
    match drain.wait_for(|order| *order != DrainOrder::Run).await {
        Ok(order) => *order,
        Err(_) => DrainOrder::Cut,
    }
}

async fn pause(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Accepts from any of the sockets; each time another one is asked first, so
/// that a busy address can't starve the next.
async fn accept(sockets: &[TcpListener], turn: usize) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        let first = turn.checked_rem(sockets.len()).unwrap_or_default();
        let (before, after) = sockets.split_at(first);
        for socket in after.iter().chain(before) {
            if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

/// All connections of one worker.
struct Floor<H> {
    worker: Rc<Worker<H>>,
    settings: watch::Receiver<Arc<EdgeSettings>>,
    tasks: JoinSet<()>,
    open: Rc<RefCell<HashMap<u64, Rc<Progress>>>>,
    next: u64,
}

impl<H> Floor<H>
where
    H: Handle<RequestBody> + 'static,
{
    /// Takes what accept gave; `Some`: until when to accept nothing.
    fn take(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<Instant> {
        let counters = Arc::clone(&self.worker.counters);
        match accepted {
            Ok((stream, client)) => {
                count(&counters.accepted);
                self.renew();
                if self.tasks.len() >= self.worker.settings.connections_max {
                    count(&counters.over_budget);
                    return None;
                }
                self.spawn(stream, client);
                None
            }
            // The client was gone before we came to it.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
                None
            }
            // No descriptors or no memory: the socket stays ready, so without a pause this loop would spin.
            Err(_) => {
                count(&counters.accept_failures);
                Some(Instant::now() + ms(self.worker.settings.accept_pause_ms))
            }
        }
    }

    /// Takes changed settings up; running connections keep theirs.
    fn renew(&mut self) {
        // With their writer gone the last settings stand.
        if self.settings.has_changed().unwrap_or(false) {
            let settings = self.settings.borrow_and_update().clone();
            let (counters, handler) = (Arc::clone(&self.worker.counters), Rc::clone(&self.worker.handler));
            self.worker = Rc::new(Worker::new(settings, counters, handler));
        }
    }

    fn spawn(&mut self, stream: TcpStream, client: SocketAddr) {
        // Replies are written whole; waiting to fill a segment only adds delay.
        // A socket that has failed already tells so at its first use.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let trusted = self.worker.settings.trusts(client.ip());
        let facts = Arc::new(ConnFacts::new(client, local, Scheme::Http, trusted));
        let progress = Rc::new(Progress::new());
        self.next += 1;
        let listed = Listed { open: Rc::clone(&self.open), id: self.next };
        self.open.borrow_mut().insert(self.next, Rc::clone(&progress));
        let task = serve_connection(Rc::clone(&self.worker), stream, facts, progress);
        self.tasks.spawn_local(async move {
            let _listed = listed;
            task.await;
        });
    }

    fn reap(&self, ended: &Result<(), JoinError>) {
        count(&self.worker.counters.closed);
        if ended.as_ref().is_err_and(JoinError::is_panic) {
            count(&self.worker.counters.panics);
        }
    }

    /// What the system has accepted for us already gets its answer too: closing
    /// the socket over it would reset it. The system is asked itself, since the
    /// runtime may not have heard of the latest ones.
    fn take_backlog(&mut self, sockets: Vec<TcpListener>) {
        for socket in sockets {
            let Ok(socket) = socket.into_std() else { continue };
            for _ in 0..self.worker.settings.backlog_max {
                let accepted = socket.accept().and_then(|(stream, client)| {
                    stream.set_nonblocking(true)?;
                    Ok((TcpStream::from_std(stream)?, client))
                });
                if accepted.is_err() || self.take(accepted).is_some() {
                    break;
                }
            }
        }
    }

    async fn drain(&mut self, order: DrainOrder, drain: &mut watch::Receiver<DrainOrder>) -> DrainReport {
        let mut report = DrainReport { open: self.tasks.len(), ..DrainReport::default() };
        if let DrainOrder::Drain { cut_after } = order {
            for progress in self.open.borrow().values() {
                progress.drain();
            }
            let cut_at = Instant::now() + cut_after;
            loop {
                tokio::select! {
                    biased;
                    ended = self.tasks.join_next() => match ended {
                        Some(ended) => {
                            self.reap(&ended);
                            report.finished += 1;
                        }
                        None => break,
                    },
                    () = sleep_until(cut_at) => break,
                    () = cut_ordered(drain) => break,
                }
            }
        }
        report.cut = self.tasks.len();
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            self.reap(&ended);
        }
        report
    }
}

/// Resolves when the order is to cut, or nobody is left to give one.
async fn cut_ordered(drain: &mut watch::Receiver<DrainOrder>) {
    // An error means that the sender is gone: the same as to cut.
    let _ = drain.wait_for(|order| *order == DrainOrder::Cut).await;
}

/// Takes a connection off the list, also when its task panics or is cut.
struct Listed {
    open: Rc<RefCell<HashMap<u64, Rc<Progress>>>>,
    id: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.open.borrow_mut().remove(&self.id);
    }
}
