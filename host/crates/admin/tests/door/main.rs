//! The admin door over real sockets: its answers, its folders and sockets, its
//! users, and what a hostile peer gets.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test may fail; its helpers too")]

mod hostile;
mod support;
mod wire;

#[cfg(unix)]
mod places;
#[cfg(target_os = "linux")]
mod users;
