//! One instance: starts, failures, crashes, looks, the end.

use super::{Action, Happening, IDLE, LIMIT, SECOND, STARTING, Story, attempts, ready};
use crate::machine::{Down, View, budget, instance};
use crate::settings::{BackOff, StartMode};
use std::time::Duration;

fn failed(start: u64, retry_after: Option<Duration>) -> Vec<Action> {
    vec![Action::Report { start, retry_after }, Action::Down(Down::Failed)]
}

#[test]
fn the_first_request_starts_and_later_ones_wait() {
    let mut story = Story::new(|_| ());
    assert_eq!(story.then(Happening::Begin), []);
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(1)]);
    assert_eq!(story.then(Happening::Wake), []);
    assert_eq!(story.after(SECOND, Happening::Listening(1)), []);
    assert_eq!(story.then(Happening::Proven(1)), [ready(&[1])]);
    assert_eq!(story.then(Happening::Wake), []);
}

/// L30: one limit holds for both attempts.
#[test]
fn two_attempts_share_one_limit() {
    let mut story = Story::new(|_| ());
    story.then(Happening::Wake);
    let deadline = story.begin + LIMIT;
    let retry = Happening::AttemptFailed { start: 1, retry: true };
    assert_eq!(story.after(SECOND, retry.clone()), [Action::Attempt(1)]);
    let instance = story.machine.instance(1).unwrap();
    assert_eq!((instance.attempt, instance.deadline), (2, deadline));
    assert_eq!(story.after(SECOND, retry), failed(1, None));
}

#[test]
fn no_second_attempt_without_time_or_hope() {
    for (wait, retry, again) in [
        (LIMIT, true, false),
        (LIMIT - Duration::from_millis(1), true, true),
        (SECOND, false, false),
        (SECOND, true, true),
    ] {
        let mut story = Story::new(|_| ());
        story.then(Happening::Wake);
        let actions = story.after(wait, Happening::AttemptFailed { start: 1, retry });
        assert_eq!(actions == [Action::Attempt(1)], again, "{wait:?} {retry}");
    }
    // As many as the settings say.
    let mut story = Story::new(|s| s.attempts_max = 3);
    story.then(Happening::Wake);
    let attempt = || Happening::AttemptFailed { start: 1, retry: true };
    assert_eq!(story.then(attempt()), [Action::Attempt(1)]);
    assert_eq!(story.then(attempt()), [Action::Attempt(1)]);
    assert_eq!(story.then(attempt()), failed(1, None));
}

#[test]
fn failures_back_off_and_success_forgets_them() {
    let mut story = Story::new(|_| ());
    story.then(Happening::Wake);
    assert_eq!(story.fail(1), failed(1, None));
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(2)]);
    assert_eq!(story.fail(2), failed(2, Some(SECOND)));
    let half = SECOND / 2;
    assert_eq!(story.after(half, Happening::Wake), [Action::Down(Down::BackingOff { retry_after: half })]);
    assert_eq!(story.due(), [Action::Down(Down::RetryNow)]);
    assert_eq!(story.now, story.begin + SECOND);
    assert_eq!(story.machine.due(story.now), None);
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(3)]);
    assert_eq!(story.fail(3), failed(3, Some(2 * SECOND)));
    story.now += 2 * SECOND;
    assert_eq!(story.up(), [4]);
    story.crash(4);
    story.then(Happening::Wake);
    assert_eq!(story.fail(5), failed(5, None));
}

/// L35: the number of starts is bounded by the back-off.
#[test]
fn failing_starts_are_bounded_by_back_off() {
    let mut story = Story::new(|_| ());
    let mut starts = 0;
    for _ in 0..20 {
        for start in attempts(&story.after(SECOND / 4, Happening::Wake)) {
            starts += 1;
            story.fail(start);
        }
    }
    // At 0, 0.25, 1.25 and 3.25 s.
    assert_eq!(starts, 4);
}

#[test]
fn waits_double_up_to_a_limit_with_jitter_on_top() {
    let settings = BackOff::default();
    let cases =
        [(0, None), (1, None), (2, Some(1)), (3, Some(2)), (4, Some(4)), (7, Some(32)), (8, Some(60)), (99, Some(60))];
    for (failures, expected) in cases {
        assert_eq!(budget::back_off(settings, failures, 0), expected.map(Duration::from_secs), "{failures}");
    }
    assert_eq!(budget::back_off(settings, 2, 1000), Some(Duration::from_millis(1250)));
    assert_eq!(budget::back_off(settings, 99, 1000), Some(Duration::from_secs(75)));
    assert_eq!(budget::back_off(settings, u32::MAX, 0), Some(Duration::from_secs(60)));
}

