//! For build scripts: compiles guest crates of this workspace to
//! `wasm32-unknown-unknown` and makes components of the core modules, or to
//! `wasm32-wasip2`, which gives components.
//!
//! All callers share one inner target directory (`<target>/guests`), which cargo
//! itself locks, so a crate that two guests need is compiled once. Nothing of the
//! outer build's flags, wrappers or job server reaches the inner one: a guest's
//! bytes are the same whether `cargo build`, `clippy` or a coverage run asked for them.
//!
//! *Never* touches anything outside the target directory.
#![forbid(unsafe_code)]

mod cargo;
mod encode;
mod outer;

pub use encode::component;
pub use outer::{Error, Kind, build};
