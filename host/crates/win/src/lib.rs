//! Room `win`.
