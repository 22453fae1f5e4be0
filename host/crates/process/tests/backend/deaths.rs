//! Deaths of the host, in each phase of an application's life and together with
//! parts of its keepers: nothing of the tree is left a second later.

use crate::cgroup::group;
use crate::harness::{PATIENCE, PROBE, alive, eventually};
use crate::spare::{children, comm, complete, stat};
use crate::tree::{kill, send};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// What the host is at when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was started, a keeper waits.
    Waiting,
    /// The application runs and does not listen yet.
    Proving,
    /// It takes requests.
    Serving,
    /// It has a successor, and finishes a request.
    Draining,
    /// It was asked to end, and ignores that.
    Stopping,
}

/// Who is killed at the same moment.
#[derive(Clone, Copy, Debug)]
enum Victims {
    Host,
    /// With the first process of each keeper, the waiting one included.
    HostAndWardens,
    /// With the second process of each keeper, and the waiting one's.
    HostAndKeepers,
}

impl Victims {
    fn of(self, host: u32) -> Vec<u32> {
        let wardens = children(host, "gatelodge-ward");
        let below = |name| wardens.iter().flat_map(move |warden| children(*warden, name));
        let others: Vec<u32> = match self {
            Self::Host => Vec::new(),
            Self::HostAndWardens => wardens.clone(),
            Self::HostAndKeepers => below("gatelodge-keep").chain(below("gatelodge-spare")).collect(),
        };
        std::iter::once(host).chain(others).collect()
    }
}

/// A host in a process of its own.
struct Host {
    process: Child,
    told: BufReader<ChildStdout>,
    dir: tempfile::TempDir,
}

impl Host {
    /// An application that ignores SIGTERM and has a descendant which left its parent,
    /// its group and its session; that one listens.
    fn start(phase: Phase, grouped: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let record = format!("record={}", dir.path().join("record").display());
        let listens = if phase == Phase::Proving { "+never" } else { "" };
        let arguments = format!(
            "arguments={record} never ignore-term \
             child={record},setsid,exit=0,child={record}+setsid+stop=404+ignore-term{listens}"
        );
        let mut process = Command::new(PROBE);
        process.args(["host", &format!("root={}", dir.path().display()), &arguments]).stdout(Stdio::piped());
        match phase {
            Phase::Waiting => process.arg("idle"),
            Phase::Proving | Phase::Serving => &mut process,
            Phase::Draining => process.args(["busy", "replace=1"]),
            Phase::Stopping => process.arg("stop-when-ready"),
        };
        if !grouped {
            process.env("GATELODGE_CGROUP", "off");
        }
        let mut process = process.spawn().unwrap();
        let told = BufReader::new(process.stdout.take().unwrap());
        Self { process, told, dir }
    }

    fn record(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("record")).unwrap_or_default()
    }

    /// Waits until the host says so. A start that fails says why.
    fn line(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "the host never said {start:?}");
            assert!(!line.starts_with("failed") && !line.starts_with("not"), "{line}");
        }
    }

    /// Waits for the phase, and until all of the application runs that is to run.
    async fn reach(&mut self, phase: Phase) {
        let id = self.process.id();
        match phase {
            Phase::Waiting => eventually("a keeper waits", PATIENCE, || complete(id).is_some()).await,
            Phase::Proving | Phase::Stopping => {}
            Phase::Serving => self.line("ready"),
            Phase::Draining => self.line("replaced"),
        }
        let processes = match phase {
            Phase::Waiting => 0,
            Phase::Draining => 6,
            _ => 3,
        };
        let runs = || self.record().lines().filter(|line| line.starts_with("cwd ")).count() == processes;
        eventually("the application runs", PATIENCE, runs).await;
        if phase == Phase::Stopping {
            eventually("it is asked to end", PATIENCE, || self.record().contains("\nterm\n")).await;
        }
    }
}

/// All that live below a process.
fn family(of: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let all: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let living = |pid| stat(pid).filter(|(state, ..)| *state != 'Z').map(|(_, parent, _)| (pid, parent));
    let parents: Vec<(u32, u32)> = all.into_iter().filter_map(living).collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(ancestor) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, parent)| *parent == ancestor).map(|(pid, _)| *pid));
        next += 1;
    }
    found.remove(0);
    found
}

async fn die(phase: Phase, victims: Victims, grouped: bool) {
    let case = format!("{phase:?}, {victims:?}, grouped: {grouped}");
    let mut host = Host::start(phase, grouped);
    host.reach(phase).await;
    let id = host.process.id();
    // Stopped, nobody can act between the signals.
    send(id, Signal::STOP);
    let victims = victims.of(id);
    victims.iter().for_each(|victim| send(*victim, Signal::STOP));
    let family = family(id);
    let groups: Vec<PathBuf> = family.iter().filter_map(|pid| group(*pid)).collect();
    // Two processes of a keeper at least.
    assert!(family.len() >= 2 && family.iter().all(|pid| alive(*pid)), "{case}");
    victims.iter().for_each(|victim| kill(*victim));
    let died = Instant::now();
    host.process.wait().unwrap();
    // The dead whom nobody but the system's first process can await are in its hands.
    let buried = |pid: u32| stat(pid).is_none_or(|(state, parent, _)| state == 'Z' && parent == 1);
    let left = || family.iter().copied().filter(|pid| !buried(*pid)).collect::<Vec<u32>>();
    while !left().is_empty() || groups.iter().any(|group| group.exists()) {
        let names: Vec<_> = left().into_iter().map(|pid| (pid, comm(pid), stat(pid))).collect();
        assert!(died.elapsed() < SECOND, "{case}: left of {family:?} and {groups:?}: {names:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nothing_survives_a_dead_host_in_any_phase() {
    for phase in [Phase::Waiting, Phase::Proving, Phase::Serving, Phase::Draining, Phase::Stopping] {
        for grouped in [true, false] {
            die(phase, Victims::Host, grouped).await;
        }
    }
}

/// The host and one process of every keeper: the other one ends what they kept.
#[tokio::test]
async fn nothing_survives_host_and_keeper_killed_together() {
    for phase in [Phase::Waiting, Phase::Proving, Phase::Serving, Phase::Draining, Phase::Stopping] {
        for grouped in [true, false] {
            for victims in [Victims::HostAndWardens, Victims::HostAndKeepers] {
                die(phase, victims, grouped).await;
            }
        }
    }
}
