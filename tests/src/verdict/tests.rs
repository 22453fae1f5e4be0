use super::{Kill, Verdict, judge};
use crate::load::{Outcome, Record};
use crate::probe::Sight;
use std::time::{Duration, Instant};

/// A storm with one kill of process 7, from 100 to 110 ms after its beginning.
struct Storm {
    begin: Instant,
    kills: [Kill; 1],
}

impl Storm {
    fn new() -> Self {
        let begin = Instant::now();
        let ms = |ms| begin + Duration::from_millis(ms);
        Self { begin, kills: [Kill { pid: 7, at: ms(100), gone: ms(110) }] }
    }

    fn record(&self, from: u64, to: u64, outcome: Outcome) -> Record {
        let ms = |ms| self.begin + Duration::from_millis(ms);
        Record { name: "r".to_owned(), method: "POST", manner: "quick", sent: ms(from), ended: ms(to), outcome }
    }
}

fn by(pid: u32) -> Vec<Sight> {
    vec![Sight { name: "r".to_owned(), start: 1, pid }]
}

#[test]
fn a_request_may_fail_only_with_the_instance_that_had_it() {
    let storm = Storm::new();
    let failed = || Outcome::Refused(502, String::new());
    for (case, from, to, outcome, seen, expected) in [
        ("whole", 0, 200, Outcome::Whole, by(7), Some((1, 0, 0))),
        ("running on the dead", 90, 120, failed(), by(7), Some((0, 1, 0))),
        ("half an answer that shows", 90, 120, Outcome::Broken("half".into()), by(7), Some((0, 1, 0))),
        ("nobody can tell", 105, 120, failed(), vec![], Some((0, 0, 1))),
        ("sent when it was dead", 111, 120, failed(), vec![], None),
        ("over before the kill", 50, 99, failed(), by(7), None),
        ("on another instance", 90, 120, failed(), by(8), None),
        ("another status", 90, 120, Outcome::Refused(503, String::new()), by(7), None),
        ("broken off before its first byte came", 90, 120, Outcome::Unanswered("reset".into()), by(7), Some((0, 1, 0))),
        ("no answer at all", 90, 120, Outcome::Unanswered("reset".into()), vec![], None),
        ("half an answer that looks whole", 90, 120, Outcome::Wrong("half".into()), by(7), None),
    ] {
        let verdict = judge(&[storm.record(from, to, outcome)], &seen, &storm.kills);
        let expected =
            expected.map(|(whole, running, unread_posts)| Verdict { whole, running, unread_posts, unread_gets: 0 });
        assert_eq!(verdict.ok(), expected, "{case}");
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let storm = Storm::new();
    let mut seen = by(7);
    seen.extend(by(8));
    let mut record = storm.record(90, 120, Outcome::Whole);
    assert!(judge(std::slice::from_ref(&record), &seen, &storm.kills).is_err());
    record.method = "GET";
    assert!(judge(&[record], &seen, &storm.kills).is_ok());
}
