//! The admin room: health, metrics page, status, orders.
//!
//! *Invariant:* it can only send an order; it never acts itself. It has no
//! furniture yet: `admin = "off"` is the only value that the configuration
//! accepts, and the host is steered by signals.
#![forbid(unsafe_code)]
