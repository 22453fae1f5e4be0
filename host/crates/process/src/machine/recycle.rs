//! When an instance is due to be replaced.

use crate::event::Why;
use crate::settings::Recycle;
use jiff::{ToSpan as _, Zoned};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what the instances carry.
pub(super) const MEASURE_PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at their memory: it means a walk through `/proc`.
pub(super) const MEMORY_PAUSE: Duration = Duration::from_secs(5);
/// The time of day is looked at this often, since clocks are set and machines sleep.
const CLOCK_PAUSE: Duration = Duration::from_secs(60);

/// What makes one instance due, its jitter applied.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// More requests than this.
    pub(super) requests: Option<u64>,
    /// More memory than this, bytes.
    pub(super) memory_bytes: Option<u64>,
    /// This old.
    pub(super) age_at: Option<Instant>,
    /// Added to each time of day.
    pub(super) delay: Duration,
    /// The next time of day, and when to look at the clock again.
    pub(super) daily: Option<(Zoned, Instant)>,
    /// Why it is due, and since when it may be replaced.
    pub(super) due: Option<(Why, Instant)>,
    /// Failed replacements in a row.
    pub(super) failures: u32,
}

impl Bounds {
    /// Of an instance that takes its first request `now`. `dice` gives numbers
    /// from 0 to 1,000.
    pub(super) fn new(recycle: &Recycle, now: Instant, wall: &Zoned, dice: fn() -> u32) -> Self {
        let jitter = u64::from(recycle.jitter_percent.min(100));
        // Numbers become smaller by it, so that none is ever exceeded by more.
        let less = |max: u64| {
            let most = u128::from(max) * u128::from(jitter) / 100;
            let part = most * u128::from(dice().min(1000)) / 1000;
            max.saturating_sub(u64::try_from(part).unwrap_or(u64::MAX)).max(1)
        };
        let more =
            |time: Duration| time.saturating_mul(u32::try_from(jitter).unwrap_or(0)) / 100 * dice().min(1000) / 1000;
        let mut bounds = Self {
            requests: recycle.requests_max.map(less),
            memory_bytes: recycle.memory_bytes_max.map(less),
            age_at: recycle.age_max.and_then(|age| now.checked_add(age + more(age))),
            // A tenth of ten minutes: a fleet that is told "03:30" should not go at once.
            delay: more(Duration::from_secs(600)),
            daily: None,
            due: None,
            failures: 0,
        };
        bounds.schedule(recycle, now, wall);
        bounds
    }

    fn schedule(&mut self, recycle: &Recycle, now: Instant, wall: &Zoned) {
        self.daily = next_daily(&recycle.minutes_of_day, wall, self.delay).map(|at| (at, now));
        self.look_at_clock(now, wall);
    }

    /// True if the time of day has come; sets the time of the next look.
    fn look_at_clock(&mut self, now: Instant, wall: &Zoned) -> bool {
        let Some((at, look)) = &mut self.daily else { return false };
        let left = Duration::try_from(at.timestamp().duration_since(wall.timestamp())).unwrap_or_default();
        *look = now + left.min(CLOCK_PAUSE);
        left.is_zero()
    }

    /// Notes what is due by time; `wall` is asked for only if needed.
    pub(super) fn by_time(&mut self, recycle: &Recycle, now: Instant, wall: fn() -> Zoned) {
        if self.age_at.is_some_and(|at| at <= now) {
            self.age_at = None;
            self.note(Why::Age, now);
        }
        if self.daily.as_ref().is_some_and(|(_, look)| *look <= now) {
            let wall = wall();
            if self.look_at_clock(now, &wall) {
                self.note(Why::TimeOfDay, now);
                self.schedule(recycle, now, &wall);
            }
        }
    }

    /// Notes that it is due by its requests.
    pub(super) fn by_requests(&mut self, requests: u64, now: Instant) {
        if self.requests.is_some_and(|max| requests >= max) {
            self.note(Why::Requests, now);
        }
    }

    /// Notes that it is due by its memory.
    pub(super) fn by_memory(&mut self, bytes: u64, now: Instant) {
        if self.memory_bytes.is_some_and(|max| bytes > max) {
            self.note(Why::Memory, now);
        }
    }

    fn note(&mut self, why: Why, now: Instant) {
        // The first reason stays, with the wait that its failures have earned.
        self.due.get_or_insert((why, now));
    }

    /// When something of it has to be looked at.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        // What is due already waits for its turn, not for a time.
        let due = self.due.as_ref().map(|(_, at)| *at).filter(|at| *at > now);
        let daily = self.daily.as_ref().map(|(_, look)| *look);
        [due, daily, self.age_at].into_iter().flatten().min()
    }
}

/// The next of these minutes of the day after `wall`, with `delay` added.
///
/// A time that the clocks skip is taken at the moment they jump to; one that
/// comes twice is taken the first time.
fn next_daily(minutes: &[u16], wall: &Zoned, delay: Duration) -> Option<Zoned> {
    let mut best: Option<Zoned> = None;
    for minute in minutes {
        for days in 0..=1 {
            let Some(day) = wall.date().checked_add(days.days()).ok() else { continue };
            let time = i8::try_from(minute / 60).ok().zip(i8::try_from(minute % 60).ok());
            let Some(time) = time.and_then(|(h, m)| jiff::civil::Time::new(h, m, 0, 0).ok()) else { continue };
            let Some(at) = day.to_datetime(time).to_zoned(wall.time_zone().clone()).ok() else { continue };
            // Only times that are ahead by themselves, so that a delay never makes a day's turn come twice.
            if at <= *wall {
                continue;
            }
            let Ok(at) = at.checked_add(delay) else { continue };
            if best.as_ref().is_none_or(|b| at < *b) {
                best = Some(at);
            }
        }
    }
    best
}
