//! The host's binary, started for one test.

use crate::client::{Client, Transcript};
use crate::site::Site;
use crate::tree::{self, Footprint, Process};
use crate::wait::{SOON, until};
use rustix::process::Signal;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A running host. Killed when the test forgets it.
pub struct Host {
    child: Child,
    addr: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    transcript: Transcript,
    app: PathBuf,
}

/// What is left of a host that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to standard error.
    pub log: String,
}

/// How to start a host.
pub struct Launch<'a> {
    site: &'a Site,
    args: Vec<String>,
    env: Vec<(String, String)>,
    listen: &'a str,
    through: Vec<String>,
    patience: Duration,
}

impl<'a> Launch<'a> {
    /// `gatelodge run` on a site, on a free port.
    #[must_use]
    pub fn new(site: &'a Site) -> Self {
        let (args, env, through) = (Vec::new(), Vec::new(), Vec::new());
        Self { site, args, env, listen: "http://127.0.0.1:0", through, patience: SOON }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// Sets a variable of the host's own environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the host by another program, which becomes the host.
    #[must_use]
    pub fn through(mut self, program: &[&str]) -> Self {
        self.through.extend(program.iter().map(|&word| word.to_owned()));
        self
    }

    /// Takes so much time to listen at most, in place of the usual.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Listens elsewhere.
    #[must_use]
    pub fn listen(mut self, url: &'a str) -> Self {
        self.listen = url;
        self
    }

    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(self) -> Host {
        let app = self.site.app();
        let mut child = self.command("run").spawn().expect("the host's binary can be started");
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stderr.take().expect("standard error is piped"), &lines);
        let mut host = Host { child, addr: ([0, 0, 0, 0], 0).into(), lines, transcript: Transcript::default(), app };
        host.addr = until(self.patience, "the line `listening on`", || {
            let line = host.find_line("listening on ");
            assert!(line.is_some() || host.exit_code().is_none(), "the host ended early:\n{}", host.log());
            line.map(|line| parse_addr(&line))
        });
        host
    }

    /// Runs it to its end: for what must be refused.
    #[must_use]
    pub fn refused(self) -> Ended {
        self.output("run")
    }

    /// Runs `gatelodge check` on the site.
    #[must_use]
    pub fn check(self) -> Ended {
        self.output("check")
    }

    fn output(self, verb: &str) -> Ended {
        run_to_end(self.command(verb), verb)
    }

