//! The test guests are the examples of this package: one program per behaviour.
#![forbid(unsafe_code)]
