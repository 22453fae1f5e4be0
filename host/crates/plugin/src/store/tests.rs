use super::{ENTRY_BYTES, KEY_BYTES_MAX, Refusal, Store, StoreSettings, VALUE_BYTES_MAX, WhenFull};
use std::sync::atomic::{AtomicU64, Ordering};

fn store(bytes_max: u64, when_full: WhenFull) -> Store {
    Store::new(StoreSettings { bytes_max, when_full })
}

fn text(store: &Store, key: &str, now_ms: u64) -> Option<String> {
    store.get(key, now_ms).map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
}

#[test]
fn versions_never_come_again() {
    let store = store(1 << 20, WhenFull::Evict);
    let first = store.set("a", b"1", None, 0).expect("room");
    assert_eq!(store.set_if("a", b"2", None, 0, 0), Err(Refusal::Conflict), "0: must not exist");
    let second = store.set_if("a", b"2", None, first, 0).expect("still the first");
    assert_eq!(store.set_if("a", b"3", None, first, 0), Err(Refusal::Conflict));
    store.delete("a");
    store.delete("a");
    assert_eq!(store.set_if("a", b"3", None, second, 0), Err(Refusal::Conflict), "gone");
    let third = store.set_if("a", b"2", None, 0, 0).expect("does not exist");
    assert!(first < second && second < third, "{first} {second} {third}");
    assert_eq!(store.get("a", 0).map(|(version, _)| version), Some(third));
}

#[test]
fn numbers_are_added_to() {
    let store = store(1 << 20, WhenFull::Evict);
    assert_eq!(store.increment("n", 5, None, 0), Ok(5));
    assert_eq!(store.increment("n", -7, None, 0), Ok(-2));
    assert_eq!(text(&store, "n", 0).as_deref(), Some("-2"));
    assert_eq!(store.increment("n", i64::MIN, None, 0), Err(Refusal::Overflow));
    assert_eq!(text(&store, "n", 0).as_deref(), Some("-2"), "as it was");
    for other in [&b"x"[..], b"", b"9223372036854775808", b"1.5", &[0xff]] {
        store.set("n", other, None, 0).expect("room");
        assert_eq!(store.increment("n", 1, None, 0), Err(Refusal::NotANumber));
    }
}

#[test]
fn entries_end_at_their_time() {
    let store = store(1 << 20, WhenFull::Evict);
    store.set("a", b"1", Some(1000), 50).expect("room");
    store.set("for-ever", b"1", Some(u64::MAX), 50).expect("room");
    assert_eq!(text(&store, "a", 1049).as_deref(), Some("1"));
    assert_eq!(text(&store, "a", 1050), None);
    assert_eq!(store.set_if("a", b"2", None, 0, 1050).map(|_| ()), Ok(()), "an ended entry is none");
    assert_eq!(store.set("a", b"1", Some(0), 0), Err(Refusal::NoTime));
    // A window of counts has the end of its first one.
    assert_eq!(store.increment("n", 1, Some(100), 0), Ok(1));
    assert_eq!(store.increment("n", 1, Some(100), 99), Ok(2));
    assert_eq!(store.increment("n", 1, Some(100), 100), Ok(1));
    assert!(text(&store, "for-ever", u64::MAX - 1).is_some());
}

#[test]
fn what_has_ended_gives_its_room_back_to_writes() {
    let store = store(1 << 20, WhenFull::Refuse);
    for n in 0..1000 {
        store.set(&format!("short-{n}"), b"1", Some(10), 0).expect("room");
    }
    let full = store.bytes();
    for n in 0..1000 {
        store.set(&format!("long-{n}"), b"1", None, 20).expect("room");
    }
    assert!(store.bytes() < full + full / 8, "{} after {full}", store.bytes());
}

#[test]
fn keys_and_values_are_bounded() {
    let store = store(16 << 20, WhenFull::Refuse);
    let key = "k".repeat(KEY_BYTES_MAX);
    assert!(store.set(&key, b"", None, 0).is_ok());
    assert_eq!(store.set(&format!("{key}k"), b"", None, 0), Err(Refusal::TooLarge));
    let value = vec![0; VALUE_BYTES_MAX + 1];
    assert!(store.set("v", &value[1..], None, 0).is_ok());
    assert_eq!(store.set("v", &value, None, 0), Err(Refusal::TooLarge));
    assert_eq!(store.set_if("v", &value, None, 0, 0), Err(Refusal::TooLarge));
    assert_eq!(store.increment(&format!("{key}k"), 1, None, 0), Err(Refusal::TooLarge));
}

