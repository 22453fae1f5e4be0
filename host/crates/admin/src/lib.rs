//! The admin door: what runs, told on request, and the orders reload and stop.
//!
//! *Place in the journey:* beside it. No client's request comes past here.
//!
//! ```text
//! gatelodge status ─ Client ─ Unix socket or loopback TCP ─ Listener ─ House (host/src)
//! ```
//!
//! A host leaves a note in a private folder of its user ([`Places`]): the
//! application's folder, the address, and for TCP a secret that orders must
//! bring. The client finds the host by that note.
//!
//! *Invariant:* this room knows no other room. It asks the [`House`] and hands
//! orders over; it never acts itself, and no answer holds a token or a secret.
#![forbid(unsafe_code)]

mod address;
mod answer;
pub mod client;
mod connection;
#[cfg(test)]
mod documentation;
mod guard;
mod house;
mod listener;
mod lock;
mod places;
pub mod prometheus;
mod route;
mod server;
mod slot;
pub mod status;
pub mod table;

#[cfg(not(unix))]
#[path = "platform/elsewhere.rs"]
mod platform;
#[cfg(unix)]
#[path = "platform/unix.rs"]
mod platform;

pub use address::Address;
pub use house::{Health, House, Refusal};
pub use listener::{BindError, Bound, Listener};
pub use places::Places;
pub use server::{Limits, serve};
pub use status::StatusPage;
