//! Writes a test guest's component into a file: `guest-file NAME PATH`.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, path] = args.as_slice() else { return complain("guest-file NAME PATH") };
    let Some((_, bytes)) = gatelodge_guests::ALL.iter().find(|(known, _)| known == name) else {
        let known: Vec<&str> = gatelodge_guests::ALL.iter().map(|(known, _)| *known).collect();
        return complain(&format!("no guest {name}; known: {}", known.join(", ")));
    };
    match std::fs::write(path, bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{path}: {error}")),
    }
}

fn complain(line: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::from(2)
}