#[test]
fn the_limit_holds_at_its_edge() {
    // Ten entries of one byte of key and nine of value.
    let store = store(10 * (ENTRY_BYTES + 10), WhenFull::Refuse);
    for n in 0..10 {
        store.set(&n.to_string(), b"123456789", None, 0).expect("room");
    }
    assert_eq!(store.bytes(), store.bytes_max());
    assert_eq!(store.set("x", b"", None, 0), Err(Refusal::Full));
    assert_eq!(store.set("0", b"1234567890", None, 0), Err(Refusal::Full), "one byte more");
    assert_eq!(text(&store, "0", 0).as_deref(), Some("123456789"), "a refused write changes nothing");
    assert!(store.set("0", b"12345678", None, 0).is_ok() && store.set("1", b"1234567890", None, 0).is_ok());
    store.delete("2");
    assert!(store.set("x", b"123456789", None, 0).is_ok());
    assert_eq!(store.bytes(), store.bytes_max());
    assert_eq!(store.evicted(), 0);
    // An entry that no store of this size ever holds.
    let large = vec![0; 10 * (usize::try_from(ENTRY_BYTES).expect("small") + 10)];
    assert_eq!(store.set("y", &large, None, 0), Err(Refusal::TooLarge));
}

#[test]
fn the_oldest_go_first_and_what_was_read_later() {
    let store = store(10 * (ENTRY_BYTES + 10), WhenFull::Evict);
    for n in 0..10 {
        store.set(&n.to_string(), b"123456789", None, 0).expect("room");
    }
    assert!(store.get("0", 0).is_some());
    store.set("a", b"123456789", None, 0).expect("one goes");
    assert_eq!((text(&store, "0", 0).is_some(), text(&store, "1", 0)), (true, None));
    store.set("2", b"12345678", None, 0).expect("it becomes the newest");
    store.set("b", b"123456789", None, 0).expect("one goes");
    assert_eq!((text(&store, "2", 0).is_some(), text(&store, "3", 0)), (true, None));
    assert_eq!(store.evicted(), 2);
    // A flood of unread entries never grows the store.
    for n in 0..10_000 {
        store.set(&format!("f{n}"), b"1", None, 0).expect("room is made");
        assert!(store.bytes() <= store.bytes_max());
    }
}

#[test]
fn a_smaller_limit_is_taken_at_once() {
    let store = store(1 << 20, WhenFull::Evict);
    for n in 0..1000 {
        store.set(&n.to_string(), b"1", None, 0).expect("room");
    }
    store.configure(StoreSettings { bytes_max: 65_536, when_full: WhenFull::Refuse });
    assert!(store.set("x", b"1", None, 0).is_err(), "full: nothing may go");
    store.configure(StoreSettings { bytes_max: 65_536, when_full: WhenFull::Evict });
    assert!(store.bytes() <= 65_536, "{}", store.bytes());
    assert!(text(&store, "999", 0).is_some());
}

#[test]
fn threads_lose_no_update() {
    const THREADS: u64 = 4;
    const TURNS: u64 = 2_000;
    let store = store(1 << 20, WhenFull::Evict);
    let conflicts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    store.increment("sum", 1, None, 0).expect("a number");
                    while add_by_hand(&store).is_err() {
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let all = (THREADS * TURNS).to_string();
    assert_eq!(text(&store, "sum", 0), Some(all.clone()));
    assert_eq!(text(&store, "by-hand", 0), Some(all), "{} conflicts", conflicts.into_inner());
}

/// Read, add, write if nobody else did.
fn add_by_hand(store: &Store) -> Result<u64, Refusal> {
    let (seen, value) = store.get("by-hand", 0).unwrap_or_else(|| (0, b"0".as_slice().into()));
    let sum: u64 = std::str::from_utf8(&value).expect("digits").parse().expect("a number");
    store.set_if("by-hand", (sum + 1).to_string().as_bytes(), None, seen, 0)
}

#[test]
fn threads_at_the_limit_stay_below_it() {
    for when_full in [WhenFull::Evict, WhenFull::Refuse] {
        let store = store(50 * (ENTRY_BYTES + 100), when_full);
        let (store, over) = (&store, &AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for n in 0..5_000_usize {
                        let key = format!("{}", (n * 7 + thread * 13) % 200);
                        // Full or not: what counts is the sum.
                        let _ = store.set(&key, &vec![0; n % 300], (n % 3 == 0).then_some(5), n as u64);
                        if n % 5 == 0 {
                            store.delete(&key);
                        }
                        over.fetch_add(u64::from(store.bytes() > store.bytes_max()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(over.load(Ordering::Relaxed), 0, "{when_full:?}");
        for n in 0..200 {
            store.delete(&n.to_string());
        }
        assert_eq!(store.bytes(), 0, "{when_full:?}: all is accounted for");
    }
}
