//! Several instances, health, recycling, idleness.

use super::{Action, Happening, IDLE, SECOND, STARTING, Story, attempts, plan, ready};
use crate::event::Why;
use crate::machine::{Down, Measure, budget};
use crate::settings::{Health, StartMode};
use std::time::Duration;

fn three() -> Story {
    Story::new(|s| s.instances = 3)
}

#[test]
fn instances_start_together_and_serve_as_they_come() {
    let mut story = three();
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(1), Action::Attempt(2), Action::Attempt(3)]);
    assert_eq!(story.proven(2), [ready(&[2])]);
    assert_eq!(story.proven(1), [ready(&[1, 2])]);
    assert_eq!(story.proven(3), [ready(&[1, 2, 3])]);
    let numbers: Vec<u16> = story.machine.instances().map(|i| i.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn one_that_crashes_beside_others_is_started_at_once() {
    let mut story = three();
    story.up();
    assert_eq!(story.then(Happening::Died(2)), [ready(&[1, 3]), Action::Attempt(4)]);
    assert_eq!(story.then(Happening::Gone(2)), []);
    assert_eq!(story.machine.instance(4).unwrap().number, 2);
    assert_eq!(story.proven(4), [ready(&[1, 3, 4])]);
}

#[test]
fn when_all_crash_the_next_request_decides() {
    let mut story = three();
    story.up();
    story.crash(1);
    // Those that are on their way are waited for.
    assert_eq!(story.then(Happening::Died(2)), [ready(&[3]), Action::Attempt(5)]);
    assert_eq!(story.then(Happening::Died(3)), [STARTING, Action::Attempt(6)]);
    let mut story = Story::new(|s| s.instances = 2);
    story.up();
    story.then(Happening::Died(1));
    story.fail(3);
    story.fail(4);
    assert_eq!(story.crash(2).first(), Some(&IDLE));
}

#[test]
fn crashes_of_all_instances_count_together() {
    let mut story = Story::new(|s| {
        s.instances = 2;
        s.rapid_fails_per_minute = 1;
    });
    story.up();
    assert_eq!(attempts(&story.crash(1)), [3]);
    story.proven(3);
    // The second one within the minute waits, while the other serves.
    assert_eq!(attempts(&story.crash(3)), []);
    assert_eq!(attempts(&story.due()), [4]);
    assert_eq!(story.now, story.begin + budget::CRASH_WINDOW);
}

#[test]
fn one_that_fails_beside_others_waits_alone() {
    let mut story = Story::new(|s| s.instances = 2);
    story.then(Happening::Wake);
    // While nobody serves, a failed one waits for the round's end.
    assert_eq!(story.fail(1), [Action::Report { start: 1, retry_after: None }]);
    assert_eq!(story.proven(2), [ready(&[2]), Action::Attempt(3)]);
    assert_eq!(story.fail(3), [Action::Report { start: 3, retry_after: Some(SECOND) }]);
    assert_eq!(story.machine.waiting(story.now).collect::<Vec<_>>(), [1]);
    assert_eq!(story.due(), [Action::Attempt(4)]);
    assert_eq!(story.now, story.begin + SECOND);
    assert_eq!(story.proven(4), [ready(&[2, 4])]);
}

#[test]
fn a_round_in_which_all_fail_is_one_failure() {
    let mut story = three();
    story.then(Happening::Wake);
    assert_eq!(story.fail(1).len(), 1);
    assert_eq!(story.fail(3).len(), 1);
    assert_eq!(story.fail(2).last(), Some(&Action::Down(Down::Failed)));
    assert_eq!(attempts(&story.then(Happening::Wake)), [4, 5, 6]);
}

fn asked(limit: u32) -> Story {
    Story::new(|s| {
        s.health = Some(Health { path: "/h".into(), interval: 10 * SECOND, timeout: SECOND, failures_max: limit });
    })
}

#[test]
fn bad_health_in_a_row_ends_an_instance() {
    for failures_max in [1, 3] {
        let mut story = asked(failures_max);
        story.up();
        for _ in 1..failures_max {
            assert_eq!(story.due(), [Action::AskHealth(1)]);
            // While an answer is awaited there is no other question.
            assert_eq!(story.machine.due(story.now), None);
            assert_eq!(story.then(Happening::Health { start: 1, good: false }), []);
        }
        assert_eq!(story.due(), [Action::AskHealth(1)]);
        assert_eq!(story.now, story.begin + 10 * SECOND * failures_max);
        let bad = story.then(Happening::Health { start: 1, good: false });
        let expected =
            [STARTING, Action::TellReplacing(Why::Unhealthy), Action::Kill(1), Action::Retire(1), Action::Attempt(2)];
        assert_eq!(bad, expected);
        assert_eq!(story.machine.crashes_within(story.now), 1);
    }
}

#[test]
fn a_good_answer_forgives() {
    let mut story = asked(2);
    story.up();
    for _ in 0..3 {
        story.due();
        assert_eq!(story.then(Happening::Health { start: 1, good: false }), []);
        story.due();
        assert_eq!(story.then(Happening::Health { start: 1, good: true }), [Action::TellHealthy(1)]);
        story.due();
        assert_eq!(story.then(Happening::Health { start: 1, good: true }), []);
    }
}

fn measured(start: u64, requests: u64, outstanding: usize) -> Happening {
    Happening::Measured(vec![Measure { start, requests, outstanding }])
}

/// One that is due is replaced beside itself, and drains.
fn recycled(story: &mut Story, why: &Why, begun: &[Action]) {
    assert_eq!(begun, [Action::TellReplacing(why.clone()), Action::Attempt(2)], "{why:?}");
    let taken = story.proven(2);
    let limit = plan(|_| ()).settings.drain_limit;
    assert_eq!(taken.get(..3).unwrap(), [ready(&[2]), Action::Retire(1), Action::Drain { start: 1, limit }]);
    assert!(matches!(taken.get(3), Some(Action::TellReplaced { instances: 1, .. })), "{taken:?}");
    assert_eq!(story.then(Happening::Gone(1)), []);
}

#[test]
fn each_reason_recycles() {
    let mut story = Story::new(|s| s.recycle.requests_max = Some(100));
    story.up();
    assert_eq!(story.due(), [Action::Measure]);
    assert_eq!(story.then(measured(1, 99, 0)), []);
    let begun = story.then(measured(1, 100, 0));
    recycled(&mut story, &Why::Requests, &begun);

    let mut story = Story::new(|s| s.recycle.memory_bytes_max = Some(1000));
    story.up();
    assert_eq!(story.due(), [Action::MeasureMemory]);
    assert_eq!(story.now, story.begin + 5 * SECOND);
    assert_eq!(story.then(Happening::Memory(vec![(1, 1000)])), []);
    let begun = story.then(Happening::Memory(vec![(1, 1001)]));
    recycled(&mut story, &Why::Memory, &begun);

    let mut story = Story::new(|s| s.recycle.age_max = Some(50 * SECOND));
    story.up();
    let begun = story.due();
    assert_eq!(story.now, story.begin + 50 * SECOND);
    recycled(&mut story, &Why::Age, &begun);
}

#[test]
fn instances_are_recycled_one_at_a_time() {
    let mut story = Story::new(|s| {
        s.instances = 2;
        s.recycle.age_max = Some(SECOND);
    });
    story.up();
    assert_eq!(attempts(&story.due()), [3]);
    // The second one is due too, and begins when the first is done.
    assert_eq!(attempts(&story.proven(3)), [4]);
    assert_eq!(story.machine.instance(4).unwrap().number, 2);
}

#[test]
fn a_failed_recycling_keeps_the_old_and_tries_again_later() {
    let mut story = Story::new(|s| s.recycle.age_max = Some(SECOND));
    story.up();
    assert_eq!(attempts(&story.due()), [2]);
    assert_eq!(story.fail(2), [Action::TellNotReplaced { why: Why::Age, start: 2 }]);
    let before = story.now;
    assert_eq!(attempts(&story.due()), [3]);
    assert_eq!(story.now, before + SECOND);
    story.fail(3);
    let before = story.now;
    assert_eq!(attempts(&story.due()), [4]);
    assert_eq!(story.now, before + 2 * SECOND);
    assert_eq!(story.proven(4).first(), Some(&ready(&[4])));
}

#[test]
fn without_overlap_the_due_one_goes_first() {
    let mut story = Story::new(|s| {
        s.overlap = false;
        s.recycle.age_max = Some(SECOND);
    });
    story.up();
    let begun = story.due();
    assert_eq!(begun.first(), Some(&STARTING));
    assert_eq!(attempts(&begun), []);
    assert_eq!(story.then(Happening::Wake), []);
    assert_eq!(attempts(&story.then(Happening::Gone(1))), [2]);
    assert_eq!(story.proven(2).first(), Some(&ready(&[2])));
}

#[test]
fn nobody_asks_and_all_stop() {
    let limit = 4 * SECOND;
    let mut story = Story::new(|s| {
        s.instances = 2;
        s.idle_limit = Some(limit);
    });
    story.up();
    let drain = plan(|_| ()).settings.drain_limit;
    assert_eq!(story.due(), [Action::Measure]);
    story.now = story.begin + limit - SECOND / 10;
    assert_eq!(story.then(measured(1, 0, 0)), []);
    let idle = story.after(SECOND / 10, measured(1, 0, 0));
    let expected = [
        IDLE,
        Action::TellIdle(limit),
        Action::Retire(1),
        Action::Drain { start: 1, limit: drain },
        Action::Retire(2),
        Action::Drain { start: 2, limit: drain },
    ];
    assert_eq!(idle, expected);
    // A request that comes while they end starts new ones beside them.
    assert_eq!(attempts(&story.then(Happening::Wake)), [3, 4]);
}

#[test]
fn whoever_is_busy_does_not_idle() {
    let mut story = Story::new(|s| s.idle_limit = Some(SECOND));
    story.up();
    for requests in 1..10 {
        // Either a request has come, or one still runs.
        assert_eq!(story.after(SECOND, measured(1, requests / 2, usize::from(requests % 2 == 1))), []);
    }
    assert_eq!(story.after(SECOND, measured(1, 4, 0)).first(), Some(&IDLE));
    let mut story = Story::new(|s| {
        s.idle_limit = Some(SECOND);
        s.start_mode = StartMode::Always;
    });
    story.then(Happening::Begin);
    story.proven(1);
    assert_eq!(story.after(SECOND * 9, measured(1, 0, 0)), []);
}

#[test]
fn without_overlap_a_start_waits_for_the_end_of_the_last() {
    let mut story = Story::new(|s| {
        s.overlap = false;
        s.idle_limit = Some(Duration::from_secs(1));
    });
    story.up();
    story.after(SECOND, measured(1, 0, 0));
    assert_eq!(story.then(Happening::Wake), [STARTING]);
    assert_eq!(story.then(Happening::Gone(1)), [Action::Attempt(2)]);
}
