//! The harness of the end-to-end tests: a temporary site, the host's binary on
//! a free port, a raw HTTP/1.1 client, a look at process trees, and a search
//! for the pairing token in everything that came out.
//!
//! Nothing here sleeps to synchronise: whoever waits, waits for an event under
//! a deadline and says in the panic what did not happen.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

pub mod client;
pub mod host;
pub mod load;
pub mod probe;
pub mod random;
pub mod site;
pub mod tree;
pub mod verdict;
pub mod wait;
pub mod web;

pub use client::{Client, Response};
pub use host::{Ended, Host, Launch};
pub use load::{Load, Mix, Outcome, Record};
pub use probe::{Probe, Start};
pub use random::{Random, Seed};
pub use rustix::process::Signal;
pub use site::Site;
pub use web::Web;
