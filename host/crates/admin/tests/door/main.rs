//! The admin door over real sockets: its answers, its folders and sockets, its
//! users, and what a hostile peer gets.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]
#![cfg_attr(unix, expect(clippy::print_stdout, reason = "a test that is skipped says why"))]

mod hostile;
mod support;
mod wire;

#[cfg(unix)]
mod places;
#[cfg(target_os = "linux")]
mod users;
