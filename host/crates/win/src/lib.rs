//! The Windows room: HTTP.sys, job objects, the TCP owner table, services.
//!
//! *Invariant:* the one room with unsafe code, and empty on every other system,
//! so that all else compiles everywhere. It has no furniture yet: on Windows the
//! host listens on TCP, and says of process management that it is not there.
