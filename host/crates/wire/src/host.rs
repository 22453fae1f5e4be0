//! The authority of a request: `Host` and absolute targets (RFC 9112 §3.2).
