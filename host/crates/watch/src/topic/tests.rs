use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use super::{Stir, Topic};
use crate::look::Look;
use crate::{Watched, What};

const POLL: Duration = Duration::from_secs(2);

/// A topic of one file, at rest, and its folder.
fn topic(settle_ms: u64, now: Instant) -> (tempfile::TempDir, Topic) {
    let temp = tempfile::tempdir().expect("folder");
    let watched = Watched {
        name: "names",
        folder: temp.path().to_owned(),
        what: What::Names { names: vec!["a".into()], any_case: false },
        settle: Duration::from_millis(settle_ms),
    };
    let look = Look::at(&watched);
    (temp, Topic::new(watched, &look, now))
}

fn grow(temp: &tempfile::TempDir, bytes: usize) {
    fs::write(temp.path().join("a"), vec![b'x'; bytes]).expect("file");
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_file_that_grows_is_told_when_it_rests() {
    let start = Instant::now();
    let (temp, mut topic) = topic(100, start);
    for (at, bytes) in [(0, 1), (60, 2), (120, 3)] {
        grow(&temp, bytes);
        let look = Look::at(&topic.watched);
        assert_eq!(topic.take(look, None, start + ms(at)), None);
        assert_eq!(topic.due(None, POLL), start + ms(at + 100));
    }
    let look = Look::at(&topic.watched);
    assert_eq!(topic.take(look, None, start + ms(219)), None);
    let look = Look::at(&topic.watched);
    assert!(topic.take(look, None, start + ms(220)).is_some());
    assert_eq!(topic.due(None, POLL), start + ms(220) + POLL);
}

#[test]
fn a_file_that_never_rests_is_told_after_ten_times() {
    let start = Instant::now();
    let (temp, mut topic) = topic(100, start);
    for turn in 0..20 {
        grow(&temp, turn + 1);
        let look = Look::at(&topic.watched);
        assert_eq!(topic.take(look, None, start + ms(50 * turn as u64)), None, "turn {turn}");
    }
    grow(&temp, 100);
    let look = Look::at(&topic.watched);
    assert!(topic.take(look, None, start + ms(1000)).is_some());
}

#[test]
fn events_put_the_look_off_to_their_rest() {
    let start = Instant::now();
    let (temp, mut topic) = topic(100, start);
    grow(&temp, 1);
    let stir = Stir { first: start, last: start + ms(700) };
    assert_eq!(topic.due(Some(stir), POLL), start + ms(800));
    let stir = Stir { first: start, last: start + ms(950) };
    assert_eq!(topic.due(Some(stir), POLL), start + ms(1000));
    // One look at their rest is enough: nothing waits a second time.
    let look = Look::at(&topic.watched);
    assert!(topic.take(look, Some(stir), start + ms(1000)).is_some());
}

#[test]
fn what_came_and_went_is_not_told() {
    let start = Instant::now();
    let (temp, mut topic) = topic(100, start);
    grow(&temp, 1);
    let look = Look::at(&topic.watched);
    assert_eq!(topic.take(look, None, start), None);
    fs::remove_file(temp.path().join("a")).expect("file");
    let look = Look::at(&topic.watched);
    assert_eq!(topic.take(look, None, start + ms(100)), None);
    assert_eq!(topic.due(None, POLL), start + ms(100) + POLL);
}

#[test]
fn without_settle_time_it_is_told_at_once() {
    let start = Instant::now();
    let (temp, mut topic) = topic(0, start);
    grow(&temp, 1);
    let look = Look::at(&topic.watched);
    assert!(topic.take(look, None, start).is_some());
}
