//! The compiler in a process of its own.
//!
//! Compiling a plugin takes tens of megabytes that an allocator is slow to give
//! back, and it is the one step in which a stranger's bytes keep a large program
//! busy for long. So the host's own executable is started again with a hidden
//! first argument: it reads a component from its standard input, writes machine
//! code to its standard output and ends. Its memory ends with it, and it is killed
//! at its time limit.

use crate::cache::CODE_BYTES_MAX;
use crate::compile::{CompileError, reason};
use crate::engine::{Allocator, EngineSettings};
use crate::slots::{Slots, config};
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use wasmtime::Engine;

/// The hidden first argument that makes the host's executable a compiler. A `main`
/// that meets it must hand the arguments behind it to [`compiler_main`].
pub const COMPILER_ARGUMENT: &str = "__gatelodge-compile";

/// Longest answer, bytes; a longer one is cut, and then refused as broken code.
const ANSWER_BYTES_MAX: u64 = 1 + CODE_BYTES_MAX as u64;

/// First byte of an answer: machine code follows.
const CODE: u8 = 0;
/// First byte of an answer: what is wrong with the component follows, as text.
const WRONG: u8 = 1;

/// Runs a compiler; gives the exit code of its process.
#[must_use]
pub fn compiler_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let Some(backtraces) = decode(&arguments) else { return 2 };
    let mut bytes = Vec::new();
    if std::io::stdin().lock().read_to_end(&mut bytes).is_err() {
        return 1;
    }
    let settings = EngineSettings { backtraces, ..EngineSettings::default() };
    let compiled = Engine::new(&config(&settings, Slots::Small, Allocator::OnDemand))
        .and_then(|engine| engine.precompile_component(&bytes));
    let (kind, answer) = match compiled {
        Ok(code) => (CODE, code),
        Err(error) => (WRONG, reason(&error).into_bytes()),
    };
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&[kind]).and_then(|()| out.write_all(&answer)).and_then(|()| out.flush());
    i32::from(written.is_err())
}

/// Machine code must fit the engine that runs it: what its layout depends on. Slots are no part of it.
pub(crate) fn encode(backtraces: bool) -> [String; 1] {
    [backtraces.to_string()]
}

fn decode(arguments: &[OsString]) -> Option<bool> {
    let [backtraces] = arguments else { return None };
    backtraces.to_str()?.parse().ok()
}

/// What came of a compilation elsewhere.
pub(crate) enum Elsewhere {
    /// Machine code for the same engine.
    Code(Vec<u8>),
    /// The compiler could not be started.
    NotStarted,
}

/// Compiles a component by `program`.
///
/// # Errors
/// What is wrong with the component, or with the compiler's way of ending.
pub(crate) fn compile_by(
    program: &Path,
    backtraces: bool,
    bytes: &[u8],
    limit: Duration,
) -> Result<Elsewhere, CompileError> {
    let spawned = Command::new(program)
        .arg(COMPILER_ARGUMENT)
        .args(encode(backtraces))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = spawned else { return Ok(Elsewhere::NotStarted) };
    let answer = ask(child, bytes, limit)?;
    match answer.split_first() {
        Some((&CODE, code)) => Ok(Elsewhere::Code(code.to_vec())),
        Some((&WRONG, text)) => Err(CompileError::Invalid(String::from_utf8_lossy(text).into_owned())),
        _ => Err(CompileError::Invalid("the compiler ended without an answer".to_owned())),
    }
}

/// Writes `bytes` to the child, reads its whole answer, and sees it end. The
/// child reads all before it writes, so the two can't wait for each other.
fn ask(mut child: Child, bytes: &[u8], limit: Duration) -> Result<Vec<u8>, CompileError> {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(CompileError::Invalid("the compiler has no pipes".to_owned()));
    };
    // A compiler that is gone already shows in its answer.
    let _ = input.write_all(bytes);
    drop(input);
    let (done, answers) = sync_channel(1);
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let read = (&mut output).take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map(|_| answer);
        // The receiver may have given up at the limit.
        let _ = done.send(read);
    });
    let answer = match answers.recv_timeout(limit) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CompileError::Invalid(format!("the compiler's answer can't be read: {error}"))),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            // It may have ended by itself this very moment.
            let _ = child.kill();
            Err(CompileError::TooSlow(limit.as_millis()))
        }
    };
    // Both end with the child's end of the pipe.
    let _ = child.wait();
    let _ = reader.join();
    answer
}

#[cfg(test)]
mod tests {
    use super::{ask, decode, encode};
    use crate::compile::CompileError;
    use std::ffi::OsString;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn arguments_survive_the_way() {
        for backtraces in [true, false] {
            let sent: Vec<OsString> = encode(backtraces).into_iter().map(Into::into).collect();
            assert_eq!(decode(&sent), Some(backtraces));
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&["x".into()]), None);
        assert_eq!(decode(&["true".into(), "true".into()]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_compiler_that_never_ends_is_killed() {
        let child = Command::new("/bin/sleep").arg("600").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let answer = ask(child.expect("sleep is there"), b"x", Duration::from_millis(20));
        assert_eq!(answer, Err(CompileError::TooSlow(20)));
    }
}
