//! Plugins that mean harm: each act by a guest of its own, in both isolation modes.
//!
//! A row of the tables says what a guest does and what the host answers. Each test shows all of it:
//! that request's answer, the fault's metric and its line in the log, good requests on the same
//! worker at the same time and after, and that nothing grows. What was measured goes to a file per
//! act below `target/hostile`, of which `tests/hostile.sh` makes a report.

mod act;
mod beside;
mod load;
mod more;
mod page;
mod table;
mod upstream;
