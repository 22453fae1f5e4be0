//! WASI 0.2 for components that were built for `wasm32-wasip2`.
use crate::state::State;
use wasmtime::component::Linker;

/// Whether an interface is offered.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.starts_with("wasi:sockets/") {
        return Err("plugins have no sockets".to_owned());
    }
    Err("the host does not offer this import to plugins".to_owned())
}

/// Links what `check` let through.
pub(crate) fn link(_linker: &mut Linker<State>, _imports: &[&str]) -> wasmtime::Result<()> {
    Ok(())
}
