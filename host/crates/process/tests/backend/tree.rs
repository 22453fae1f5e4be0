//! Whole trees: grandchildren, other sessions, lost keepers, killed hosts.

use crate::harness::{House, PROBE, alive, eventually, get};
use rustix::process::{Pid, Signal, kill_process};
use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use wire::ports::BackendSignal;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

pub(crate) fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

pub(crate) fn parent(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_grandchild_may_listen() {
    // The parent stays, or goes into the background and leaves.
    for rest in ["never", "exit=0"] {
        let mut house = House::new(&format!("child=setsid {rest}"));
        let paired = house.up().await;
        let (pid, listening) = house.pids();
        assert_ne!(pid, listening, "{rest}");
        if rest == "exit=0" {
            eventually("the parent has left", SECOND * 5, || !alive(pid)).await;
        }
        assert!(get(&paired, "/x").await.unwrap().contains("200 OK"));

        // The listener's death is a crash, whoever else lives.
        kill(listening);
        house.idle().await;
        eventually("all gone", SECOND * 2, || !alive(pid) && !alive(listening)).await;
        house.stop().await;
        assert_eq!(house.ids(), [1001, 1030], "{rest}");
    }
}

/// The socket is never closed meanwhile, so that only a look at its holders tells.
#[tokio::test]
async fn status_follows_a_listener_that_is_handed_over() {
    for words in ["", "stay"] {
        let mut house = House::new(words);
        let paired = house.up().await;
        let (pid, listening) = house.pids();
        assert_eq!(pid, listening, "{words}");
        assert!(get(&paired, "/hand-over").await.unwrap().contains("200 OK"));
        let deadline = std::time::Instant::now() + SECOND * 5;
        let heir = loop {
            let status = house.control.status().await;
            let one = status.instances.first().unwrap_or_else(|| panic!("{words}: {status:?}"));
            assert_eq!((one.pid, one.port), (pid, paired.addr.port()), "{words}");
            if one.listening_pid != pid {
                break one.listening_pid;
            }
            assert!(std::time::Instant::now() < deadline, "{words}: {status:?}");
        };
        if words.is_empty() {
            eventually("the parent has left", SECOND * 5, || !alive(pid)).await;
        }
        assert!(get(&paired, "/x").await.unwrap().contains("200 OK"), "{words}");
        assert_eq!(house.ids(), [1001], "{words}");

        // Now its death is the crash, without anybody's asking.
        kill(heir);
        house.idle().await;
        eventually("all gone", SECOND * 2, || !alive(pid) && !alive(heir)).await;
        house.stop().await;
        assert_eq!(house.ids(), [1001, 1030], "{words}");
    }
}

#[tokio::test]
async fn the_parents_death_alone_is_no_crash() {
    let mut house = House::new("child=setsid never");
    let paired = house.up().await;
    let (pid, listening) = house.pids();
    kill(pid);
    eventually("the parent is gone", SECOND * 5, || !alive(pid)).await;
    house.signal(BackendSignal::Suspect { start: paired.start }).await;
    assert!(get(&paired, "/x").await.unwrap().contains("200 OK"));
    assert!(alive(listening));
    house.stop().await;
    assert!(!alive(listening));
    assert_eq!(house.ids(), [1001, 1006, 1030]);
}

/// The child in a session of its own, and its child in another one, which listens.
const DEEP: &str = "child=setsid,never,child=setsid never";

#[tokio::test]
async fn a_killed_keeper_takes_the_whole_tree_along() {
    let mut house = House::new(DEEP);
    house.up().await;
    let (pid, listening) = house.pids();
    let (child, keeper) = (parent(listening), parent(pid));
    assert_ne!(child, pid);
    kill(keeper);
    house.idle().await;
    for process in [pid, child, listening] {
        eventually("gone with its keeper", SECOND, || !alive(process)).await;
    }
    // And the next request starts a new one.
    house.up().await;
    house.stop().await;
}

/// A host in a process of its own; its child, and what it told.
fn host(arguments: &str, dir: &std::path::Path) -> (Child, u32, u32) {
    let mut host = Command::new(PROBE)
        .args(["host", &format!("root={}", dir.display()), &format!("arguments={arguments}")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let numbers: Vec<u32> = line.strip_prefix("ready ").expect(&line).split_whitespace().flat_map(str::parse).collect();
    let [pid, listening, ..] = numbers.as_slice() else { panic!("{line}") };
    (host, *pid, *listening)
}

/// Each death that a host may die without a word: killed, crashed, aborted, its
/// terminal gone.
#[tokio::test]
async fn nothing_survives_a_host_however_it_dies() {
    use std::os::unix::process::ExitStatusExt as _;
    for signal in [Signal::KILL, Signal::SEGV, Signal::ABORT, Signal::BUS, Signal::HUP, Signal::INT, Signal::TERM] {
        let dir = tempfile::tempdir().unwrap();
        let (mut host, pid, listening) = host(DEEP, dir.path());
        let tree = [pid, listening, parent(listening), parent(pid)];
        assert!(tree.iter().all(|p| alive(*p)));
        let group = crate::cgroup::group(pid);
        // The runtime takes the first fault that comes from outside for a mistake.
        eventually("the host is dead", SECOND * 5, || {
            let _ = kill_process(Pid::from_raw(i32::try_from(host.id()).unwrap()).unwrap(), signal);
            host.try_wait().unwrap().is_some()
        })
        .await;
        let ended = host.wait().unwrap();
        assert_eq!(ended.signal(), Some(signal.as_raw()), "{signal:?}");
        for process in tree {
            eventually("gone with its host", SECOND, || !alive(process)).await;
        }
        if let Some(group) = group {
            eventually("the group is removed", SECOND, || !group.exists()).await;
        }
    }
}

/// The keeper's first process alone: the second one ends the tree, and the host hears of it.
#[tokio::test]
async fn a_killed_warden_takes_the_whole_tree_along() {
    let mut house = House::new(DEEP);
    house.up().await;
    let (pid, listening) = house.pids();
    let (child, keeper) = (parent(listening), parent(pid));
    kill(parent(keeper));
    house.idle().await;
    for process in [pid, child, listening, keeper] {
        eventually("gone with its warden", SECOND, || !alive(process)).await;
    }
    house.up().await;
    house.stop().await;
}

/// A child that leaves the process group only, in the same session.
#[tokio::test]
async fn a_child_that_left_its_group_is_ended_with_the_rest() {
    let mut house = House::new("child=setpgid never");
    house.up().await;
    let (pid, listening) = house.pids();
    let group_of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().parse::<u32>().unwrap()
    };
    assert_eq!((group_of(pid), group_of(listening)), (pid, listening));
    house.stop().await;
    assert!(!alive(pid) && !alive(listening));
}

#[tokio::test]
async fn the_app_dies_with_its_keeper_while_the_host_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let (mut host, pid, _) = host("", dir.path());
    send(host.id(), Signal::STOP);
    kill(parent(pid));
    eventually("gone with its keeper", SECOND, || !alive(pid)).await;
    host.kill().unwrap();
    host.wait().unwrap();
}

#[tokio::test]
async fn orphans_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orphan");
    // A child that leaves its own child behind, which ends a little later.
    let words = format!("child=child=record={}+delay-ms=100+exit=0,exit=0", file.display());
    let mut house = House::new(&words);
    house.up().await;
    let recorded = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("the orphan runs", SECOND * 5, || recorded().contains("\ncwd ")).await;
    let pid: u32 = recorded().lines().next().unwrap().strip_prefix("pid ").unwrap().parse().unwrap();
    let entry = std::path::PathBuf::from(format!("/proc/{pid}"));
    eventually("not even its entry is left", SECOND * 5, || !entry.exists()).await;
    house.stop().await;
}

