//! A backend that does what a test wants: it records how it was started and
//! each byte that came, and answers by script.
//!
//! Its first argument says how it behaves as a process (see `life`); the
//! request's path says what it answers (see `talk`).
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod talk;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    life::live()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
