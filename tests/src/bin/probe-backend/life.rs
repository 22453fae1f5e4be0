//! How the program behaves as a process.
//!
//! | arguments | behaviour |
//! |---|---|
//! | none, or anything unknown | listens at once |
//! | `exit CODE TEXT...` | prints the text and ends |
//! | `never` | lives, never listens |
//! | `gate NAME` | listens once the test opens the gate |
//! | `wrong-port` | listens, but at another port |
//! | `flood BYTES` | prints so many bytes without a line end, then ends with code 9 |
//! | `lines COUNT` | prints so many lines, then listens |
//! | `child` | a child of it listens; it waits for the child |
//! | `orphan` | a child of it listens; it ends |
//! | `stubborn` | listens; no signal and no request makes it stop |
//! | `deaf` | listens; answers 404 to the shutdown request, stops at SIGTERM |
//! | `slow-stop NAME` | listens; told to stop, it waits for the gate |

use crate::folder::Folder;
use crate::talk;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// What the program knows while it serves.
pub(crate) struct Life {
    pub(crate) folder: Folder,
    pub(crate) port: u16,
    pub(crate) token: String,
    /// The app's virtual path without its last slash: `/app`, or nothing for a root.
    pub(crate) base: String,
    pub(crate) manner: Manner,
    state: Mutex<State>,
    changed: Condvar,
}

/// What the program does when it is asked to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 202 and a clean end.
    Polite,
    /// 404; SIGTERM ends it.
    Deaf,
    /// 404, and signals are ignored.
    Stubborn,
    /// 202; the end waits for a gate.
    Slow(String),
}

#[derive(Default)]
struct State {
    requests: usize,
    stopping: bool,
}

/// A request in progress; ends on drop.
pub(crate) struct Work<'a>(&'a Life);

/// Runs the program.
pub(crate) fn live() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let folder = match Folder::open() {
        Ok(folder) => folder,
        Err(error) => return complain(&format!("probe: PROBE_FOLDER: {error}")),
    };
    let (first, rest) = words.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let one = rest.first().copied().unwrap_or_default();
    let mut manner = Manner::Polite;
    let mut off_by = 0;
    match first {
        "exit" => {
            say(&rest.get(1..).unwrap_or_default().join(" "));
            return ExitCode::from(one.parse().unwrap_or(1));
        }
        "never" => folder.wait("never"),
        "gate" => folder.wait(one),
        "wrong-port" => off_by = 1,
        "flood" => {
            let _ = std::io::copy(
                &mut std::io::Read::take(std::io::repeat(b'x'), one.parse().unwrap_or(0)),
                &mut std::io::stdout(),
            );
            return ExitCode::from(9);
        }
        "lines" => (1..=one.parse().unwrap_or(0u64)).for_each(|n| say(&format!("line {n}"))),
        "child" | "orphan" => return delegate(first == "child"),
        "stubborn" => manner = Manner::Stubborn,
        "deaf" => manner = Manner::Deaf,
        "slow-stop" => manner = Manner::Slow(one.to_owned()),
        _ => {}
    }
    match serve(folder, manner, off_by) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("probe: {error}")),
    }
}

/// Lets a child of ours listen.
fn delegate(wait: bool) -> ExitCode {
    let child = std::env::current_exe().and_then(|program| Command::new(program).arg("serve").spawn());
    match child {
        Ok(mut child) if wait => match child.wait() {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            other => complain(&format!("probe: my child ended: {other:?}")),
        },
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("probe: {error}")),
    }
}

fn serve(folder: Folder, manner: Manner, off_by: u16) -> std::io::Result<()> {
    let read = |a: &str, b: &str| std::env::var(a).or_else(|_| std::env::var(b)).unwrap_or_default();
    let port: u16 = read("ASPNETCORE_PORT", "HTTP_PLATFORM_PORT").parse().map_err(std::io::Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port + off_by))?;
    say(&format!("probe: start {} listens at {}", folder.start(), port + off_by));
    let life = Arc::new(Life {
        folder,
        port,
        token: read("ASPNETCORE_TOKEN", "HTTP_PLATFORM_TOKEN"),
        base: read("ASPNETCORE_APPL_PATH", "").trim_end_matches('/').to_owned(),
        manner,
        state: Mutex::default(),
        changed: Condvar::new(),
    });
    let signals = Arc::clone(&life);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut terminate = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    std::thread::spawn(move || {
        while runtime.block_on(terminate.recv()).is_some() {
            say("probe: SIGTERM");
            // A mark tells the test that the signal came.
            let _ = signals.folder.mark("sigterm");
            signals.stop();
        }
    });
    let accepting = Arc::clone(&life);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let life = Arc::clone(&accepting);
            // A broken connection is what many tests are about.
            std::thread::spawn(move || drop(talk::talk(stream, &life)));
        }
    });
    life.wait_for_end();
    say("probe: stopped");
    Ok(())
}

impl Life {
    /// Begins a request.
    pub(crate) fn begin(&self) -> Work<'_> {
        self.change(|state| state.requests += 1);
        Work(self)
    }

    /// Stops after what has begun, unless this is a stubborn one.
    pub(crate) fn stop(&self) {
        if self.manner != Manner::Stubborn {
            self.change(|state| state.stopping = true);
        }
    }

    fn wait_for_end(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(state, |state| !state.stopping || state.requests > 0));
        if let Manner::Slow(gate) = &self.manner {
            self.folder.wait(gate);
        }
    }

    fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.requests -= 1);
    }
}

fn say(line: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{line}");
    ExitCode::FAILURE
}
