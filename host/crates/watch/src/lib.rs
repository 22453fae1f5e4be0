//! Tells when files change: by the system's events, and by looking again now and then.
//!
//! *Invariant:* it knows paths and patterns, not what they mean; it acts on
//! nothing, and it tells the name of what changed.
#![forbid(unsafe_code)]
