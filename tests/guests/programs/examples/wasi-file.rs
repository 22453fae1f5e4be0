//! Reads a file as an ordinary program would, for `wasm32-wasip2`.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("wasi-file", {
    drop(std::fs::read("/etc/passwd"));
});
