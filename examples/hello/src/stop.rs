//! Stopping without cutting anybody off.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Knows how many connections and requests there are, and whether to stop.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    addr: SocketAddr,
    connections_max: usize,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    connections: usize,
    requests: usize,
    closed: bool,
}

/// What the accepting loop may do.
pub(crate) enum Turn {
    /// Accept one more.
    Open(Seat),
    /// Stop accepting.
    Closed,
}

/// A connection's place; given back on drop.
pub(crate) struct Seat(Arc<Inner>);

/// A request in progress; ends on drop.
pub(crate) struct Work(Arc<Inner>);

impl Gate {
    /// An open gate for the listener at `addr`.
    pub(crate) fn new(addr: SocketAddr, connections_max: usize) -> Self {
        let counts = Mutex::new(Counts::default());
        Self(Arc::new(Inner { addr, connections_max, counts, changed: Condvar::new() }))
    }

    /// Waits for a free seat.
    pub(crate) fn next_turn(&self) -> Turn {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = self
            .0
            .changed
            .wait_while(counts, |c| !c.closed && c.connections >= self.0.connections_max)
            .unwrap_or_else(PoisonError::into_inner);
        if counts.closed {
            return Turn::Closed;
        }
        counts.connections += 1;
        Turn::Open(Seat(Arc::clone(&self.0)))
    }

    /// Counts a request until the guard goes.
    pub(crate) fn begin(&self) -> Work {
        self.0.change(|c| c.requests += 1);
        Work(Arc::clone(&self.0))
    }

    /// Stops accepting; what has begun goes on.
    pub(crate) fn close(&self) {
        self.0.change(|c| c.closed = true);
        // The accepting loop sits in `accept`: one more connection lets it look.
        let _ = TcpStream::connect(self.0.addr);
    }

    /// True once `close` was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    /// Waits until no request is in progress.
    pub(crate) fn wait_for_requests(&self) {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let _done = self.0.changed.wait_while(counts, |c| c.requests > 0);
    }
}

impl Inner {
    fn change(&self, edit: impl FnOnce(&mut Counts)) {
        edit(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.change(|c| c.connections -= 1);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.change(|c| c.requests -= 1);
    }
}

/// Closes the gate when the system asks us to stop.
pub(crate) fn on_signal(gate: Gate) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if runtime.block_on(signal::asked_to_stop()).is_ok() {
            gate.close();
        }
    })?;
    Ok(())
}

#[cfg(unix)]
mod signal {
    use tokio::signal::unix::{SignalKind, signal};

    /// Returns at SIGTERM or SIGINT.
    pub(super) async fn asked_to_stop() -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod signal {
    /// Returns at Ctrl-C or Ctrl-Break.
    pub(super) async fn asked_to_stop() -> std::io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
