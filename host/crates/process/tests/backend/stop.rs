//! Graceful stop, signals, and force.

use crate::harness::{House, alive, get};
use gatelodge_process::{Ended, StopOutcome};
use std::time::Duration;

#[tokio::test]
async fn a_paired_backend_is_asked_and_leaves() {
    for (app_path, target) in [("/", "/iisintegration"), ("/app", "/app/iisintegration")] {
        let mut house = House::with("", |s| s.app_path = app_path.into());
        let paired = house.up().await;
        let report = house.stop().await;
        assert_eq!(report.outcome, StopOutcome::Ended(Ended::Code(0)));
        let record = house.record();
        let head = record.all("request");
        let token = String::from_utf8(paired.token.reveal().to_vec()).unwrap();
        assert_eq!(head.first(), Some(&format!("POST {target} HTTP/1.1").as_str()));
        assert!(head.contains(&"MS-ASPNETCORE-EVENT: shutdown"));
        assert!(head.contains(&format!("MS-ASPNETCORE-TOKEN: {token}").as_str()));
        assert!(head.contains(&"Content-Length: 0"));
        let told = house.told();
        assert!(told.contains("status: Some(202)") && !told.contains("TerminationSent"), "{told}");
        assert!(!told.contains(&token));
    }
}

#[tokio::test]
async fn another_answer_is_followed_by_a_signal() {
    for status in ["404", "200"] {
        let mut house = House::new(&format!("stop={status}"));
        house.up().await;
        let report = house.stop().await;
        assert_eq!(report.outcome, StopOutcome::Ended(Ended::Signal(15)), "{status}");
        let told = house.told();
        assert!(told.contains(&format!("status: Some({status})")) && told.contains("TerminationSent"), "{told}");
        assert_eq!(house.ids(), [1001, 1006, 1030]);
    }
}

#[tokio::test]
async fn who_ignores_everything_is_killed_at_the_limit() {
    // The child in its own session ignores everything as well.
    for stop in ["404", "silent", "202"] {
        let words = format!("ignore-term stop={stop} child=setsid,ignore-term,never");
        let limit = Duration::from_secs(1);
        let mut house = House::with(&words, |s| s.shutdown_limit = limit);
        house.up().await;
        let (pid, _) = house.pids();
        let report = house.stop().await;
        if stop == "202" {
            // It leaves by itself, and its helper is not waited for.
            assert_eq!(report.outcome, StopOutcome::Ended(Ended::Code(0)));
            assert!(report.elapsed < limit);
            continue;
        }
        assert_eq!(report.outcome, StopOutcome::Killed, "{stop}");
        assert!((limit..limit * 3).contains(&report.elapsed), "{stop} {:?}", report.elapsed);
        assert!(!alive(pid));
        assert!(house.ids().contains(&1005));
    }
}

#[tokio::test]
async fn a_limit_of_zero_kills_at_once() {
    let mut house = House::with("", |s| s.shutdown_limit = Duration::ZERO);
    house.up().await;
    assert_eq!(house.stop().await.outcome, StopOutcome::Killed);
}

#[tokio::test]
async fn a_request_in_flight_gets_its_answer() {
    let mut house = House::new("");
    let paired = house.up().await;
    let slow = tokio::spawn(async move { get(&paired, "/slow").await });
    let dir = house.dir.path().to_owned();
    crate::harness::eventually("the request has arrived", crate::harness::PATIENCE, || {
        std::fs::read_to_string(dir.join("record")).unwrap().contains("request GET /slow")
    })
    .await;
    let report = house.stop().await;
    assert_eq!(report.outcome, StopOutcome::Ended(Ended::Code(0)));
    assert!(slow.await.unwrap().unwrap().ends_with("/slow"));
}

#[tokio::test]
async fn a_stop_during_the_start_leaves_nothing() {
    let mut house = House::new("never");
    house.signal(wire::ports::BackendSignal::Wake).await;
    let record = house.dir.path().join("record");
    crate::harness::eventually("it runs", crate::harness::PATIENCE, || {
        std::fs::read_to_string(&record).is_ok_and(|r| r.starts_with("pid "))
    })
    .await;
    let pid = house.record().all("pid").first().unwrap().parse().unwrap();
    assert_eq!(house.stop().await.outcome, StopOutcome::Killed);
    crate::harness::eventually("it is gone", Duration::from_secs(1), || !alive(pid)).await;
}
