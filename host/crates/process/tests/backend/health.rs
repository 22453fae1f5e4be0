//! Health at the start and later, and warm-up.

use crate::fleet::send;
use crate::harness::{House, PATIENCE, alive, eventually};
use gatelodge_process::{Event, Health};
use rustix::process::Signal;
use std::time::Duration;
use wire::StartFailure;
use wire::ports::BackendSignal;

fn health() -> Health {
    let ms = Duration::from_millis;
    Health { path: "/health".into(), interval: ms(50), timeout: ms(500), failures_max: 2 }
}

#[tokio::test]
async fn who_listens_but_is_sick_gets_no_request() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let mut house = House::with(&format!("sick={}", path.display()), |s| s.health = Some(health()));
    house.signal(BackendSignal::Wake).await;
    let record = house.dir.path().join("record");
    let asked = || std::fs::read_to_string(&record).is_ok_and(|r| r.matches("request GET /health").count() >= 3);
    eventually("it is asked again and again", PATIENCE, asked).await;
    assert_eq!(house.count(|e| matches!(e, Event::Ready { .. })), 0);
    drop(file);
    let paired = house.up().await;
    let token = String::from_utf8(paired.token.reveal().to_vec()).unwrap();
    assert!(house.record().all("request").contains(&format!("MS-ASPNETCORE-TOKEN: {token}").as_str()));
    house.stop().await;
}

#[tokio::test]
async fn a_start_that_stays_sick_fails_with_the_answer() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut house = House::with(&format!("sick={}", file.path().display()), |s| {
        s.health = Some(health());
        s.start_limit = Duration::from_millis(800);
    });
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::TimedOut);
    assert!(report.summary.contains("/health") && report.summary.contains("status 503"), "{}", report.summary);
    house.stop().await;
}

#[tokio::test]
async fn one_that_hangs_is_found_and_replaced() {
    let mut house = House::with("", |s| s.health = Some(health()));
    let first = house.up().await;
    let pid = house.pid_of(1);
    send(pid, Signal::STOP);
    house.ready_after(first.start).await;
    eventually("the hanging one is gone", PATIENCE, || !alive(pid)).await;
    assert!(house.count(|e| matches!(e, Event::Unhealthy { start: 1, .. })) >= 2);
    assert!(first.load.is_retired());
    assert_eq!(house.control.status().await.crashes, 1);
    house.stop().await;
}

#[tokio::test]
async fn one_bad_answer_is_forgiven() {
    let dir = tempfile::tempdir().unwrap();
    let sick = dir.path().join("sick");
    let mut house = House::with(&format!("sick={}", sick.display()), |s| {
        s.health = Some(Health { failures_max: 1000, ..health() });
    });
    let first = house.up().await;
    std::fs::write(&sick, "").unwrap();
    eventually("told", PATIENCE, || house.count(|e| matches!(e, Event::Unhealthy { .. })) > 0).await;
    std::fs::remove_file(&sick).unwrap();
    eventually("well again", PATIENCE, || house.count(|e| matches!(e, Event::Healthy { .. })) == 1).await;
    assert!(!first.load.is_retired());
    house.stop().await;
}

#[tokio::test]
async fn warm_up_comes_before_the_first_request() {
    let mut house = House::with("", |s| {
        s.warm_up.paths = vec!["/a?b=1".into(), "/slow".into()];
        s.warm_up.timeout = Duration::from_millis(100);
    });
    house.up().await;
    let record = house.record();
    let asked: Vec<&str> = record.all("request").into_iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(asked, ["GET /a?b=1 HTTP/1.1", "GET /slow HTTP/1.1"]);
    // The second one took too long: told, and left.
    assert_eq!(house.count(|e| matches!(e, Event::WarmUpFailed { path, .. } if path == "/slow")), 1);
    house.stop().await;
}
