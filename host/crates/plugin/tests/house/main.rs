//! Guests in the real plane: one guest program per behaviour, one test of its name.

mod faults;
mod harness;
mod hooks;
mod refusals;
mod tokens;
