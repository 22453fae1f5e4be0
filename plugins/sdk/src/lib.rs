//! Write a Gatelodge plugin in a page of Rust.
//!
//! A plugin is a Wasm component for the package `gatelodge:plugin@0.1.0`. It says in
//! [`Plugin::configure`] what it wants to see of each exchange, and what is not asked
//! for never enters the sandbox. Then its hooks are called: on the request's head, on
//! the response's head (in reverse order of plugins), and after the last byte.
//!
//! ```
//! #![forbid(unsafe_code)]
//! use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, Response, Slot, Verdict, View};
//!
//! gatelodge_sdk::manifest! { name: "tenant", version: "1.0.0", grants: { "log": true } }
//! gatelodge_sdk::export!(Tenant; request_head);
//!
//! struct Tenant {
//!     host: Field,
//!     out: Slot,
//!     fallback: Option<String>,
//! }
//!
//! impl Plugin for Tenant {
//!     fn configure(mut config: Config) -> Result<(Self, Registration), String> {
//!         let fallback = config.string("fallback");
//!         config.finish()?; // any other key is refused, with the nearest known name
//!
//!         let mut registration = Registration::new();
//!         let host = registration.request(gatelodge_sdk::authority());
//!         let out = registration.output("x-tenant");
//!         Ok((Self { host, out, fallback }, registration))
//!     }
//! }
//!
//! impl RequestHead for Tenant {
//!     fn request_head(&mut self, view: &View) -> Verdict {
//!         let named = view.text(self.host).and_then(|host| host.strip_suffix(".example.com"));
//!         match named.or(self.fallback.as_deref()) {
//!             Some(tenant) => Edits::new().set(self.out, tenant).verdict(),
//!             None => Response::new(404).text("No such tenant.").reason("unknown tenant").verdict(),
//!         }
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! The crate type is `cdylib`. Built for `wasm32-unknown-unknown`, the module becomes a
//! component by `gatelodge-componentize` or `wasm-tools component new`, without any WASI
//! import; built for `wasm32-wasip2`, it is a component already, and imports WASI.
//!
//! # Rules of the house
//!
//! * A hook has a CPU deadline and a memory limit. What breaks them, panics or traps
//!   loses its instance; the host's `on_fault` setting decides about that one request.
//! * State in the plugin's value is *per instance*, and there are several: keep what
//!   must hold for all in `kv`, what belongs to one exchange in its note.
//! * An edit that the host does not accept (framing and hop-by-hop fields, the pairing
//!   fields, a bad value) is a fault of the plugin, never silently dropped.
//! * A panic's text goes to the host's log.
//!
//! This crate is the one place of a plugin with unsafe code (the generated bindings and
//! the allocator), so plugins can `forbid(unsafe_code)`.
#![deny(unsafe_code)]

#[cfg(any(test, all(target_family = "wasm", feature = "arena")))]
mod arena;
mod bindings;
mod config;
mod edits;
mod export;
mod logging;
mod registration;
mod store;
mod time;
mod view;

#[doc(hidden)]
pub mod glue;
pub mod http;

pub use bindings::imports::gatelodge::plugin::types::{
    BodyInterest, ChunkVerdict, Credential, Edit, EndVerdict, Failure, Header, Overflow, Patch, Response, Selector,
    Tail, Verdict, WholeBody, WholeVerdict,
};
pub use bindings::imports::gatelodge::plugin::{
    clock, crypto, exchange, http_out, identity, identity_control, keys, kv, metrics, random, rate_limit, secrets,
};
pub use bindings::{Ending, Summary};
pub use config::{Config, nearest};
pub use edits::Edits;
pub use logging::{Level, event, log_enabled, log_line};
pub use registration::{
    Field, Registration, Slot, attribute, authority, claim, client_ip, cookie, header, method, note, path, query,
    query_param, request_id, response_header, response_source, route, scheme, sni, status, subject,
};
pub use store::{Cached, Store};
pub use time::rfc3339;
pub use view::View;

/// A plugin: what every instance of it does first.
pub trait Plugin: Sized + 'static {
    /// Reads the settings and says what the hooks want to see.
    ///
    /// Runs once per instance; every instance must give the same registration. Of the
    /// host's capabilities only log, clock, random, metrics, keys, secrets, crypto and
    /// kv answer here.
    ///
    /// # Errors
    /// The text is shown to the operator, and the plugin is not loaded.
    fn configure(config: Config) -> Result<(Self, Registration), String>;
}

/// Hook `request_head`: on the way in, before the backend sees anything.
pub trait RequestHead: Plugin {
    /// `view` has what [`Registration::request`] asked for.
    fn request_head(&mut self, view: &View) -> Verdict;
}

/// Hook `response_head`: on the way out, before the client sees anything; not for 1xx but 101.
pub trait ResponseHead: Plugin {
    /// `view` has what [`Registration::response`] asked for.
    fn response_head(&mut self, view: &View) -> Verdict;
}

/// One body in progress. It holds all that the plugin remembers of that body, is dropped with
/// it, and no other exchange reaches it. Content codings are not undone: a plugin that reads
/// text removes the request's `accept-encoding` first.
pub trait Inspector: 'static {
    /// A piece of the body: 1 byte to 64 KiB; where it is cut means nothing.
    fn chunk(&mut self, data: Vec<u8>) -> ChunkVerdict;

    /// The sender's own end; not called after `Done` or where the body broke off.
    fn end(&mut self, trailers: Vec<Header>) -> EndVerdict {
        let _ = trailers;
        EndVerdict::Pass
    }
}

/// Hook `request_body`: runs where `request_head` answered [`Verdict::Inspect`] with
/// [`BodyInterest::Observe`] or [`BodyInterest::Stream`], and there is a body.
pub trait RequestBody: RequestHead {
    /// What looks at one body.
    type Inspector: Inspector;

    /// A body begins.
    fn request_body(&mut self) -> Self::Inspector;
}

/// Hook `request_whole`: runs where `request_head` answered [`BodyInterest::Whole`], before the
/// next plugin's `request_head`.
pub trait RequestWhole: RequestHead {
    /// `complete` is false for a prefix.
    fn request_whole(&mut self, body: Vec<u8>, complete: bool) -> WholeVerdict;
}

/// Hook `response_body`: as [`RequestBody`], asked for by `response_head`.
pub trait ResponseBody: ResponseHead {
    /// What looks at one body.
    type Inspector: Inspector;

    /// A body begins.
    fn response_body(&mut self) -> Self::Inspector;
}

/// Hook `response_whole`: as [`RequestWhole`], asked for by `response_head`.
pub trait ResponseWhole: ResponseHead {
    /// `complete` is false for a prefix.
    fn response_whole(&mut self, body: Vec<u8>, complete: bool) -> WholeVerdict;
}

/// Hook `completion`: after the last byte, off the request's path.
pub trait Completion: Plugin {
    /// `view` has what [`Registration::completion`] asked for. Nothing can be changed any more.
    fn completion(&mut self, summary: &Summary, view: &View);
}

/// Hook `timer`: at once when the plugin's generation begins to serve, then each
/// [`Registration::tick_ms`].
pub trait Timer: Plugin {
    /// Runs in one background instance of the whole node, never two at a time. No exchange is
    /// there: what hooks are to see goes through [`Store`].
    fn tick(&mut self);
}
