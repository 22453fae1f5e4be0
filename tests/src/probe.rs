//! The scripted backend as a test sees it: a folder that both share.
//!
//! The program (`probe-backend`) writes a record of each start and the bytes of
//! each connection into it, obeys the scripts that it finds there, and waits
//! for gates that the test opens.

use crate::tree::{self, Process};
use crate::wait::{SOON, until};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the variable that tells the program its folder.
pub const FOLDER: &str = "PROBE_FOLDER";

/// Name of the variable that keeps the program from logging what comes byte by byte.
pub const SILENT: &str = "PROBE_SILENT";

/// The folder that test and program share.
#[derive(Clone, Debug)]
pub struct Probe {
    folder: PathBuf,
}

/// One start of the program.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its process.
    pub pid: u32,
    /// The port it was told, 0 if none.
    pub port: u16,
    /// The token it was told, empty if none.
    pub token: String,
    /// Its command line, program first.
    pub argv: Vec<String>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its environment.
    pub env: BTreeMap<String, String>,
}

/// A request of a steady load, as an instance saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The request's name.
    pub name: String,
    /// Number of the program's start.
    pub start: u32,
    /// The process that read it.
    pub pid: u32,
}

impl Probe {
    /// A handle to a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a script: `GET /script/NAME` makes the program follow its lines.
    pub fn script(&self, name: &str, lines: &[&str]) {
        self.write(&format!("script-{name}"), lines.join("\n").as_bytes());
    }

    /// Writes a script that reads the request and sends these bytes.
    pub fn answer(&self, name: &str, bytes: &str) {
        self.script(name, &["read", &format!("send {}", escape(bytes))]);
    }

    /// Opens a gate: whoever waits for it goes on.
    pub fn open(&self, gate: &str) {
        self.write(&format!("gate-{gate}"), b"");
    }

    /// Waits until the program has set a mark.
    pub fn wait_mark(&self, mark: &str) {
        let path = self.folder.join(format!("gate-{mark}"));
        until(SOON, &format!("the backend's mark {mark:?}"), || path.exists().then_some(()));
    }

    /// True if the program has set a mark.
    #[must_use]
    pub fn has_mark(&self, mark: &str) -> bool {
        self.folder.join(format!("gate-{mark}")).exists()
    }

    /// All starts so far, in order.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        self.files("start-").iter().map(|path| read_start(path)).collect()
    }

    /// Waits for so many starts.
    pub fn wait_starts(&self, count: usize) -> Vec<Start> {
        until(SOON, &format!("{count} starts of the backend"), || {
            let starts = self.starts();
            (starts.len() >= count).then_some(starts)
        })
    }

    /// The only start so far.
    pub fn only_start(&self) -> Start {
        let mut starts = self.starts();
        assert_eq!(starts.len(), 1, "the backend was started more than once, or never");
        starts.remove(0)
    }

    /// Requests of a steady load whose head an instance has read, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Sight> {
        let text = std::fs::read_to_string(self.folder.join("seen")).unwrap_or_default();
        // The last line may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(read_sight).collect()
    }

    /// Every process of the machine that was started for this folder and lives,
    /// whoever its parent is now.
    #[must_use]
    pub fn alive(&self) -> Vec<Process> {
        let variable = format!("{FOLDER}={}", self.folder.display());
        let mut alive = tree::all();
        alive.retain(|process| {
            let environment = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
        });
        alive
    }

    /// The processes of the program that are there to listen, not only to start another.
    #[must_use]
    pub fn listening(&self) -> Vec<Process> {
        let mut all = self.alive();
        all.retain(|process| {
            let line = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let program = words.next().is_some_and(|program| program.ends_with(b"/probe-backend"));
            program && !words.next().is_some_and(|first| first == b"child" || first == b"orphan")
        });
        all
    }

    /// The bytes that came by each connection so far, in the order they were accepted.
    #[must_use]
    pub fn connections(&self) -> Vec<Vec<u8>> {
        self.files("conn-").iter().map(|path| std::fs::read(path).expect("the log was just listed")).collect()
    }

    /// All bytes of all connections, as text.
    #[must_use]
    pub fn everything(&self) -> String {
        self.connections().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// The head of the request for `target`, as it arrived, with its last CRLF.
    #[must_use]
    pub fn head_of(&self, target: &str) -> String {
        let everything = self.everything();
        let mark = format!(" {target} HTTP/1.1\r\n");
        let at = everything.find(&mark).unwrap_or_else(|| panic!("the backend never saw {target}: {everything:?}"));
        let start = everything[..at].rfind('\n').map_or(0, |at| at + 1);
        let end = everything[at..].find("\r\n\r\n").expect("a head that was answered is whole");
        everything[start..at + end + 2].to_owned()
    }

    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .expect("the folder lives as long as the site")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
            .collect();
        files.sort();
        files
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let draft = self.folder.join(format!(".{name}"));
        std::fs::write(&draft, bytes).expect("the folder is ours");
        std::fs::rename(&draft, self.folder.join(name)).expect("the folder is ours");
    }
}

/// Text as a `send` line of a script takes it.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\r', "\\r").replace('\n', "\\n")
}

fn read_sight(line: &str) -> Sight {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("the program writes numbers");
    Sight { name, start: number(), pid: number() }
}

fn read_start(path: &Path) -> Start {
    let text = std::fs::read_to_string(path).expect("the record was just listed");
    let record: serde_json::Value = serde_json::from_str(&text).expect("the program writes JSON");
    let strings = |key: &str| -> Vec<String> {
        let list = record[key].as_array().expect("the record has this list");
        list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let env: BTreeMap<String, String> = strings("env")
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let either = |a: &str, b: &str| env.get(a).or_else(|| env.get(b)).cloned().unwrap_or_default();
    Start {
        pid: record["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("the record has a pid"),
        port: either("ASPNETCORE_PORT", "HTTP_PLATFORM_PORT").parse().unwrap_or(0),
        token: either("ASPNETCORE_TOKEN", "HTTP_PLATFORM_TOKEN"),
        argv: strings("argv"),
        cwd: PathBuf::from(record["cwd"].as_str().unwrap_or_default()),
        env,
    }
}
