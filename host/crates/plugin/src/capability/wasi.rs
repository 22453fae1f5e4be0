//! WASI: not offered. Components that were built for `wasm32-wasip2` import it, and
//! are refused by name with what to do instead.

/// Says why an interface is not offered.
///
/// # Errors
/// Always: there is no interface of WASI yet.
pub(crate) fn check(name: &str) -> Result<(), String> {
    Err(if name.starts_with("wasi:sockets/") {
        "plugins have no sockets".to_owned()
    } else if name.starts_with("wasi:filesystem/") {
        "plugins have no file system".to_owned()
    } else {
        "the host does not offer this import to plugins: build for wasm32-unknown-unknown, which imports no WASI"
            .to_owned()
    })
}
