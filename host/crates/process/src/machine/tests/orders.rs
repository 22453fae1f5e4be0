//! Replacement and offline.

use super::{Action, Happening, IDLE, SECOND, STARTING, Story, attempts, plan, ready};
use crate::event::Why;
use crate::machine::{Answer, Down, Plan, View};
use crate::settings::StartMode;
use std::time::Duration;

const OFFLINE: Action = Action::Publish(View::Offline);

fn replace(order: u64, plan: Option<Plan>) -> Happening {
    Happening::Replace { order, plan, why: Why::Asked }
}

fn answer(order: u64, answer: Answer) -> Action {
    Action::Answer { order, answer }
}

/// What became of an order, if it is answered.
fn answered(actions: &[Action]) -> Vec<(u64, Answer)> {
    let found = |action: &Action| match action {
        Action::Answer { order, answer } => Some((*order, *answer)),
        _ => None,
    };
    actions.iter().filter_map(found).collect()
}

fn drain(start: u64) -> [Action; 2] {
    [Action::Retire(start), Action::Drain { start, limit: plan(|_| ()).settings.drain_limit }]
}

/// L43: new ones beside the old, then the turn, then the drain.
#[test]
fn all_new_ones_take_over_together() {
    let mut story = Story::new(|s| s.instances = 2);
    story.up();
    let new = plan(|s| s.instances = 3);
    let begun = story.then(replace(1, Some(new)));
    assert_eq!(begun.first(), Some(&Action::TellReplacing(Why::Asked)));
    assert_eq!(attempts(&begun), [3, 4, 5]);
    assert_eq!(story.proven(3), []);
    assert_eq!(story.proven(5), []);
    story.now += SECOND;
    let turn = story.proven(4);
    assert_eq!(turn.first(), Some(&ready(&[3, 4, 5])));
    assert_eq!(turn.get(1..5).unwrap(), [drain(1), drain(2)].concat());
    assert_eq!(answered(&turn), [(1, Answer::Replaced(3, SECOND))]);
    assert_eq!(story.then(Happening::Gone(1)), []);
    assert_eq!(story.then(Happening::Died(2)), []);
    assert_eq!(story.machine.plan().instances(), 3);
    assert_eq!(story.machine.crashes_within(story.now), 0);
}

#[test]
fn a_failed_one_leaves_everything_as_it_was() {
    for died in [false, true] {
        let mut story = Story::new(|s| s.instances = 2);
        story.up();
        story.then(replace(1, Some(plan(|s| s.instances = 2))));
        story.proven(3);
        let lost = if died {
            story.proven(4);
            // Both have taken over by now: the next order shows the other case.
            story.then(replace(2, None));
            story.proven(5);
            story.then(Happening::Died(5))
        } else {
            story.fail(4)
        };
        let (order, start, other) = if died { (2, 5, 6) } else { (1, 4, 3) };
        assert_eq!(lost.first(), Some(&Action::TellNotReplaced { why: Why::Asked, start }));
        assert_eq!(answered(&lost), [(order, Answer::Failed(start))]);
        assert!(lost.contains(&Action::Kill(other)), "{lost:?}");
        assert_eq!(story.then(Happening::Gone(other)), []);
    }
}

#[test]
fn a_later_order_takes_the_place_of_an_earlier() {
    let mut story = Story::new(|_| ());
    story.up();
    story.then(replace(1, Some(plan(|s| s.instances = 2))));
    let second = story.then(replace(2, None));
    assert_eq!(second.get(..3).unwrap(), [Action::Kill(2), Action::Kill(3), answer(1, Answer::Superseded)]);
    // Without settings of its own it goes on with those of the earlier order.
    assert_eq!(attempts(&second), [4, 5]);
    story.then(Happening::AttemptFailed { start: 2, retry: true });
    story.then(Happening::Gone(3));
    story.proven(4);
    assert_eq!(answered(&story.proven(5)), [(2, Answer::Replaced(2, Duration::ZERO))]);
}

#[test]
fn while_nothing_runs_settings_are_taken_over() {
    let taken = answer(1, Answer::Replaced(0, Duration::ZERO));
    let new = || Some(plan(|s| s.instances = 2));
    let mut story = Story::new(|_| ());
    assert_eq!(story.then(replace(1, new())), std::slice::from_ref(&taken));
    assert_eq!(attempts(&story.then(Happening::Wake)), [1, 2]);

    // A start under way begins anew.
    let mut story = Story::new(|_| ());
    story.then(Happening::Wake);
    let anew = [Action::Kill(1), taken.clone(), Action::Attempt(2), Action::Attempt(3)];
    assert_eq!(story.then(replace(1, new())), anew);

    // A back-off and a budget are forgotten.
    let mut story = Story::new(|s| s.rapid_fails_per_minute = 0);
    story.up();
    story.crash(1);
    assert!(matches!(story.then(Happening::Wake).as_slice(), [Action::Down(Down::TooManyCrashes { .. })]));
    assert_eq!(story.then(replace(1, None)), [IDLE, taken]);
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(2)]);
}

