//! The folder shared with the test.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Bytes of one connection that are logged.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// A handle to the folder.
pub(crate) struct Folder {
    path: PathBuf,
    start: u32,
    connections: AtomicU32,
    seen: std::fs::File,
    log_bytes_max: u64,
}

/// The log of one connection.
pub(crate) struct Log {
    file: Option<std::fs::File>,
    left: u64,
}

impl Folder {
    /// Opens the folder that the environment names, and records this start in it.
    pub(crate) fn open() -> std::io::Result<Self> {
        let path = std::env::var_os("PROBE_FOLDER").map(PathBuf::from).ok_or(std::io::ErrorKind::NotFound)?;
        let env: Vec<String> =
            std::env::vars_os().map(|(n, v)| format!("{}={}", n.to_string_lossy(), v.to_string_lossy())).collect();
        let argv: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let cwd = std::env::current_dir()?.to_string_lossy().into_owned();
        let record = serde_json::json!({ "pid": std::process::id(), "argv": argv, "cwd": cwd, "env": env });
        let draft = path.join(format!(".start-{}", std::process::id()));
        std::fs::write(&draft, record.to_string())?;
        // A link is made whole or not at all: two starts never share a number.
        let start = (1..10_000u32).find(|n| std::fs::hard_link(&draft, path.join(format!("start-{n:04}"))).is_ok());
        std::fs::remove_file(&draft)?;
        let start = start.ok_or(std::io::ErrorKind::AlreadyExists)?;
        // Each line is one write to the end: those of several processes never mix.
        let seen = std::fs::OpenOptions::new().append(true).create(true).open(path.join("seen"))?;
        // Under load nobody wants to read what came, byte by byte.
        let log_bytes_max = if std::env::var_os("PROBE_SILENT").is_some() { 0 } else { LOG_BYTES_MAX };
        Ok(Self { path, start, connections: AtomicU32::new(0), seen, log_bytes_max })
    }

    /// Number of this start, from 1.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }

    /// The lines of a script.
    pub(crate) fn script(&self, name: &str) -> Option<Vec<String>> {
        let text = std::fs::read_to_string(self.path.join(format!("script-{name}"))).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Waits until the test opens a gate.
    pub(crate) fn wait(&self, gate: &str) {
        let path = self.path.join(format!("gate-{gate}"));
        // A test that fails takes the folder away: that ends the waiting too.
        while !path.exists() && self.path.exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sets a mark for the test to see.
    pub(crate) fn mark(&self, mark: &str) -> std::io::Result<()> {
        std::fs::write(self.path.join(format!("gate-{mark}")), "")
    }

    /// Writes down that the head of the request of this name has come.
    pub(crate) fn saw(&self, name: &str) -> std::io::Result<()> {
        (&self.seen).write_all(format!("{name} {} {}\n", self.start, std::process::id()).as_bytes())
    }

    /// A log for the next connection.
    pub(crate) fn log(&self) -> Log {
        if self.log_bytes_max == 0 {
            return Log { file: None, left: 0 };
        }
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("conn-{:04}-{number:04}", self.start));
        Log { file: std::fs::File::create(path).ok(), left: self.log_bytes_max }
    }
}

impl Log {
    /// Writes bytes as they came.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let now = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if let (Some(file), Some(bytes)) = (&mut self.file, bytes.get(..now)) {
            // The folder may be gone with its test.
            let _ = file.write_all(bytes);
        }
        self.left -= now as u64;
    }
}
