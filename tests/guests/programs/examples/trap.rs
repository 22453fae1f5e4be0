//! Traps without a word in the hook that `x-do` names.
#![forbid(unsafe_code)]

gatelodge_guest_programs::misbehaves!("trap", std::process::abort());
