//! Signals of the system, as orders.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::Orders;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::Orders;

/// What somebody outside asks of the running host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Drain and stop; heard a second time: cut (`SIGTERM`, Ctrl-C).
    Stop,
    /// Take the files anew (`SIGHUP`).
    Reload,
    /// Tell the counters now (`SIGUSR1`).
    Counters,
}
