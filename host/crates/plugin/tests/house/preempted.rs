//! A hook that the machine leaves waiting has not used its time.

use crate::clock::thread_cpu;
use crate::harness::{House, guest_with, house, request, told};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Threads that take the processor away while it lives.
struct Crowd(Arc<AtomicBool>);

impl Crowd {
    fn gather() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let count = std::thread::available_parallelism().map_or(4, |cores| cores.get() * 4);
        for _ in 0..count {
            let end = Arc::clone(&end);
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(end)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The guest with so many turns that a hook takes about 20 ms of processor time.
fn busy_for_20_ms(deadline: Duration) -> House {
    let turns = |turns: u64, deadline: Duration| {
        house(vec![guest_with("busy", |settings| {
            settings.config_json = format!(r#"{{"turns":{turns}}}"#);
            settings.deadline = deadline;
        })])
    };
    let trial = turns(1_000_000, Duration::from_secs(10));
    // The first run makes the instance too, and any may be slowed by its neighbours.
    let used = (0..5).map(|_| run(&trial)).map(|(step, used, _)| {
        assert_eq!(step, "continue");
        used
    });
    let used = used.min().expect("five runs");
    turns(1_000_000 * 20_000 / u64::try_from(used.as_micros()).expect("short").max(1), deadline)
}

/// What a request comes to, its processor time, and the time that passes.
fn run(house: &House) -> (String, Duration, Duration) {
    let (cpu, wall) = (thread_cpu(), Instant::now());
    let (_, step) = house.way_in(request("/", &[]));
    (told(&step), thread_cpu() - cpu, wall.elapsed())
}

#[test]
fn busy() {
    let deadline = Duration::from_millis(60);
    let house = busy_for_20_ms(deadline);
    let _crowd = Crowd::gather();
    for _ in 0..50 {
        let (step, used, passed) = run(&house);
        assert_eq!(step, "continue", "{used:?} of processor time in {passed:?}");
        if passed > deadline + Duration::from_millis(10) {
            return;
        }
    }
    panic!("the crowd never took the processor away");
}

#[test]
fn each_hook_has_its_own_time() {
    let house = busy_for_20_ms(Duration::from_millis(60));
    let mut used = Duration::ZERO;
    while used < Duration::from_millis(300) {
        let (step, more, _) = run(&house);
        assert_eq!(step, "continue", "after {used:?} in earlier hooks");
        used += more;
    }
}
