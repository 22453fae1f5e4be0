//! Several instances, idleness, recycling, offline, status.

use crate::harness::{House, PATIENCE, PROBE, alive, eventually, get};
use bytes::Bytes;
use gatelodge_process::{AppState, Event, InstanceState, StartMode, StopOutcome, Why};
use rustix::process::{Pid, Signal, kill_process};
use std::io::BufRead as _;
use std::time::Duration;
use wire::ports::{BackendSignal, BackendState};

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn one_crash_among_three_is_made_good_at_once() {
    let mut house = House::with("", |s| s.instances = 3);
    house.up().await;
    let three = house.ready(3).await;
    let victim = three.get(1).unwrap();
    let pid = house.pid_of(victim.start);
    send(pid, Signal::KILL);
    let left = house.ready(2).await;
    assert!(left.iter().all(|i| i.start != victim.start));
    let again = house.ready(3).await;
    assert_eq!(again.iter().filter(|i| three.iter().any(|old| old.start == i.start)).count(), 2);
    for instance in &again {
        assert!(get(instance, "/x").await.unwrap().contains("200 OK"));
    }
    house.stop().await;
}

#[tokio::test]
async fn several_are_stopped_at_the_same_time() {
    let limit = Duration::from_secs(1);
    let mut house = House::with("ignore-term stop=silent", |s| {
        s.instances = 3;
        s.shutdown_limit = limit;
    });
    house.up().await;
    house.ready(3).await;
    let report = house.stop().await;
    assert_eq!(report.outcome, StopOutcome::Killed);
    assert!((limit..limit * 5 / 2).contains(&report.elapsed), "{:?}", report.elapsed);
}

#[tokio::test]
async fn nobody_asks_and_it_sleeps_until_somebody_does() {
    let mut house = House::with("", |s| s.idle_limit = Some(Duration::from_millis(300)));
    let first = house.up().await;
    // A request that runs keeps it awake: three times the limit.
    let request = first.load.begin().unwrap();
    let slept = tokio::time::timeout(Duration::from_millis(900), house.idle()).await;
    assert!(slept.is_err(), "it fell asleep over a request");
    assert!(!first.load.is_retired());
    drop(request);
    house.idle().await;
    assert!(first.load.begin().is_none(), "whoever comes now has to wake it");
    let pid = house.pid_of(1);
    assert_eq!(house.up().await.start, 2);
    eventually("the old one is gone", PATIENCE, || !alive(pid)).await;
    assert_eq!(house.count(|e| matches!(e, Event::IdleStop { .. })), 1);
    house.stop().await;
}

#[tokio::test]
async fn always_starts_at_once_and_after_a_crash() {
    let mut house = House::with("", |s| s.start_mode = StartMode::Always);
    let first = house.ready_after(0).await;
    send(house.pid_of(first.start), Signal::KILL);
    house.ready_after(first.start).await;
    house.stop().await;
}

#[tokio::test]
async fn requests_age_and_memory_recycle() {
    for why in [Why::Requests, Why::Age, Why::Memory] {
        let mut house = House::with("hog-mb=64", |s| match why {
            Why::Requests => s.recycle.requests_max = Some(5),
            Why::Age => s.recycle.age_max = Some(Duration::from_millis(300)),
            _ => s.recycle.memory_bytes_max = Some(32 * 1024 * 1024),
        });
        let first = house.up().await;
        if why == Why::Requests {
            for _ in 0..5 {
                drop(first.load.begin());
            }
        }
        house.ready_after(first.start).await;
        assert!(house.count(|e| matches!(e, Event::Replaced { why: told, .. } if *told == why)) >= 1, "{why:?}");
        assert!(first.load.is_retired());
        house.stop().await;
    }
}

async fn offline_with(house: &mut House, page: &'static [u8]) {
    house.control.offline(Some(Bytes::from_static(page))).await;
    house.until(|state| matches!(state, BackendState::Offline(bytes) if bytes == page).then_some(())).await;
}

