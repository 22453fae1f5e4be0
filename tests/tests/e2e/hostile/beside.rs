//! A good client on the same worker, which measures while somebody else misbehaves.

use gatelodge_e2e::Host;
use gatelodge_e2e::wait::{SOON, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A client that asks again and again, each time as soon as it has the whole answer.
pub(super) struct Beside {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: JoinHandle<Vec<Duration>>,
}

/// What it measured.
#[derive(Debug)]
pub(super) struct Times {
    /// 99 of 100 took no longer.
    pub(super) p99: Duration,
    /// The longest.
    pub(super) worst: Duration,
}

impl Beside {
    pub(super) fn begin(host: &Host) -> Self {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut client = host.client();
        let thread = std::thread::spawn({
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            move || {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    let answer = client.get("/good-beside");
                    times.push(begin.elapsed());
                    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "a good request beside it");
                    count.fetch_add(1, Ordering::Relaxed);
                }
                times
            }
        });
        Self { stop, count, thread }
    }

    /// Waits for so many more answers.
    pub(super) fn wait(&self, more: u64) {
        let from = self.count.load(Ordering::Relaxed);
        let enough = || {
            let ended = self.thread.is_finished();
            (ended || self.count.load(Ordering::Relaxed) >= from + more).then_some(())
        };
        until(SOON, "good answers", enough);
    }

    pub(super) fn end(self) -> Times {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().expect("each good request is answered well");
        times.sort();
        let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
        Times { p99: times[at], worst: times[times.len() - 1] }
    }
}
