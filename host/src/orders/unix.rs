//! Orders on Unix: signals.

use super::Order;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are listened to.
pub(crate) struct Orders {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    counters: Signal,
}

impl Orders {
    /// Starts listening; must run inside a runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            counters: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next order.
    ///
    /// # Cancel safety
    /// An order that arrived is kept until the next call.
    pub(crate) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hangup.recv() => Order::Reload,
            _ = self.counters.recv() => Order::Counters,
        }
    }
}
