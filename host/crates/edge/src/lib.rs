//! Room `edge`.
