//! The supervisor against a scripted backend, with real processes.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cgroup;
mod deaths;
mod failure;
mod fleet;
mod harness;
mod health;
mod identity;
mod launch;
mod output;
mod replace;
mod spare;
mod start;
mod stop;
mod tree;
