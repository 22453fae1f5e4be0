//! The plugin plane: Wasm components that look at each request, in a sandbox.
//!
//! *Place in the journey:* steps 6 and 11, between admission and the backend, and
//! the completion at the end. [`Chain::load`] checks, compiles and tries all plugins
//! of a generation off the workers; each worker makes its own [`Plane`] from it, whose
//! hooks run to their end without a wait or a lock.
//!
//! *Invariants:* a plugin never sees the pairing token or a raw socket. What it says
//! is checked as a stranger's input would be. A fault of it costs one request.
//! Nothing is allocated by a size that it chose beyond the limits named here.
//!
//! # Memory
//! All workers together use at most
//! `workers × Σ over plugins (n × (memory_bytes_max + tables))`. n is 1, and `instances_max` more for each
//! of these that is true of the plugin: `isolation = "request"`; it has a `request-body` or
//! `response-body` hook; its hooks may wait or give way. Beside that: twice `body_held_bytes_max` for each body that a plugin with a body or
//! whole-body hook is shown; a plugin with a timer has one
//! instance more, once for all workers; tables of an instance are below 3 MiB in all, its host side below 64 KiB. Two generations during a
//! reload: twice that. The engine's `instances_max` bounds it over everything.
//! Slots that nobody uses keep at most `100 × 2 MiB` (small) and `8 × 8 MiB` (large), and
//! never more than instances in them had used.
//! An idle instance of a small plugin holds about 30 KiB.
//! What plugins share comes on top: `Σ over stores (bytes_max + 64 KiB) + Σ over limiters (128 × keys_max)`,
//! once for all workers and generations.
#![deny(unsafe_code)]

mod about;
mod bench;
mod bindings;
mod body;
mod breaker;
mod budget;
mod cache;
mod capability;
mod chain;
mod code;
mod compile;
mod compiler;
mod digest;
mod edit;
mod engine;
mod fault;
mod fiber;
mod instance;
mod jose;
mod limiter;
mod link;
mod log;
mod manifest;
mod matches;
mod metrics;
mod named;
mod outbound;
mod plane;
mod pool;
mod registration;
mod schema;
mod secrets;
mod seen;
mod selector;
mod settings;
mod slots;
mod stage;
mod state;
mod store;
mod summary;
#[cfg(test)]
mod testing;
mod text;
mod ticker;
mod timer;
mod trace;
mod waiting;
mod whole;
mod worker;

pub use about::{EngineFacts, PluginFacts, Reset, SlotsFacts};
pub use body::{CHUNK_BYTES_MAX, PluginBody};
pub use breaker::HoldBack;
pub use cache::{CACHE_BYTES_MAX, CodeCache, cache_folder};
pub use chain::{Chain, LoadError, Surroundings};
pub use code::CodeCounts;
pub use compile::{CompileError, MODULE_BYTES_MAX};
pub use compiler::{COMPILER_ARGUMENT, compiler_main};
pub use digest::sha256_hex;
pub use engine::{Allocator, EngineSettings, PluginEngine};
pub use jose::KeySets;
pub use limiter::LimiterSettings;
pub use link::{CONTRACT, grant_line};
pub use log::{Level, LogSink};
pub use manifest::{Manifest, SECTION as MANIFEST_SECTION};
pub use metrics::{FaultCount, Kind as MetricKind, MetricSnapshot, Metrics, TickCount, Value as MetricValue};
pub use named::{Declared, StoreUsage, Stores};
pub use outbound::{Resolve, Resolving, UpstreamSeen, UpstreamSettings};
pub use plane::Plane;
pub use secrets::{SECRET_BYTES_MAX, Secrets};
pub use seen::{Hook, HookSeen, PluginSeen, TIME_BOUNDS_NS, TIMED_EVERY};
pub use settings::{
    FaultPolicy, GrantedNames, Grants, Isolation, MatchSettings, ModuleSource, OnFault, PLUGINS_MAX, PlaneSettings,
    PluginSettings,
};
pub use slots::{SMALL_COMPONENT_BYTES_MAX, Slots};
pub use store::{DiskSettings, DiskUsage, StoreSettings, WhenFull};
pub use timer::Timers;
