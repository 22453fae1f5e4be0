use super::{Limiter, LimiterSettings, Outcome, STRIPES};
use std::sync::atomic::{AtomicU64, Ordering};

const MS: u64 = 1_000_000;

fn take(limiter: &Limiter, cost: u32, now_ns: u64) -> Outcome {
    limiter.take(b"key", cost, now_ns).expect("within the burst")
}

#[test]
fn a_bucket_empties_and_fills() {
    // Three in a second, which divides into no whole number of nanoseconds.
    let limiter = Limiter::new(LimiterSettings { burst: 5, ..LimiterSettings::new(3) });
    let outcome = |allowed, remaining, retry_after_ms| Outcome { allowed, limit: 5, remaining, retry_after_ms };
    for (cost, now_ns, expected) in [
        (0, 0, outcome(true, 5, 0)),
        (1, 0, outcome(true, 4, 0)),
        (4, 0, outcome(true, 0, 0)),
        (0, 0, outcome(false, 0, 334)),
        (1, 0, outcome(false, 0, 334)),
        (5, 0, outcome(false, 0, 1667)),
        (1, 333 * MS, outcome(false, 0, 1)),
        (1, 334 * MS, outcome(true, 0, 0)),
        (3, 1333 * MS, outcome(false, 2, 1)),
        (3, 1334 * MS, outcome(true, 0, 0)),
        // An idle bucket is full, and never more than that.
        (5, 100_000 * MS, outcome(true, 0, 0)),
        (1, 100_000 * MS, outcome(false, 0, 334)),
        // Another worker's clock may have been read a little earlier.
        (1, 99_999 * MS, outcome(false, 0, 334)),
    ] {
        assert_eq!(take(&limiter, cost, now_ns), expected, "{cost} at {now_ns}");
    }
    assert_eq!(limiter.take(b"key", 6, u64::MAX), None, "more than the burst");
    assert!(limiter.take(b"other", 5, 0).is_some_and(|outcome| outcome.allowed), "each key has its own");
}

#[test]
fn the_ends_of_the_ranges_do_not_overflow() {
    let most = LimiterSettings { rate: 1_000_000_000, per_ms: 86_400_000, burst: 1_000_000_000, keys_max: 16 };
    for settings in [most, LimiterSettings { rate: 1, burst: 1, ..most }, LimiterSettings { per_ms: 1, ..most }] {
        let limiter = Limiter::new(settings);
        assert!(take(&limiter, settings.burst, 0).allowed);
        assert!(!take(&limiter, settings.burst, 0).allowed);
        assert!(take(&limiter, settings.burst, u64::MAX).allowed);
    }
}

#[test]
fn keys_are_bounded_and_the_busiest_stay() {
    let limiter = Limiter::new(LimiterSettings { burst: 10, keys_max: 16 * 64, ..LimiterSettings::new(1) });
    assert!(limiter.take(b"busy", 10, 0).is_some_and(|outcome| outcome.allowed));
    for n in 0..100_000_u32 {
        assert!(limiter.take(&n.to_le_bytes(), 1, 0).is_some_and(|outcome| outcome.allowed), "new keys are served");
        assert!(limiter.keys() <= 16 * 64, "{} keys", limiter.keys());
    }
    assert!(limiter.take(b"busy", 1, 0).is_some_and(|outcome| !outcome.allowed), "it is not forgotten");
    // One key per lock is the least there is.
    let least = Limiter::new(LimiterSettings { keys_max: 16, ..LimiterSettings::new(1) });
    for n in 0..1000_u32 {
        assert!(least.take(&n.to_le_bytes(), 1, 0).is_some());
    }
    assert!(least.keys() <= STRIPES);
}

#[test]
fn threads_take_exactly_what_there_is() {
    let limiter = Limiter::new(LimiterSettings { burst: 1000, ..LimiterSettings::new(100) });
    let allowed = AtomicU64::new(0);
    for (now_ns, expected) in [(0, 1000), (2_500 * MS, 250), (2_500 * MS, 0), (60_000 * MS, 1000)] {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        allowed.fetch_add(u64::from(take(&limiter, 1, now_ns).allowed), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(allowed.swap(0, Ordering::Relaxed), expected, "at {now_ns}");
    }
}
