use super::{Action, Happening, Machine, Policy, back_off};
use crate::settings::BackOff;
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

/// A machine with a clock that is moved by hand.
struct Story {
    machine: Machine,
    begin: Instant,
    now: Instant,
}

impl Story {
    fn new(crashes_max: u32) -> Self {
        let back_off = BackOff { jitter_percent: 0, ..BackOff::default() };
        let machine = Machine::new(Policy { start_limit: LIMIT, crashes_max, back_off });
        let now = Instant::now();
        Self { machine, begin: now, now }
    }

    fn after(&mut self, wait: Duration, happening: Happening) -> Vec<Action> {
        self.now += wait;
        self.machine.step(self.now, happening)
    }

    fn then(&mut self, happening: Happening) -> Vec<Action> {
        self.after(Duration::ZERO, happening)
    }

    fn attempt(&self, start: u64, attempt: u32, began: Instant) -> Action {
        Action::Attempt { start, attempt, deadline: began + LIMIT }
    }

    /// Wake and come up.
    fn up(&mut self) {
        let actions = self.then(Happening::Wake);
        assert!(matches!(actions.as_slice(), [Action::SayStarting, Action::Attempt { .. }]), "{actions:?}");
        assert_eq!(self.then(Happening::Listening), [Action::SayReady]);
    }

    /// Wake and fail without a retry.
    fn fail(&mut self) -> Vec<Action> {
        let actions = self.then(Happening::Wake);
        assert!(matches!(actions.as_slice(), [Action::SayStarting, Action::Attempt { .. }]), "{actions:?}");
        self.then(Happening::AttemptFailed { retry: false, jitter: 0 })
    }
}

const RETRY: Happening = Happening::AttemptFailed { retry: true, jitter: 0 };

#[test]
fn the_first_request_starts_and_later_ones_wait() {
    let mut story = Story::new(10);
    let first = story.attempt(1, 1, story.begin);
    assert_eq!(story.then(Happening::Wake), [Action::SayStarting, first]);
    assert_eq!(story.then(Happening::Wake), []);
    assert_eq!(story.after(SECOND, Happening::Listening), [Action::SayReady]);
    assert_eq!(story.then(Happening::Wake), []);
    assert_eq!(story.machine.start(), 1);
}

#[test]
fn two_attempts_share_one_limit() {
    let mut story = Story::new(10);
    let begin = story.begin;
    story.then(Happening::Wake);
    assert_eq!(story.after(SECOND, RETRY), [story.attempt(1, 2, begin)]);
    assert_eq!(story.after(SECOND, RETRY), [Action::SayFailed { retry_after: None }]);
}

#[test]
fn no_second_attempt_without_time_or_hope() {
    for (wait, happening) in [(LIMIT, RETRY), (SECOND, Happening::AttemptFailed { retry: false, jitter: 0 })] {
        let mut story = Story::new(10);
        story.then(Happening::Wake);
        assert_eq!(story.after(wait, happening), [Action::SayFailed { retry_after: None }], "{wait:?}");
    }
    let mut story = Story::new(10);
    story.then(Happening::Wake);
    let just_in_time = story.after(LIMIT - Duration::from_millis(1), RETRY);
    assert!(matches!(just_in_time.as_slice(), [Action::Attempt { attempt: 2, .. }]));
}

#[test]
fn failures_back_off_and_success_forgets_them() {
    let mut story = Story::new(10);
    assert_eq!(story.fail(), [Action::SayFailed { retry_after: None }]);
    let until = story.now + SECOND;
    assert_eq!(story.fail(), [Action::SayFailed { retry_after: Some(SECOND) }, Action::WakeAt(until)]);
    let half = SECOND / 2;
    assert_eq!(story.after(half, Happening::Wake), [Action::SayBackingOff { retry_after: half }]);
    assert_eq!(story.after(half, Happening::Due), [Action::SayRetryNow]);
    let failed = story.fail();
    assert_eq!(failed.first(), Some(&Action::SayFailed { retry_after: Some(2 * SECOND) }));
    // A request at the very end of the wait is not told to wait for nothing.
    story.now += 2 * SECOND;
    story.up();
    story.then(Happening::Died);
    assert_eq!(story.fail(), [Action::SayFailed { retry_after: None }]);
}