#[test]
fn at_most_two_of_a_number_drain() {
    let mut story = Story::new(|_| ());
    story.up();
    for order in 1..=3 {
        let start = attempts(&story.then(replace(order, None))).first().copied().unwrap();
        let turn = story.proven(start);
        assert_eq!(turn.contains(&Action::Stop(1)), order == 3, "{turn:?}");
        assert!(!turn.contains(&Action::Stop(2)));
    }
}

#[test]
fn without_overlap_the_old_goes_first_and_comes_back_if_need_be() {
    for fixed_port in [false, true] {
        let mut plan = plan(|s| s.overlap = fixed_port);
        plan.fixed_port = fixed_port;
        let mut story = Story::of(plan);
        story.up();
        let begun = story.then(replace(1, None));
        let [retire, limit] = drain(1);
        assert_eq!(begun, [STARTING, Action::TellReplacing(Why::Asked), retire, limit]);
        assert_eq!(story.then(Happening::Wake), []);
        assert_eq!(story.then(Happening::Stopping(1)), []);
        assert_eq!(story.then(Happening::Gone(1)), [Action::Attempt(2)]);
        let failed = story.fail(2);
        assert_eq!(answered(&failed), [(1, Answer::Failed(2))]);
        // The old settings come back at once; if they fail too, it is down.
        assert_eq!(attempts(&failed), [3]);
        assert_eq!(story.fail(3).last(), Some(&Action::Down(Down::Failed)));
    }
}

#[test]
fn a_fixed_port_allows_one_instance() {
    let mut plan = plan(|s| s.instances = 3);
    plan.fixed_port = true;
    let mut story = Story::of(plan);
    assert_eq!(attempts(&story.then(Happening::Wake)), [1]);
}

/// L46, L49: off at once, back with the next request.
#[test]
fn offline_takes_everything_off() {
    let mut story = Story::new(|s| s.shutdown_limit = 7 * SECOND);
    story.up();
    let off = story.then(Happening::Offline(true));
    let limit = 7 * SECOND;
    let expected = [OFFLINE, Action::TellOffline(true), Action::Retire(1), Action::Drain { start: 1, limit }];
    assert_eq!(off.get(..4).unwrap(), expected);
    assert_eq!(story.then(Happening::Wake), []);
    // L47: other bytes.
    assert_eq!(story.then(Happening::Offline(true)), [OFFLINE]);
    assert_eq!(story.then(Happening::Gone(1)), []);
    assert_eq!(story.then(Happening::Offline(false)), [IDLE, Action::TellOffline(false)]);
    assert_eq!(story.then(Happening::Wake), [STARTING, Action::Attempt(2)]);
}

#[test]
fn offline_ends_starts_and_replacements() {
    let mut story = Story::new(|_| ());
    story.then(Happening::Wake);
    assert_eq!(story.then(Happening::Offline(true)), [OFFLINE, Action::TellOffline(true), Action::Kill(1)]);
    // It is on its way out, whatever it still says.
    assert_eq!(story.then(Happening::Listening(1)), []);
    assert_eq!(story.then(Happening::Proven(1)), []);
    story.then(Happening::Gone(1));
    // An order only takes the settings over.
    let taken = |order| answer(order, Answer::Replaced(0, Duration::ZERO));
    assert_eq!(story.then(replace(1, Some(plan(|s| s.start_mode = StartMode::Always)))), [taken(1)]);
    assert_eq!(story.then(Happening::Offline(false)), [STARTING, Action::TellOffline(false), Action::Attempt(2)]);
    story.proven(2);
    story.then(replace(2, None));
    let off = story.then(Happening::Offline(true));
    assert!(off.contains(&Action::Kill(3)) && off.contains(&taken(2)), "{off:?}");
}

#[test]
fn a_stop_answers_and_ends_all() {
    let mut story = Story::new(|_| ());
    story.up();
    story.then(replace(1, None));
    let stop = story.then(Happening::Stop);
    let expected = [
        Action::Publish(View::Draining),
        answer(1, Answer::Stopping),
        Action::Retire(1),
        Action::Stop(1),
        Action::Kill(2),
    ];
    assert_eq!(stop, expected);
    assert_eq!(answered(&story.then(replace(2, None))), [(2, Answer::Stopping)]);
    assert_eq!(story.then(Happening::Gone(2)), []);
    assert_eq!(story.then(Happening::Gone(1)), [Action::Finish]);
}
