//! Panics in the hook that `x-do` names; the text must reach the log.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("panic", panic!("the guest gave up"));