#[test]
fn twenty_requests_to_a_broken_app_start_few_processes() {
    let mut story = Story::new(10);
    let mut attempts = 0;
    for _ in 0..20 {
        let actions = story.after(SECOND / 4, Happening::Wake);
        if actions.iter().any(|a| matches!(a, Action::Attempt { .. })) {
            attempts += 1;
            story.then(Happening::AttemptFailed { retry: false, jitter: 0 });
        }
    }
    // At 0, 0.25, 1.25 and 3.25 s.
    assert_eq!(attempts, 4);
}

#[test]
fn waits_double_up_to_a_limit_with_jitter_on_top() {
    let settings = BackOff::default();
    let cases =
        [(0, None), (1, None), (2, Some(1)), (3, Some(2)), (4, Some(4)), (7, Some(32)), (8, Some(60)), (99, Some(60))];
    for (failures, expected) in cases {
        assert_eq!(back_off(settings, failures, 0), expected.map(Duration::from_secs), "{failures}");
    }
    assert_eq!(back_off(settings, 2, 1000), Some(Duration::from_millis(1250)));
    assert_eq!(back_off(settings, 99, 1000), Some(Duration::from_secs(75)));
    assert_eq!(back_off(settings, u32::MAX, 0), Some(Duration::from_secs(60)));
}

#[test]
fn a_crash_waits_for_the_next_request() {
    let mut story = Story::new(10);
    story.up();
    assert_eq!(story.then(Happening::Died), [Action::SayIdle, Action::CleanUp]);
    let again = story.attempt(2, 1, story.now);
    assert_eq!(story.then(Happening::Wake), [Action::SayStarting, again]);
}

#[test]
fn one_crash_too_many_blocks_until_the_window_moves() {
    for crashes_max in [0, 1, 3] {
        let mut story = Story::new(crashes_max);
        let first = story.begin;
        for _ in 0..=crashes_max {
            story.up();
            story.after(SECOND, Happening::Died);
        }
        let until = first + SECOND + super::CRASH_WINDOW;
        let crashes = crashes_max + 1;
        let refused = Action::SayTooManyCrashes { crashes, retry_after: until - story.now };
        assert_eq!(story.then(Happening::Wake), [refused, Action::WakeAt(until)], "{crashes_max}");
        let refused = Action::SayTooManyCrashes { crashes, retry_after: until - story.now - SECOND };
        assert_eq!(story.after(SECOND, Happening::Wake), [refused]);
        story.now = until;
        assert_eq!(story.then(Happening::Due), [Action::SayRetryNow]);
        story.up();
    }
}

#[test]
fn crashes_within_the_budget_never_block() {
    let mut story = Story::new(1);
    for _ in 0..20 {
        story.up();
        // Two within a minute are one too many; these are further apart.
        story.after(super::CRASH_WINDOW / 2, Happening::Died);
        story.now += super::CRASH_WINDOW / 2;
    }
}

#[test]
fn only_the_current_start_is_suspected() {
    let mut story = Story::new(10);
    story.up();
    assert_eq!(story.then(Happening::Suspect(1)), [Action::Look]);
    assert_eq!(story.then(Happening::Suspect(7)), []);
    story.then(Happening::Died);
    assert_eq!(story.then(Happening::Suspect(1)), []);
}

#[test]
fn many_suspicions_lead_to_few_looks() {
    let mut story = Story::new(10);
    story.up();
    assert_eq!(story.then(Happening::Suspect(1)), [Action::Look]);
    let next = story.now + super::LOOK_PAUSE;
    for _ in 0..3 {
        assert_eq!(story.then(Happening::Suspect(1)), [Action::WakeAt(next)]);
    }
    assert_eq!(story.after(super::LOOK_PAUSE, Happening::Due), [Action::Look]);
}

#[test]
fn a_stop_ends_every_state() {
    let cases: [(&[Happening], &[Action]); 5] = [
        (&[], &[Action::SayDraining, Action::Finish]),
        (&[Happening::Wake], &[Action::SayDraining, Action::Abandon, Action::Finish]),
        (&[Happening::Wake, Happening::Listening], &[Action::SayDraining, Action::StopBackend, Action::Finish]),
        (
            &[Happening::Wake, Happening::AttemptFailed { retry: false, jitter: 0 }],
            &[Action::SayDraining, Action::Finish],
        ),
        (&[Happening::Stop], &[]),
    ];
    for (before, expected) in cases {
        let mut story = Story::new(10);
        for happening in before {
            story.then(*happening);
        }
        assert_eq!(story.then(Happening::Stop), expected, "{before:?}");
        for late in [Happening::Wake, Happening::Died, Happening::Due, Happening::Listening] {
            assert_eq!(story.then(late), [], "{late:?}");
        }
    }
}
