//! Starts, watches and stops the backend process.
//!
//! *Place in the journey:* before step 9 of a request. `forward` says
//! [`wire::ports::BackendSignal::Wake`], this room answers with
//! [`wire::ports::BackendState`].
//!
//! ```text
//! Idle -> Starting -> Ready -> Draining
//!   ^        |          |
//!   +- Down <+   crash -+-> Idle        Offline, from and to anywhere
//! ```
//!
//! The rules stand in `machine`, without any IO; `supervisor` is the one task
//! that steps them, and each instance has a task of its own (`instance`), so that
//! nobody waits for a slow one. [`Control`] is the door for orders and questions.
//!
//! Between the host and the application stands the *keeper*: the host's own
//! executable, started again with a hidden first argument ([`KEEPER_ARGUMENT`]).
//! It adopts every orphan of the application and kills the whole tree when it
//! is told to, or when the host is gone for whatever reason.
//!
//! *Invariant:* this room never sees a request, reads no global environment,
//! and tells what happens only through [`Events`]. No event and no report holds
//! the pairing token.
#![forbid(unsafe_code)]

mod ask;
mod attempt;
mod command;
mod control;
mod environment;
mod event;
mod expand;
mod instance;
mod machine;
mod output;
mod pairing;
mod port;
mod report;
mod settings;
mod shutdown;
mod supervisor;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere as platform;
#[cfg(target_os = "linux")]
use linux as platform;

pub use control::{AppState, Control, InstanceState, InstanceStatus, LastExit, NotReplaced, Replaced, Status};
pub use event::{Ended, Event, Events, Why};
pub use platform::{check_identity, keeper_main};
pub use settings::{
    BackOff, Health, Identity, OutputSettings, Recycle, Section, Settings, Site, StartMode, Ungranted, WarmUp,
};
pub use supervisor::{StopOutcome, StopReport, Supervisor};

/// The hidden first argument that makes the host's executable the keeper of one
/// application. A `main` that meets it must hand the arguments behind it to
/// [`keeper_main`] before it does anything else, and exit with the result.
pub const KEEPER_ARGUMENT: &str = "__gatelodge-keep";
