//! What one instance of the backend carries, shared by all workers and supervision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// The load of one instance: requests that run on it, and how it has behaved.
///
/// Workers write it, supervision reads it to know when a retired instance is
/// empty, when it is due for recycling, and whether it idles.
#[derive(Debug)]
#[repr(align(128))]
pub struct Load {
    born: Instant,
    outstanding: AtomicUsize,
    requests: AtomicU64,
    retired: AtomicBool,
    faults: AtomicU32,
    ejections: AtomicU32,
    ejected_until_ms: AtomicU64,
}

impl Load {
    /// Nothing runs, nothing happened; `born` is where its clock starts.
    #[must_use]
    pub fn new(born: Instant) -> Arc<Self> {
        Arc::new(Self {
            born,
            outstanding: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            faults: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
        })
    }

    /// Takes a request on; none once the instance is retired.
    ///
    /// After [`Load::retire`] and a look at [`Load::outstanding`] that says 0, no
    /// later request can be running: this side counts before it looks, the other
    /// retires before it looks.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Option<InFlight> {
        self.outstanding.fetch_add(1, Ordering::SeqCst);
        let in_flight = InFlight(Arc::clone(self));
        if self.retired.load(Ordering::SeqCst) {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(in_flight)
    }

    /// Lets no further request in.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// True once no further request is let in.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Requests whose response has not ended.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::SeqCst)
    }

    /// Requests taken on since the start.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A usable response came: the count of faults in a row starts anew.
    pub fn succeeded(&self) {
        // Most often it is 0 already, and a load keeps the line shared.
        if self.faults.load(Ordering::Relaxed) != 0 {
            self.faults.store(0, Ordering::Relaxed);
            self.ejections.store(0, Ordering::Relaxed);
        }
    }

    /// No usable response came; the number of such faults in a row.
    pub fn failed(&self) -> u32 {
        self.faults.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Takes it out of the choice until `until`, unless it is out at `now` already:
    /// of several that notice the same faults, one ejects. How often in a row that
    /// was done, or none where it was not this call's doing.
    pub fn eject_once(&self, now: Instant, until: Instant) -> Option<u32> {
        let before = self.ejected_until_ms.load(Ordering::Relaxed);
        if before != 0 && before > self.ms(now) {
            return None;
        }
        let taken =
            self.ejected_until_ms.compare_exchange(before, self.ms(until), Ordering::Relaxed, Ordering::Relaxed);
        taken.ok().map(|_| self.ejections.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }

    /// Ejections in a row, without a usable response between them.
    #[must_use]
    pub fn ejections(&self) -> u32 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// True while it is out of the choice.
    #[must_use]
    pub fn is_ejected(&self, now: Instant) -> bool {
        let until = self.ejected_until_ms.load(Ordering::Relaxed);
        until != 0 && until > self.ms(now)
    }

    /// True if it has ever been out of the choice; spares a look at the clock.
    #[must_use]
    pub fn was_ejected(&self) -> bool {
        self.ejected_until_ms.load(Ordering::Relaxed) != 0
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

/// One request on an instance, from its choice to the last byte of its response.
#[derive(Debug)]
pub struct InFlight(Arc<Load>);

impl InFlight {
    /// The instance's load.
    #[must_use]
    pub fn load(&self) -> &Arc<Load> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.outstanding.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Load;
    use std::time::{Duration, Instant};

    #[test]
    fn a_request_counts_from_its_choice_to_its_end() {
        let load = Load::new(Instant::now());
        let first = load.begin().unwrap();
        let second = load.begin().unwrap();
        assert_eq!((load.outstanding(), load.requests()), (2, 2));
        drop(first);
        load.retire();
        assert!(load.begin().is_none());
        assert_eq!((load.outstanding(), load.requests()), (1, 2));
        drop(second);
        assert_eq!(load.outstanding(), 0);
    }

    #[test]
    fn no_request_slips_past_a_retirement() {
        for _ in 0..500 {
            let load = Load::new(Instant::now());
            let worker = {
                let load = std::sync::Arc::clone(&load);
                std::thread::spawn(move || load.begin())
            };
            load.retire();
            let seen = load.outstanding();
            // Whoever got in is still inside, so it must have been seen.
            let in_flight = worker.join().unwrap();
            assert!(in_flight.is_none() || seen == 1);
        }
    }

    #[test]
    fn faults_at_once_eject_once() {
        let born = Instant::now();
        let load = Load::new(born);
        let ms = |ms| born + Duration::from_millis(ms);
        let cases = [(0, 50, Some(1)), (0, 60, None), (49, 60, None), (50, 90, Some(2)), (89, 99, None)];
        for (now, until, expected) in cases {
            assert_eq!(load.eject_once(ms(now), ms(until)), expected, "{now} {until}");
        }
        assert!(load.is_ejected(ms(89)) && !load.is_ejected(ms(90)));
    }

    #[test]
    fn ejection_ends_by_itself_and_success_forgives() {
        let born = Instant::now();
        let ms = |ms| born + Duration::from_millis(ms);
        let load = Load::new(born);
        assert!(!load.was_ejected());
        assert_eq!((load.failed(), load.failed()), (1, 2));
        assert_eq!(load.eject_once(born, ms(50)), Some(1));
        assert!(load.was_ejected());
        assert!(load.is_ejected(ms(49)));
        assert!(!load.is_ejected(ms(50)));
        assert_eq!(load.eject_once(ms(50), ms(90)), Some(2));
        load.succeeded();
        assert_eq!((load.failed(), load.ejections()), (1, 0));
    }
}
