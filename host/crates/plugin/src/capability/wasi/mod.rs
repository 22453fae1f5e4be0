//! WASI 0.2, as far as a program's standard library needs it to start and to complain:
//! enough for what `cargo build --target wasm32-wasip2` makes.
//!
//! Nothing here waits and nothing reaches outside: standard output and error become log
//! lines (grant `log`, else they are dropped), the environment is empty, standard input
//! is at its end, clocks are those of the contract, random bytes are the system's. Files
//! and sockets are refused at load.

mod cli;
mod clocks;
mod handles;
mod io;
mod output;
mod random;

#[allow(unreachable_pub, reason = "the generated bindings re-export these types")]
pub use handles::{InputStream, IoError, OutputStream, Pollable, Terminal};
pub(crate) use io::Streams;
pub(crate) use output::Output;

use crate::bindings::wasi::Shim;
use crate::state::State;
use wasmtime::component::{HasSelf, Linker};

/// Every 0.2 release is compatible with each other one.
const MINOR: &str = "0.2.";

const OFFERED: [&str; 18] = [
    "io/error",
    "io/poll",
    "io/streams",
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "random/random",
    "random/insecure",
    "random/insecure-seed",
];

/// Says why an interface of WASI is not offered.
///
/// # Errors
/// It is of another version line, or reaches outside the sandbox.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let rest = name.strip_prefix("wasi:").unwrap_or(name);
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if interface.starts_with("sockets/") {
        return Err("plugins have no sockets".to_owned());
    }
    if interface.starts_with("filesystem/") {
        return Err("plugins have no file system".to_owned());
    }
    if !OFFERED.contains(&interface) {
        return Err("the host does not offer this import to plugins".to_owned());
    }
    if !version.starts_with(MINOR) {
        return Err(format!("it was built for WASI {version}; this host offers WASI 0.2"));
    }
    Ok(())
}

/// Links all of it: the linker knows that versions 0.2.x are compatible.
///
/// # Errors
/// None in practice: each name is defined once.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn itself(state: &mut State) -> &mut State {
        state
    }
    Shim::add_to_linker::<_, HasSelf<State>>(linker, itself)
}
