//! Orders on Windows: console events.

use super::Order;
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// The console events that are listened to.
pub(crate) struct Orders {
    ctrl_c: CtrlC,
    ctrl_break: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

impl Orders {
    /// Starts listening; must run inside a runtime.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { ctrl_c: ctrl_c()?, ctrl_break: ctrl_break()?, close: ctrl_close()?, shutdown: ctrl_shutdown()? })
    }

    /// The next order.
    ///
    /// # Cancel safety
    /// An order that arrived is kept until the next call.
    pub(crate) async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.ctrl_c.recv() => Order::Stop,
            _ = self.ctrl_break.recv() => Order::Stop,
            _ = self.close.recv() => Order::Stop,
            _ = self.shutdown.recv() => Order::Stop,
        }
    }
}