/// L46, L47, L49, L51: the page at once, while a request still runs; other bytes;
/// back with the next request.
#[tokio::test]
async fn offline_is_at_once_and_requests_finish() {
    let mut house = House::new("");
    let first = house.up().await;
    let pid = house.pid_of(1);
    let request = first.load.begin().unwrap();
    offline_with(&mut house, b"back soon").await;
    offline_with(&mut house, b"later").await;
    house.signal(BackendSignal::Wake).await;
    let status = house.control.status().await;
    assert_eq!(status.state, AppState::Offline);
    assert_eq!(status.instances.first().map(|i| (i.state, i.outstanding)), Some((InstanceState::Draining, 1)));
    assert!(alive(pid));
    drop(request);
    eventually("it is stopped", PATIENCE, || !alive(pid)).await;
    house.control.offline(None).await;
    house.idle().await;
    assert_eq!(house.up().await.start, 2);
    let told = house.told();
    assert!(told.contains("Offline") && told.contains("Online") && !told.contains("Killed"), "{told}");
    house.stop().await;
}

#[tokio::test]
async fn offline_ends_a_start_under_way() {
    let mut house = House::new("never");
    house.signal(BackendSignal::Wake).await;
    let record = house.dir.path().join("record");
    eventually("it runs", PATIENCE, || std::fs::read_to_string(&record).is_ok_and(|r| r.starts_with("pid "))).await;
    let pid = house.record().all("pid").first().unwrap().parse().unwrap();
    offline_with(&mut house, b"").await;
    eventually("it is gone", PATIENCE, || !alive(pid)).await;
    house.until_none().await;
    assert_eq!(house.stop().await.outcome, StopOutcome::NothingRan);
}

#[tokio::test]
async fn status_tells_all() {
    let mut house = House::with("print=hello", |s| s.instances = 2);
    let before = house.control.status().await;
    assert_eq!((before.state, before.instances.len()), (AppState::Idle, 0));
    house.up().await;
    let two = house.ready(2).await;
    let _request = two.first().unwrap().load.begin();
    let status = house.control.status().await;
    assert_eq!((status.state, status.starts, status.crashes), (AppState::Ready, 2, 0));
    assert_eq!(status.crashes_in_window, (0, 10));
    assert_eq!(status.last_lines, ["hello"]);
    let first = status.instances.first().unwrap();
    assert_eq!((first.number, first.state, first.requests, first.outstanding), (1, InstanceState::Ready, 1, 1));
    assert_eq!(first.pid, house.pid_of(first.start));
    assert!(first.port > 0 && first.memory_bytes.is_some_and(|bytes| bytes > 100_000), "{first:?}");
    send(first.pid, Signal::KILL);
    house.ready_after(2).await;
    let after = house.control.status().await;
    assert_eq!((after.starts, after.crashes, after.crashes_in_window.0), (3, 1, 1));
    house.stop().await;
    assert_eq!(house.control.status().await.state, AppState::Stopping);
    assert!(house.control.replace(None, Why::Asked).await.is_err());
}

#[tokio::test]
async fn fifty_replacements_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = std::process::Command::new(PROBE)
        .args(["host", "replace=50", &format!("root={}", dir.path().display())])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(host.stdout.take().unwrap());
    let held = tokio::task::spawn_blocking(move || {
        let lines = out.lines().map_while(Result::ok).filter(|line| line.starts_with("held "));
        lines.take(2).collect::<Vec<_>>()
    });
    let held = tokio::time::timeout(PATIENCE * 2, held).await.unwrap().unwrap();
    host.kill().unwrap();
    host.wait().unwrap();
    // After the first and after the last: the same descriptors, one keeper, no zombie.
    let numbers = |line: &str| line.split(' ').skip(1).map(|n| n.parse().unwrap()).collect::<Vec<usize>>();
    let [first, last] = held.as_slice() else { panic!("{held:?}") };
    let (first, last) = (numbers(first), numbers(last));
    assert!(last.first() <= first.first().map(|n| n + 2).as_ref(), "{held:?}");
    assert!(last.last() <= Some(&2), "{held:?}");
}
