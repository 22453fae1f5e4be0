//! A plugin that keeps failing is held back for a while, tried once, and let in again.

use crate::harness::{House, guest, guest_with, house, request, told};
use gatelodge_plugin::{FaultPolicy, Grants, Isolation, Level, OnFault, PluginSettings};
use std::time::Duration;
use tokio::time::advance;
use wire::fault::PluginFault;

const DO: &[(&str, &str)] = &[("x-do", "request")];
const HELD: &str = "fault held-back";

fn send(house: &House, fields: &[(&str, &str)]) -> String {
    told(&house.way_in(request("/", fields)).1)
}

/// Five faults, each of this kind.
fn storm(house: &House, kind: &str) {
    for _ in 0..5 {
        let text = send(house, DO);
        assert!(text.starts_with(&format!("fault {kind}")), "{text}");
    }
}

/// The same in a plugin whose faults are skipped.
fn quiet_storm(house: &House) {
    for _ in 0..5 {
        assert_eq!(send(house, DO), "continue");
    }
}

/// The lines that the plane wrote about the plugin's state.
fn states(house: &House) -> Vec<(Level, String)> {
    let lines = house.ears.lines.lock().expect("no test panics with it");
    lines.iter().filter(|line| line.message.contains("held back")).map(|l| (l.level, l.message.clone())).collect()
}

fn fault_count(house: &House) -> u64 {
    house.metrics.faults().iter().map(|fault| fault.count).sum()
}

fn held_count(house: &House) -> u64 {
    house.metrics.held_back().iter().map(|(_, count)| count).sum()
}

/// Steady traffic during the pause does not lengthen it.
#[tokio::test(start_paused = true)]
async fn a_plugin_recovers_under_steady_traffic() {
    for isolation in [Isolation::Instance, Isolation::Request] {
        let house = house(vec![guest_with("trap", |settings| settings.isolation = isolation)]);
        storm(&house, "trap");
        for _ in 0..100 {
            let text = send(&house, &[]);
            assert!(text.starts_with(HELD) && text.contains("it keeps failing (trap)"), "{text}");
            advance(Duration::from_millis(10)).await;
        }
        assert_eq!(send(&house, &[]), "continue", "the pause of a second is over");
        assert_eq!((fault_count(&house), held_count(&house)), (5, 100));
        assert_eq!(house.ears.faults.lock().expect("no test panics with it").len(), 5, "told once each");
    }
}

#[tokio::test(start_paused = true)]
async fn the_strictest_policy_of_the_kinds_that_opened_it_decides() {
    let skip = FaultPolicy::Skip;
    let quiet = OnFault { trap: skip, ..OnFault::default() };
    let loops = OnFault { deadline: skip, ..OnFault::default() };
    for (name, policy, expected) in [
        // Its traps may be skipped, but it was its deadlines that opened it.
        ("loop", quiet, HELD),
        ("loop", loops, "continue"),
        ("trap", quiet, "continue"),
        ("trap", loops, HELD),
        ("trap", OnFault::all(skip), "continue"),
    ] {
        let house = house(vec![guest_with(name, |settings| {
            settings.on_fault = policy;
            settings.deadline = Duration::from_millis(20);
            settings.grants.identity = false;
        })]);
        for _ in 0..5 {
            send(&house, DO);
        }
        let (exchange, step) = house.way_in(request("/", &[]));
        assert!(told(&step).starts_with(expected), "{name} {policy:?}: {}", told(&step));
        assert_eq!(exchange.shared.ran, 0, "it was not called");
        assert_eq!(held_count(&house), 1, "{name} {policy:?}");
    }
}

/// A plugin that says who the caller is never lets anybody in by being away.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_sets_identities_is_never_passed_by() {
    for (identity, expected) in [(true, HELD), (false, "continue")] {
        let house = house(vec![guest_with("trap", |settings| {
            settings.on_fault = OnFault::all(FaultPolicy::Skip);
            settings.grants = Grants { log: true, metrics: true, identity, written: false };
        })]);
        quiet_storm(&house);
        let text = send(&house, &[]);
        assert!(text.starts_with(expected), "{text}");
        let expected = if identity { "refuses what it should see" } else { "requests pass it by" };
        assert!(states(&house)[0].1.contains(expected), "{:?}", states(&house));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_try_doubles_the_pause_and_a_good_one_ends_it() {
    let house = house(vec![guest("trap")]);
    storm(&house, "trap");
    for (seconds, faults) in [(1, 6), (2, 7), (4, 8), (8, 9), (16, 10), (32, 11), (60, 12), (60, 13)] {
        assert!(send(&house, &[]).starts_with(HELD));
        advance(Duration::from_millis(seconds * 1_000 - 1)).await;
        assert!(send(&house, &[]).starts_with(HELD), "a millisecond before {seconds} s");
        advance(Duration::from_millis(1)).await;
        assert!(send(&house, DO).starts_with("fault trap"), "tried after {seconds} s");
        assert_eq!(fault_count(&house), faults);
    }
    advance(Duration::from_secs(60)).await;
    assert_eq!(send(&house, &[]), "continue");
    assert_eq!(send(&house, &[]), "continue");
    // Forgiven: five more, and a second again.
    storm(&house, "trap");
    assert!(send(&house, &[]).starts_with(HELD));
    advance(Duration::from_secs(1)).await;
    assert_eq!(send(&house, &[]), "continue");
}

#[tokio::test(start_paused = true)]
async fn its_states_are_told() {
    let house = house(vec![guest("trap")]);
    storm(&house, "trap");
    for _ in 0..3 {
        send(&house, &[]);
    }
    advance(Duration::from_secs(1)).await;
    send(&house, DO);
    advance(Duration::from_secs(2)).await;
    send(&house, &[]);
    let told = [
        (Level::Warn, "it keeps failing (trap): held back for 1000 ms; the host refuses what it should see"),
        (Level::Info, "held back long enough: one call tries it"),
        (Level::Warn, "it keeps failing (trap): held back for 2000 ms; the host refuses what it should see"),
        (Level::Info, "held back long enough: one call tries it"),
        (Level::Info, "it works again: no longer held back, after 3000 ms and 3 calls that were not made"),
    ];
    let told: Vec<_> = told.iter().map(|(level, text)| (*level, (*text).to_owned())).collect();
    assert_eq!(states(&house), told);
    assert_eq!(house.metrics.openings(), [("trap".to_owned(), 2)]);
}

/// A request that makes a plugin say something bad costs only itself: the instance lives.
#[tokio::test(start_paused = true)]
async fn bad_output_holds_nothing_back() {
    let bad = |settings: &mut PluginSettings| {
        settings.config_json = r#"{"request":["set host=x"]}"#.to_owned();
    };
    let house = house(vec![guest_with("edits", bad)]);
    for _ in 0..20 {
        let text = send(&house, &[]);
        assert!(text.starts_with("fault bad-output"), "{text}");
    }
    assert_eq!((fault_count(&house), held_count(&house)), (20, 0));
    assert_eq!(house.metrics.faults()[0].kind, PluginFault::BadOutput);
}
