//! Replacement by order.

use crate::harness::{House, PATIENCE, alive, eventually, get, settings};
use gatelodge_process::{Event, NotReplaced, Why};
use std::time::Duration;
use wire::StartFailure;

/// L43: the new one serves before the old one ends, and the old one finishes.
#[tokio::test]
async fn the_old_one_finishes_its_requests() {
    let mut house = House::new("");
    let old = house.up().await;
    let pid = house.pid_of(1);
    let request = old.load.begin().unwrap();
    let replaced = house.control.replace(None, Why::Asked).await.unwrap();
    assert_eq!(replaced.instances, 1);
    let new = house.ready_after(1).await;
    assert_ne!(new.addr, old.addr);
    assert!(!new.token.matches(old.token.reveal()));
    assert!(old.load.begin().is_none());
    assert!(get(&new, "/x").await.unwrap().contains("200 OK"));
    assert!(get(&old, "/still").await.unwrap().contains("200 OK"));
    drop(request);
    eventually("the old one is gone", PATIENCE, || !alive(pid)).await;
    house.stop().await;
    assert!(!house.told().contains("DrainCut"));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_at_the_limit() {
    let mut house = House::with("", |s| s.drain_limit = Duration::from_millis(200));
    let old = house.up().await;
    let pid = house.pid_of(1);
    let _request = old.load.begin().unwrap();
    house.control.replace(None, Why::Asked).await.unwrap();
    eventually("the old one is gone", PATIENCE, || !alive(pid)).await;
    assert_eq!(house.count(|e| matches!(e, Event::DrainCut { start: 1, outstanding: 1, .. })), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_new_one_that_fails_changes_nothing() {
    let mut house = House::new("");
    let old = house.up().await;
    let new = settings(house.dir.path(), "print=oops exit=3");
    let refused = house.control.replace(Some(new), Why::Configuration).await.unwrap_err();
    let NotReplaced::Failed(report) = refused else { panic!("{refused:?}") };
    assert_eq!((report.failure, report.ended.as_deref()), (StartFailure::Exited, Some("exit code 3")));
    assert_eq!(report.last_lines, ["oops"]);
    assert!(get(&old, "/x").await.unwrap().contains("200 OK"));
    assert!(!old.load.is_retired());
    assert_eq!(house.count(|e| matches!(e, Event::NotReplaced { .. })), 1);
    // The old settings are still in force.
    house.control.replace(None, Why::Asked).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn a_later_order_supersedes() {
    let mut house = House::new("");
    house.up().await;
    let never = settings(house.dir.path(), "never");
    let control = house.control.clone();
    let first = tokio::spawn(async move { control.replace(Some(never), Why::Asked).await });
    let record = house.dir.path().join("record");
    let pids = || std::fs::read_to_string(&record).map_or(0, |r| r.matches("pid ").count());
    eventually("the first one runs", PATIENCE, || pids() >= 2).await;
    let good = settings(house.dir.path(), "");
    house.control.replace(Some(good), Why::Asked).await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(NotReplaced::Superseded)));
    let pid = house.record().all("pid").get(1).unwrap().parse().unwrap();
    eventually("the first one is gone", PATIENCE, || !alive(pid)).await;
    house.stop().await;
}

#[tokio::test]
async fn without_overlap_two_never_run() {
    let mut house = House::with("", |s| s.overlap = false);
    house.up().await;
    let pid = house.pid_of(1);
    house.control.replace(None, Why::Asked).await.unwrap();
    assert!(!alive(pid));
    let second = house.ready_after(1).await;
    // One that fails is answered by the return of the old settings.
    let mut broken = settings(house.dir.path(), "exit=3");
    broken.overlap = false;
    let refused = house.control.replace(Some(broken), Why::Asked).await;
    assert!(matches!(refused, Err(NotReplaced::Failed(_))), "{refused:?}");
    let third = house.ready_after(second.start).await;
    assert!(get(&third, "/x").await.unwrap().contains("200 OK"));
    house.stop().await;
}
