//! End-to-end tests: one binary, a module per area.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

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