/// L32: no restart without a request.
#[test]
fn a_crash_waits_for_the_next_request() {
    let mut story = Story::new(|_| ());
    story.up();
    assert_eq!(story.then(Happening::Died(1)), [IDLE]);
    assert_eq!(story.then(Happening::Gone(1)), []);
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(2)]);
}

/// L33, L34: one crash too many blocks until the window has moved.
#[test]
fn one_crash_too_many_blocks_until_the_window_moves() {
    for crashes_max in [0, 1, 3] {
        let mut story = Story::new(|s| s.rapid_fails_per_minute = crashes_max);
        for _ in 0..=crashes_max {
            let starts = story.up();
            story.now += SECOND;
            story.crash(*starts.first().unwrap());
        }
        let until = story.begin + SECOND + budget::CRASH_WINDOW;
        let crashes = crashes_max + 1;
        for _ in 0..2 {
            let retry_after = until - story.now;
            let refused = Action::Down(Down::TooManyCrashes { crashes, retry_after });
            assert_eq!(story.then(Happening::Wake), [refused], "{crashes_max}");
            story.now += SECOND;
        }
        assert_eq!(story.due(), [Action::Down(Down::RetryNow)]);
        assert_eq!(story.now, until);
        assert_eq!(story.up().len(), 1);
    }
}

#[test]
fn crashes_within_the_budget_never_block() {
    let mut story = Story::new(|s| s.rapid_fails_per_minute = 1);
    for _ in 0..20 {
        let starts = story.up();
        // Two within a minute are one too many; these are further apart.
        story.now += budget::CRASH_WINDOW / 2;
        story.crash(*starts.first().unwrap());
        story.now += budget::CRASH_WINDOW / 2;
    }
}

#[test]
fn many_suspicions_lead_to_few_looks() {
    let mut story = Story::new(|_| ());
    story.up();
    assert_eq!(story.then(Happening::Suspect(7)), []);
    assert_eq!(story.then(Happening::Suspect(1)), [Action::Look(1)]);
    for _ in 0..3 {
        assert_eq!(story.then(Happening::Suspect(1)), []);
    }
    assert_eq!(story.due(), [Action::Look(1)]);
    assert_eq!(story.now, story.begin + instance::LOOK_PAUSE);
    assert_eq!(story.machine.due(story.now), None);
    story.crash(1);
    assert_eq!(story.then(Happening::Suspect(1)), []);
}

#[test]
fn always_means_at_once_and_again() {
    let mut story = Story::new(|s| {
        s.start_mode = StartMode::Always;
        s.rapid_fails_per_minute = 1;
    });
    assert_eq!(story.then(Happening::Begin), [STARTING, Action::Attempt(1)]);
    story.proven(1);
    assert_eq!(story.then(Happening::Died(1)), [STARTING, Action::Attempt(2)]);
    story.then(Happening::Gone(1));
    // A failed start is tried again: at once, then after the back-off.
    story.fail(2);
    assert_eq!(story.due(), [STARTING, Action::Attempt(3)]);
    let failed = story.fail(3);
    assert_eq!(failed, super::single::failed(3, Some(SECOND)));
    assert_eq!(story.due(), [STARTING, Action::Attempt(4)]);
    story.proven(4);
    // The second crash is one too many; when the window has moved it runs again.
    let first = story.begin;
    let refused = story.then(Happening::Died(4));
    assert!(matches!(refused.as_slice(), [Action::Down(Down::TooManyCrashes { crashes: 2, .. })]), "{refused:?}");
    assert_eq!(story.due(), [STARTING, Action::Attempt(5)]);
    assert_eq!(story.now, first + budget::CRASH_WINDOW);
}

#[test]
fn a_stop_ends_every_state() {
    let draining = Action::Publish(View::Draining);
    let cases: [(&[Happening], &[Action]); 4] = [
        (&[], &[draining.clone(), Action::Finish]),
        (&[Happening::Wake], &[draining.clone(), Action::Kill(1)]),
        (&[Happening::Wake, Happening::Proven(1)], &[draining.clone(), Action::Retire(1), Action::Stop(1)]),
        (&[Happening::Wake, Happening::AttemptFailed { start: 1, retry: false }], &[draining.clone(), Action::Finish]),
    ];
    for (before, expected) in cases {
        let mut story = Story::new(|s| s.start_mode = StartMode::OnDemand);
        for happening in before {
            story.then(happening.clone());
        }
        assert_eq!(story.then(Happening::Stop), expected, "{before:?}");
        for late in [Happening::Wake, Happening::Due, Happening::Proven(1), Happening::Stop] {
            assert_eq!(story.then(late.clone()), [], "{late:?}");
        }
        if !expected.contains(&Action::Finish) {
            assert_eq!(story.then(Happening::Gone(1)), [Action::Finish]);
        }
    }
}
