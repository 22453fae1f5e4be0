//! The time of a hook: processor time, not time that passes.
//!
//! A hook that the machine leaves waiting has not used its time. Reading a thread's
//! processor time is a system call, too dear for every hook, so nothing is read where a
//! hook begins: it is interrupted at the first tick of the plugin clock after its begin,
//! and only there the count starts. Most hooks are over by then. The others get at most
//! one tick more than their deadline, never less, and no hook gets more than
//! [`wall_max`] on a machine that has no time for it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

use std::time::{Duration, Instant};

/// Length of an epoch: how often the plugin clock looks.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Epochs from a hook's begin to the first look at it.
pub(crate) const FIRST_LOOK_TICKS: u64 = 1;

/// Where the time comes from; tests bring their own.
pub(crate) trait Times {
    /// Processor time that the calling thread has used.
    fn cpu(&mut self) -> Duration;
    /// Time that has passed since any fixed moment.
    fn wall(&mut self) -> Duration;
}

/// The system's clocks.
pub(crate) struct SystemTimes {
    origin: Instant,
}

impl SystemTimes {
    /// `origin`: any moment before now.
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin }
    }
}

impl Times for SystemTimes {
    fn cpu(&mut self) -> Duration {
        system::thread_cpu()
    }

    fn wall(&mut self) -> Duration {
        self.origin.elapsed()
    }
}

/// What the interrupted hook may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Go on for so many epochs.
    GoOn(u64),
    /// Its time is used up.
    Stop,
}

/// One hook's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    deadline: Duration,
    /// Processor and passed time at the first look; `None` before it.
    seen: Option<(Duration, Duration)>,
}

impl Budget {
    /// A hook that begins now.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { deadline, seen: None }
    }

    /// Processor time that it has in all.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Looks at the hook; called on the thread that runs it.
    pub(crate) fn look(&mut self, times: &mut impl Times) -> Judgement {
        let (cpu, wall) = (times.cpu(), times.wall());
        let (cpu_seen, wall_seen) = *self.seen.get_or_insert((cpu, wall));
        let cpu_left = self.deadline.saturating_sub(cpu.saturating_sub(cpu_seen));
        let wall_left = wall_max(self.deadline).saturating_sub(wall.saturating_sub(wall_seen));
        let left = cpu_left.min(wall_left);
        if left.is_zero() { Judgement::Stop } else { Judgement::GoOn(ticks(left)) }
    }
}

/// Longest that a hook may take by the clock on the wall, waiting for a processor included:
/// four times its deadline, at least a second more than it.
pub(crate) fn wall_max(deadline: Duration) -> Duration {
    deadline.saturating_mul(4).max(deadline + Duration::from_secs(1))
}

/// Epochs that cover a time.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Budget, Judgement, SystemTimes, Times, wall_max};
    use std::time::{Duration, Instant};

    /// Clocks that a test sets: processor and passed time in microseconds.
    struct Set(u64, u64);

    impl Times for Set {
        fn cpu(&mut self) -> Duration {
            Duration::from_micros(self.0)
        }

        fn wall(&mut self) -> Duration {
            Duration::from_micros(self.1)
        }
    }

    fn judged(deadline_ms: u64, looks: &[(u64, u64)]) -> Vec<Judgement> {
        let mut budget = Budget::new(Duration::from_millis(deadline_ms));
        // Both clocks have run before: only differences count.
        looks.iter().map(|(cpu, wall)| budget.look(&mut Set(7_000_000 + cpu, 9_000_000 + wall))).collect()
    }

    #[test]
    fn only_used_time_counts() {
        use Judgement::{GoOn, Stop};
        for (looks, expected) in [
            // Computes all the time.
            (&[(0, 0), (10_000, 10_000)][..], &[GoOn(10), Stop][..]),
            // Used up to the microsecond, and one less.
            (&[(0, 0), (9_999, 10_500), (10_000, 11_000)], &[GoOn(10), GoOn(1), Stop]),
            // Preempted: ten times the deadline passes, and it goes on.
            (&[(0, 0), (1_000, 100_000), (4_500, 200_000), (10_000, 300_000)], &[GoOn(10), GoOn(9), GoOn(6), Stop]),
            // No processor at all: the wall holds, 10 ms + 1 s.
            (&[(0, 0), (0, 1_009_999), (0, 1_010_000)], &[GoOn(10), GoOn(1), Stop]),
            // Near the wall it is looked at in time.
            (&[(0, 0), (0, 1_007_000)], &[GoOn(10), GoOn(3)]),
        ] {
            assert_eq!(judged(10, looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn the_wall_is_the_larger_of_two() {
        for (deadline_ms, wall_ms) in [(1, 1_001), (50, 1_050), (333, 1_333), (400, 1_600), (60_000, 240_000)] {
            assert_eq!(wall_max(Duration::from_millis(deadline_ms)), Duration::from_millis(wall_ms));
        }
    }

    #[test]
    fn the_systems_clocks_run() {
        let mut times = SystemTimes::new(Instant::now());
        let (cpu, wall) = (times.cpu(), times.wall());
        while times.cpu() <= cpu || times.wall() <= wall {
            std::hint::spin_loop();
        }
    }
}
