//! The keeper that waits for the next start.

use crate::harness::{House, PATIENCE, eventually};
use crate::tree::{kill, parent, send};
use gatelodge_process::Event;
use rustix::process::Signal;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Children of this name.
pub(crate) fn children(of: u32, name: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| comm(*pid) == name && stat(*pid).is_some_and(|(_, parent, _)| parent == of)).collect()
}

/// Keepers (below their wardens) and stages (below their keepers) that wait for a start.
fn waiting(of: u32) -> Vec<u32> {
    children(of, "gatelodge-spare")
}

/// The keeper below a warden of this host that waits, with its stage: it is complete.
pub(crate) fn complete(host: u32) -> Option<u32> {
    let keepers = children(host, "gatelodge-ward").into_iter().flat_map(waiting);
    keepers.into_iter().find(|keeper| !waiting(*keeper).is_empty())
}

pub(crate) fn comm(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// State, parent, and start in ticks since boot.
pub(crate) fn stat(pid: u32) -> Option<(char, u32, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// The house's own spare, known by the executable that only it is made from.
async fn spare(house: &House) -> u32 {
    let own = house.dir.path().join("keeper");
    let find = || {
        let keepers = children(std::process::id(), "gatelodge-ward").into_iter().flat_map(waiting);
        // With its stage waiting it is complete.
        keepers.into_iter().find(|pid| executable(*pid) == own && !waiting(*pid).is_empty())
    };
    let found = std::cell::Cell::new(None);
    eventually("a spare waits", PATIENCE, || {
        found.set(find());
        found.get().is_some()
    })
    .await;
    found.get().unwrap()
}

fn executable(pid: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default()
}

/// A house with a keeper's executable of its own.
fn house(words: &str) -> House {
    House::with(words, |s| {
        s.keeper = s.root.join("keeper");
        std::fs::copy(crate::harness::PROBE, &s.keeper).unwrap();
    })
}

#[tokio::test]
async fn each_start_uses_the_keeper_that_waited_for_it() {
    let mut house = house("");
    let mut before = 0;
    for _ in 0..3 {
        let spare = spare(&house).await;
        assert_ne!(spare, before);
        house.up().await;
        let (pid, _) = house.pids();
        assert_eq!(parent(pid), spare);
        assert_eq!(comm(spare), "gatelodge-keep");
        kill(pid);
        house.idle().await;
        before = spare;
    }
    house.stop().await;
}

#[tokio::test]
async fn all_instances_of_an_idle_app_find_a_keeper_and_one_waits_from_then_on() {
    let mut house = House::with("", |s| {
        s.keeper = s.root.join("keeper");
        s.instances = 3;
        std::fs::copy(crate::harness::PROBE, &s.keeper).unwrap();
    });
    let own = house.dir.path().join("keeper");
    let complete = || -> Vec<u32> {
        let keepers = children(std::process::id(), "gatelodge-ward").into_iter().flat_map(waiting);
        keepers.filter(|pid| executable(*pid) == own && !waiting(*pid).is_empty()).collect()
    };
    eventually("one for each", PATIENCE, || complete().len() == 3).await;
    let mut before = complete();
    before.sort_unstable();
    house.signal(wire::ports::BackendSignal::Wake).await;
    house.ready(3).await;
    let mut keepers: Vec<u32> = (1..=3).map(|start| parent(house.pid_of(start))).collect();
    keepers.sort_unstable();
    assert_eq!(keepers, before);
    eventually("one waits", PATIENCE, || complete().len() == 1).await;
    house.stop().await;
}

#[tokio::test]
async fn a_spare_that_died_is_replaced_and_never_waited_for() {
    let mut house = house("");
    let first = spare(&house).await;
    kill(first);
    // At once: another keeper is started for it.
    house.up().await;
    assert_ne!(parent(house.pids().0), first);
    // One without its stage is of no use, and ends by itself.
    let second = spare(&house).await;
    waiting(second).into_iter().for_each(kill);
    let entry = PathBuf::from(format!("/proc/{second}"));
    eventually("it ended, and was waited for", PATIENCE, || !entry.exists()).await;
    assert_ne!(spare(&house).await, second);
    house.stop().await;
}

#[tokio::test]
async fn a_stopped_supervisor_leaves_no_spare() {
    let mut house = house("");
    let spare = spare(&house).await;
    let [stage] = waiting(spare).try_into().unwrap();
    house.stop().await;
    for pid in [spare, stage] {
        let entry = PathBuf::from(format!("/proc/{pid}"));
        eventually("nor its stage", SECOND, || !entry.exists()).await;
    }
}

#[tokio::test]
async fn a_spare_made_for_other_settings_is_not_used() {
    let mut house = house("");
    let first = spare(&house).await;
    let mut settings = crate::harness::settings(house.dir.path(), "");
    settings.keeper = house.dir.path().join("keeper");
    settings.console_redirection = false;
    house.up().await;
    assert_eq!(parent(house.pids().0), first);
    let second = spare(&house).await;
    house.control.replace(Some(settings), gatelodge_process::Why::Asked).await.unwrap();
    let keeper = parent(house.pids().0);
    assert_ne!(keeper, second);
    eventually("it is gone", PATIENCE, || comm(second).is_empty()).await;
    // From now on they are made for these.
    let third = spare(&house).await;
    house.control.replace(None, gatelodge_process::Why::Asked).await.unwrap();
    assert_eq!(parent(house.pids().0), third);
    house.stop().await;
}

#[tokio::test]
async fn a_stage_that_is_lost_with_its_order_is_told_and_no_exit_of_the_app() {
    let mut house = house("");
    let spare = spare(&house).await;
    let [stage] = waiting(spare).try_into().unwrap();
    // Stopped, it can't become the application before it is killed.
    send(stage, Signal::STOP);
    house.signal(wire::ports::BackendSignal::Wake).await;
    eventually("the keeper has the order", PATIENCE, || comm(spare) == "gatelodge-keep").await;
    kill(stage);
    // The second attempt has another keeper.
    house.up().await;
    let events = house.events.lock().unwrap().clone();
    let failed: Vec<_> = events.iter().filter(|event| matches!(event, Event::AttemptFailed { .. })).collect();
    let [Event::AttemptFailed { summary, retry: true, .. }] = failed.as_slice() else { panic!("{events:?}") };
    let words = "the process that was to become the program ended with signal 9";
    assert!(summary.contains(words), "{summary}");
    house.stop().await;
}

/// A stage as a keeper would start it, told that its keeper is `keeper`; what it said
/// until its end, and how it ended.
fn stage(keeper: u32, order: &[u8]) -> (Vec<u8>, Option<i32>) {
    let (mut control, theirs) = UnixStream::pair().unwrap();
    let mut stage = std::process::Command::new(crate::harness::PROBE)
        .args([gatelodge_process::KEEPER_ARGUMENT, "execute", &keeper.to_string()])
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    // One that refuses before it reads may be gone already.
    let _ = control.write_all(order).and_then(|()| control.shutdown(std::net::Shutdown::Write));
    let mut said = Vec::new();
    let _ = control.read_to_end(&mut said);
    (said, stage.wait().unwrap().code())
}

#[test]
fn a_stage_says_why_it_does_not_become_the_app() {
    const TIE: u8 = 9;
    const ORDER: u8 = 13;
    let verdict =
        |step: u8, errno: rustix::io::Errno| [[step].as_slice(), &errno.raw_os_error().to_le_bytes()].concat();
    // The first process of the system is not its parent.
    assert_eq!(stage(1, b""), (verdict(TIE, rustix::io::Errno::SRCH), Some(1)));
    // An order that is cut short, and one that can't be understood.
    for order in [b"\x08\0\0\0cut".as_slice(), b"\x04\0\0\0\xff\xff\xff\xff"] {
        assert_eq!(stage(std::process::id(), order), (verdict(ORDER, rustix::io::Errno::BADMSG), Some(1)), "{order:?}");
    }
}
