//! End-to-end tests: one binary, a module per area.
//!
//! Numbers such as L42 name behaviours of the ASP.NET Core Module that a table
//! of the project's planning counts; the sentence beside each says what it is.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

mod admission;
mod bodies;
mod builtin;
mod code;
mod counters;
mod crash;
mod examples;
mod fleet;
mod hostile;
mod inspect;
mod kestrel;
mod languages;
mod live;
mod offline;
mod outbound;
mod plugins;
mod refused;
mod replace;
mod response;
mod start;
mod state;
mod statements;
mod status;
mod stop;
mod storm;
mod swap;
mod trace;
mod wake;

use gatelodge_e2e::{Site, Web};

/// The scripted backend.
const PROBE: &str = env!("CARGO_BIN_EXE_probe-backend");

/// A web.config that starts the scripted backend.
fn web() -> Web {
    Web::asp(PROBE)
}

/// A site with the scripted backend.
fn site() -> Site {
    Site::new(web())
}
