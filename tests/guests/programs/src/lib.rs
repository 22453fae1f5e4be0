//! gatelodge-guest-programs