#[tokio::test]
async fn no_command_line_shows_the_token() {
    let mut house = House::new("");
    let paired = house.up().await;
    let token = String::from_utf8(paired.token.reveal().to_vec()).unwrap();
    let (pid, _) = house.pids();
    for process in [pid, parent(pid)] {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap();
        assert!(!line.is_empty() && !String::from_utf8_lossy(&line).contains(&token));
    }
    // Nor does the keeper's environment: it has none.
    assert!(std::fs::read(format!("/proc/{}/environ", parent(pid))).unwrap().is_empty());
    house.stop().await;
}

#[tokio::test]
async fn a_launcher_that_outlives_its_listener_is_asked_too() {
    let mut house = House::new("child=setsid never");
    house.up().await;
    let report = house.stop().await;
    assert!(report.elapsed < SECOND * 5, "{:?}", report.elapsed);
    assert_eq!(report.outcome, gatelodge_process::StopOutcome::Ended(gatelodge_process::Ended::Signal(15)));
    assert_eq!(house.ids(), [1001, 1006, 1030]);
}

#[tokio::test]
async fn no_zombie_is_left() {
    let mut house = House::new("child=exit=0,x never");
    house.signal(BackendSignal::Wake).await;
    let record = house.dir.path().join("record");
    eventually("it runs", SECOND * 5, || std::fs::read_to_string(&record).is_ok_and(|r| r.starts_with("pid "))).await;
    let keeper = parent(house.record().all("pid").first().unwrap().parse().unwrap());
    house.stop().await;
    // The keeper is waited for: not even its entry stays.
    let entry = std::path::PathBuf::from(format!("/proc/{keeper}"));
    eventually("the keeper's entry is gone", SECOND * 2, || !entry.exists()).await;
}
