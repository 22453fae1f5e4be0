//! Listening sockets: one per address and worker.

#[cfg_attr(target_os = "linux", path = "listen/share_port.rs")]
#[cfg_attr(not(target_os = "linux"), path = "listen/share_socket.rs")]
mod share;
mod tcp;
mod url;

pub use tcp::{BindError, Bound, Door, WorkerListeners};
pub use url::{ListenHost, ListenUrl, ListenUrlError};
