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

#[test]
fn busy() {
    let turns = |turns: u64, deadline: Duration| {
        house(vec![guest_with("busy", |settings| {
            settings.config_json = format!(r#"{{"turns":{turns}}}"#);
            settings.deadline = deadline;
        })])
    };
    let run = |house: &House| {
        let (cpu, wall) = (thread_cpu(), Instant::now());
        let (_, step) = house.way_in(request("/", &[]));
        (told(&step), thread_cpu() - cpu, wall.elapsed())
    };
    // How many turns take about 20 ms here.
    let (step, used, _) = run(&turns(1_000_000, Duration::from_secs(10)));
    assert_eq!(step, "continue");
    let many = 1_000_000 * 20_000 / u64::try_from(used.as_micros()).expect("short").max(1);

    let deadline = Duration::from_millis(60);
    let house = turns(many, deadline);
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
