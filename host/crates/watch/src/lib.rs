//! Tells when files change: by the system's events, and by looking again now and then.
//!
//! A thread of its own looks at the files and compares them with what it told
//! last. Events only hasten a look; a regular look finds what events miss
//! (network filesystems, overflow, a folder replaced by another).
//!
//! *Invariant:* it knows paths and patterns, not what they mean; it acts on
//! nothing, and it tells the name of what changed.
#![forbid(unsafe_code)]

mod events;
mod find;
mod globs;
mod identity;
mod inbox;
mod look;
mod news;
mod settings;
mod topic;
mod watcher;
mod worker;

pub use find::{find_any_case, read_bounded};
pub use globs::{GlobFault, Globs};
pub use news::{Change, News, Trouble, TroubleKind};
pub use settings::{Settings, Watched, What};
pub use watcher::Watcher;
