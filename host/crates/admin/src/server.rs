//! Takes connections and gives each a task.

use crate::connection::{self, Io, Shared};
use crate::guard::Door;
use crate::house::House;
use crate::listener::Listener;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a stranger on this machine can make the host spend.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; the next one waits in the system's queue. Default 16.
    pub connections_max: usize,
    /// Bytes of a request's head, beyond it 431. Default 16 KiB, least 8 KiB.
    pub head_bytes_max: usize,
    /// Bytes of a request's body, beyond it 413. Default 64 KiB.
    pub body_bytes_max: usize,
    /// Reloads that wait at once, beyond it 503; less than
    /// [`Limits::connections_max`], so that a status can still be asked for. Default 8.
    pub reloads_max: usize,
    /// For the head, for the body, for an answer other than a reload's, and for
    /// the peer to take it; each ends the connection, the second with 408 and the
    /// third with 504. Default 10 s.
    pub deadline: Duration,
    /// From the order to stop until connections are cut. Default 2 s.
    pub drain_limit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 16,
            head_bytes_max: 16 * 1024,
            body_bytes_max: 64 * 1024,
            reloads_max: 8,
            deadline: Duration::from_secs(10),
            drain_limit: Duration::from_secs(2),
        }
    }
}

/// How long nothing is accepted after the system refused, for want of descriptors for example.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `stop` is done, then lets running ones end within
/// [`Limits::drain_limit`] and removes the socket and the note.
///
/// # Cancel safety
/// Dropping the future cuts every connection and removes socket and note.
pub async fn serve<H: House>(listener: Listener, house: Arc<H>, limits: Limits, stop: impl Future<Output = ()>) {
    run(&listener, house, limits, stop).await;
}

/// Where connections come from.
pub(crate) trait Accept {
    /// The next connection. Dropping the future loses none.
    fn accept(&self) -> impl Future<Output = io::Result<(Box<dyn Io>, Door)>> + Send;
}

async fn run<H: House>(listener: &(impl Accept + Sync), house: Arc<H>, limits: Limits, stop: impl Future<Output = ()>) {
    let shared = Arc::new(Shared { house, limits, reloads: Semaphore::new(limits.reloads_max) });
    let seats = Arc::new(Semaphore::new(limits.connections_max));
    let (stop_tx, stop_rx) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            // Nobody closes the semaphore.
            let seat = Arc::clone(&seats).acquire_owned().await.ok();
            (seat, listener.accept().await)
        };
        tokio::select! {
            () = stop.as_mut() => break,
            (seat, accepted) = next => match accepted {
                Ok((io, door)) => {
                    let (shared, stop) = (Arc::clone(&shared), stop_rx.clone());
                    connections.spawn(async move {
                        connection::serve(io, door, shared, stop).await;
                        drop(seat);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    // All receivers may be gone already.
    let _ = stop_tx.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain_limit, drained).await.is_err() {
        connections.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
