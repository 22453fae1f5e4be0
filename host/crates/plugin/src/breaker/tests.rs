//! The breaker by itself, on a clock that stands still.

use super::{Breaker, Held, HoldBack};
use crate::settings::{FaultPolicy, OnFault};
use std::time::Duration;
use tokio::time::advance;
use wire::fault::PluginFault::{self, BadOutput, Deadline, Memory, Trap};

fn breaker() -> Breaker {
    Breaker::new(OnFault::default())
}

fn opened(ms: u64, kinds: &[PluginFault]) -> HoldBack {
    HoldBack::Begun { pause: Duration::from_millis(ms), kinds: kinds.to_vec(), policy: FaultPolicy::Refuse }
}

/// Opens it by traps.
fn open(breaker: &Breaker) {
    for _ in 0..4 {
        assert_eq!(breaker.count(Trap), None);
    }
    assert_eq!(breaker.count(Trap), Some(opened(1_000, &[Trap])));
}

/// What is left of the pause.
fn left(breaker: &Breaker) -> Option<Duration> {
    breaker.ask().err().map(|held| held.left)
}

#[tokio::test(start_paused = true)]
async fn the_fifth_loss_within_ten_seconds_opens_it() {
    for (ms, expected) in [(2_500, true), (2_501, false)] {
        let breaker = breaker();
        for _ in 0..4 {
            assert_eq!(breaker.count(Trap), None);
            advance(Duration::from_millis(ms)).await;
        }
        assert_eq!(breaker.count(Trap).is_some(), expected, "one each {ms} ms");
        assert_eq!(left(&breaker).is_some(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rare_losses_never_open_it() {
    let breaker = breaker();
    for _ in 0..50 {
        assert_eq!(breaker.count(Trap), None);
        advance(Duration::from_secs(3)).await;
        assert!(breaker.ask().is_ok_and(|probe| probe.is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn asking_lengthens_no_pause() {
    let breaker = breaker();
    open(&breaker);
    for ms in (1..=1_000).rev() {
        assert_eq!(left(&breaker), Some(Duration::from_millis(ms)));
        // Nor does a loss of a call that began before.
        assert_eq!(breaker.count(Memory), None);
        advance(Duration::from_millis(1)).await;
    }
    let probe = breaker.ask().expect("the pause is over").expect("a probe");
    assert_eq!(probe.over(None), HoldBack::Ended { after: Duration::from_secs(1), calls: 1_000 });
    assert!(breaker.ask().is_ok_and(|probe| probe.is_none()));
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time() {
    let breaker = breaker();
    open(&breaker);
    advance(Duration::from_secs(1)).await;
    let probe = breaker.ask().expect("the pause is over").expect("a probe");
    let held = Held { left: Duration::ZERO, kinds: vec![Trap] };
    assert_eq!(breaker.ask().err(), Some(held.clone()));
    assert!(held.to_string().ends_with("until the call that tries it has gone well"), "{held}");
    // Given up: the next one tries.
    drop(probe);
    let probe = breaker.ask().expect("no probe is under way").expect("a probe");
    assert_eq!(left(&breaker), Some(Duration::ZERO));
    assert_eq!(probe.over(Some(Deadline)), opened(2_000, &[Trap, Deadline]));
    assert_eq!(breaker.count(Deadline), None, "the probe has said so already");
    assert_eq!(left(&breaker), Some(Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn failed_probes_double_the_pause_up_to_a_minute() {
    let breaker = breaker();
    open(&breaker);
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        advance(left(&breaker).expect("held back")).await;
        let probe = breaker.ask().expect("the pause is over").expect("a probe");
        assert_eq!(probe.over(Some(Trap)), opened(seconds * 1_000, &[Trap]));
        assert_eq!(left(&breaker), Some(Duration::from_secs(seconds)));
    }
    advance(Duration::from_secs(60)).await;
    let probe = breaker.ask().expect("the pause is over").expect("a probe");
    assert!(matches!(probe.over(None), HoldBack::Ended { .. }));
    open(&breaker);
}

#[tokio::test(start_paused = true)]
async fn kinds_count_while_their_losses_do() {
    let skips = OnFault { trap: FaultPolicy::Skip, deadline: FaultPolicy::Skip, ..OnFault::default() };
    for (losses, expected) in [
        (&[Trap, Trap, Deadline, Trap, Trap][..], FaultPolicy::Skip),
        (&[Trap, Trap, BadOutput, Trap, Trap], FaultPolicy::Refuse),
        (&[Memory, Trap, Trap, Trap, Trap], FaultPolicy::Refuse),
    ] {
        let breaker = Breaker::new(skips);
        // Long ago, and of no account.
        breaker.count(Memory);
        advance(Duration::from_secs(11)).await;
        let told: Vec<_> = losses.iter().map(|kind| breaker.count(*kind)).collect();
        let last = told.last().cloned().flatten();
        assert!(matches!(last, Some(HoldBack::Begun { policy, .. }) if policy == expected), "{losses:?}: {last:?}");
        assert_eq!(breaker.policy(), expected);
    }
}
