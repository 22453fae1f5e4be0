//! Trees that want to get away, with a control group and without.

use crate::harness::{House, PATIENCE, alive, eventually};
use gatelodge_process::Settings;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The settings of both ways: as the system allows, and without a group.
fn way(settings: &mut Settings, grouped: bool) {
    if !grouped {
        settings.inherited.push(("GATELODGE_CGROUP".into(), "off".into()));
    }
}

/// The application's own group, if it has one.
pub(crate) fn group(pid: u32) -> Option<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let point = mount.split(' ').nth(4).unwrap();
    let group = PathBuf::from(format!("{point}{path}"));
    group.file_name()?.to_str()?.starts_with("gatelodge-").then_some(group)
}

/// Whether this system lets us make groups at all.
fn possible() -> bool {
    let Some(parent) = parent() else { return false };
    let probe = parent.join(format!("test-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir(&probe).is_ok_and(|()| std::fs::remove_dir(&probe).is_ok())
}

/// The test's own group.
fn parent() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let point = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?.to_owned();
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
    Some(Path::new(&point).join(own.trim_start_matches('/')))
}

#[tokio::test]
async fn an_application_has_a_group_while_it_lives() {
    for grouped in [true, false] {
        let mut house = House::with("", |s| way(s, grouped));
        house.up().await;
        let (pid, _) = house.pids();
        let found = group(pid);
        assert_eq!(found.is_some(), grouped && possible());
        // The keeper stays outside.
        assert_eq!(group(crate::tree::parent(pid)), None);
        house.stop().await;
        if let Some(found) = found {
            eventually("the group is removed", SECOND, || !found.exists()).await;
        }
    }
}

/// Shell words for processes that write their numbers and stay: a fork, a double
/// fork, a session of its own, one that ignores SIGTERM, and 200 at once.
const RUNAWAYS: &str = "
    note='echo $$ >> pids; exec sleep 600'
    sh -c \"$note\" &
    (sh -c \"$note\" &)
    setsid sh -c \"$note\" &
    (setsid setsid sh -c \"trap '' TERM HUP; $note\" &)
    sh -c \"trap '' TERM; $note\" &
    i=0; while [ $i -lt 200 ]; do sh -c \"$note\" & i=$((i+1)); done
";

/// A house whose application lets runaways loose and then becomes the probe.
fn wild(words: &str, grouped: bool) -> House {
    use std::os::unix::fs::PermissionsExt as _;
    House::with(words, |s| {
        way(s, grouped);
        let file = s.root.join("wild");
        let probe = crate::harness::PROBE;
        std::fs::write(&file, format!("#!/bin/sh\n{RUNAWAYS}\nexec {probe} \"$@\"\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        s.process_path = "wild".into();
        s.shutdown_limit = Duration::from_millis(300);
    })
}

/// The numbers of all runaways, once all have written theirs.
async fn runaways(dir: &Path) -> Vec<u32> {
    let read = || -> Vec<u32> {
        let text = std::fs::read_to_string(dir.join("pids")).unwrap_or_default();
        text.lines().flat_map(str::parse).collect()
    };
    eventually("all run", PATIENCE, || read().len() == 205).await;
    read()
}

#[tokio::test]
async fn no_runaway_outlives_a_stop_at_the_limit() {
    for grouped in [true, false] {
        let mut house = wild("stop=silent ignore-term", grouped);
        house.up().await;
        let (pid, _) = house.pids();
        let all = runaways(house.dir.path()).await;
        assert!(all.iter().all(|pid| alive(*pid)));
        let keeper = crate::tree::parent(pid);
        let report = house.stop().await;
        assert_eq!(report.outcome, gatelodge_process::StopOutcome::Killed);
        let left: Vec<_> = all.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        assert!(left.is_empty(), "grouped: {grouped}, left, as zombies or alive: {left:?}");
        let entry = PathBuf::from(format!("/proc/{keeper}"));
        eventually("nor its keeper", SECOND, || !entry.exists()).await;
    }
}

#[tokio::test]
async fn no_runaway_outlives_a_killed_keeper() {
    for grouped in [true, false] {
        let mut house = wild("", grouped);
        house.up().await;
        let (pid, _) = house.pids();
        let all = runaways(house.dir.path()).await;
        let found = group(pid);
        crate::tree::kill(crate::tree::parent(pid));
        eventually("all gone", SECOND, || !all.iter().any(|pid| alive(*pid))).await;
        if let Some(found) = found {
            eventually("the group is removed", SECOND, || !found.exists()).await;
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn a_dead_hosts_group_is_ended_by_the_next_host() {
    if !possible() {
        return;
    }
    let mut dead = Command::new("true").spawn().unwrap();
    let pid = dead.id();
    dead.wait().unwrap();
    let stale = parent().unwrap().join(format!("gatelodge-{pid}-00000000000000aa"));
    let mut left = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    // The keeper of another test may end the group while it is still empty.
    let fill = || std::fs::write(stale.join("cgroup.procs"), left.id().to_string());
    eventually("the group is filled", PATIENCE, || {
        // It may stand from the last round.
        let _ = std::fs::create_dir(&stale);
        fill().is_ok()
    })
    .await;
    let mut house = House::new("");
    house.up().await;
    eventually("the group is removed", SECOND * 5, || !stale.exists()).await;
    // A killed one, not one that has run its time.
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(left.wait().unwrap().signal(), Some(9));
    house.stop().await;
}