    fn command(&self, verb: &str) -> Command {
        let mut words = self.through.iter().map(OsString::from).collect::<Vec<_>>();
        words.push(binary().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(verb).arg(self.site.app());
        if verb == "run" {
            command.args(["--listen", self.listen]);
        }
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // What the developer's shell happens to hold must not reach the tests.
        for name in ["ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT", "ASPNETCORE_URLS", "ASPNETCORE_PORT"] {
            command.env_remove(name);
        }
        // Compiled plugins are kept for all tests together, apart from what a real host keeps.
        command.env("CACHE_DIRECTORY", binary().with_file_name("e2e-plugin-cache"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn run_to_end(mut command: Command, verb: &str) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the host's binary can be started");
    let pid = child.id();
    let waiter = std::thread::spawn(move || child.wait_with_output());
    let end = Instant::now() + SOON * 3;
    while !waiter.is_finished() {
        if Instant::now() > end {
            tree::signal_pid(pid, Signal::KILL);
            panic!("`gatelodge {verb}` did not end in {:?}", SOON * 3);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = waiter.join().expect("waiting does not panic").expect("the child is ours");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), log: text(&output.stdout) + &text(&output.stderr) }
}

impl Host {
    /// Starts `gatelodge run` on a site.
    #[must_use]
    pub fn start(site: &Site) -> Self {
        Launch::new(site).start()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_at(self.addr)
    }

    /// A new connection to another of its addresses.
    #[must_use]
    pub fn client_at(&self, addr: SocketAddr) -> Client {
        Client::connect(addr, Arc::clone(&self.transcript))
    }

    /// All it wrote to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits for a line of the log that holds `text`, and gives it.
    #[must_use]
    pub fn wait_line(&self, text: &str) -> String {
        until(SOON, &format!("a log line with {text:?}"), || self.find_line(text))
    }

    fn find_line(&self, text: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(text)).cloned()
    }

    fn exit_code(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().expect("the host is our child").map(|status| status.code())
    }

    /// Everything that it and its backends run.
    #[must_use]
    pub fn descendants(&self) -> Vec<Process> {
        tree::descendants(self.pid())
    }

    /// What it holds now.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint::of(self.pid())
    }

    /// A line of `/proc/PID/status`, in bytes: `VmRSS`, `VmHWM`.
    #[must_use]
    pub fn memory_bytes(&self, name: &str) -> u64 {
        tree::memory_bytes(self.pid(), name).expect("the host lives")
    }

    /// Processor time of all the host's threads so far, without that of its children.
    ///
    /// # Panics
    /// If the host is gone.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the host lives");
        let spent = tasks.flatten().filter_map(|task| {
            // Nanoseconds on a processor, nanoseconds waiting for one, slices.
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Runs `gatelodge VERB APP_DIR ARGS...` beside it: `status`, `reload`, `stop`.
    #[must_use]
    pub fn order(&self, verb: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(binary());
        command.arg(verb).arg(&self.app).args(args);
        run_to_end(command, verb)
    }

    /// What `gatelodge status --format json` says.
    ///
    /// # Panics
    /// If it says nothing of the kind.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        let ended = self.order("status", &["--format", "json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        serde_json::from_str(&ended.log).unwrap_or_else(|error| panic!("{error}: {}", ended.log))
    }

    /// The metrics page, by the admin socket that its plugins.toml names.
    ///
    /// # Panics
    /// If the door does not give it.
    #[must_use]
    pub fn metrics(&self, door: &Path) -> String {
        let mut stream = UnixStream::connect(door).expect("the admin door is open");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it takes a request");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page of text");
        page
    }

    /// Asks it for a replacement, and checks that it was done.
    ///
    /// # Panics
    /// If it was not.
    pub fn reload(&self) {
        let ended = self.order("reload", &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.log);
    }

    /// Lines of the log so far that hold `text`.
    #[must_use]
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        tree::signal_pid(self.pid(), signal);
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let code = until(SOON * 2, "the host's end", || self.exit_code());
        // The reader thread sees the end of the pipe a moment later.
        let lines = Arc::clone(&self.lines);
        until(SOON, "the end of the log", || (Arc::strong_count(&lines) == 2).then_some(()));
        Ended { code, log: self.log() }
    }

    /// Asks it to stop, and checks that it did so cleanly and told no secret.
    pub fn stop(mut self, site: &Site) -> Ended {
        self.end();
        self.assert_no_token(site);
        self.wait()
    }

    /// Asks it to stop, and checks that it did so cleanly; without the search for
    /// the token of every start, which takes long after hundreds of them.
    pub fn stop_unsearched(mut self) -> Ended {
        self.end();
        self.wait()
    }

    fn end(&mut self) {
        self.signal(Signal::TERM);
        let family = self.descendants();
        let code = until(SOON * 2, "the host's end", || self.exit_code());
        assert_eq!(code, Some(0), "asked to stop, the host did not end cleanly:\n{}", self.log());
        for process in family {
            process.wait_gone(SOON);
        }
    }

    /// Looks for the token of every start in all that came out: the log, what
    /// clients received, and the files below the site.
    pub fn assert_no_token(&self, site: &Site) {
        let log = self.log();
        let transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let files = site.files();
        for start in site.probe().starts().iter().filter(|start| !start.token.is_empty()) {
            let token = start.token.as_bytes();
            assert!(!holds(log.as_bytes(), token), "the log holds the token");
            assert!(!holds(&transcript, token), "a client received the token");
            for (path, bytes) in &files {
                assert!(!holds(bytes, token), "{} holds the token", path.display());
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- log of the host on {}\n{}\n---", self.app.display(), self.log());
        }
    }
}

/// True if `bytes` hold `pattern`.
#[must_use]
pub fn holds(bytes: &[u8], pattern: &[u8]) -> bool {
    !pattern.is_empty() && bytes.windows(pattern.len()).any(|window| window == pattern)
}

/// The binary under test: `GATELODGE_BIN`, or the one that cargo builds now.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("GATELODGE_BIN") {
            return PathBuf::from(path);
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "-p", "gatelodge", "--message-format", "json"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs the tests, so it can build");
        let text = String::from_utf8_lossy(&output.stdout);
        let path = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["target"]["name"] == "gatelodge")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from));
        path.expect("cargo built the host's binary")
    })
}

fn parse_addr(line: &str) -> SocketAddr {
    let (_, url) = line.split_once("listening on http://").unwrap_or_else(|| panic!("no address: {line:?}"));
    url.trim_end_matches('/').parse().unwrap_or_else(|_| panic!("no address: {line:?}"))
}

fn collect(stderr: impl std::io::Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
