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
    /// from 0 to 1,000; `wall` is asked for only if needed, since the first look at
    /// the clock reads the system's time zones.
    pub(super) fn new(recycle: &Recycle, now: Instant, wall: fn() -> Zoned, dice: fn() -> u32) -> Self {
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
        if !recycle.minutes_of_day.is_empty() {
            bounds.schedule(recycle, now, &wall());
        }
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

#[cfg(test)]
mod tests {
    use super::{Bounds, next_daily};
    use crate::event::Why;
    use crate::settings::Recycle;
    use jiff::Zoned;
    use std::time::Duration;
    use tokio::time::Instant;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_time_of_day_survives_clock_changes() {
        const NIGHT: [u16; 1] = [2 * 60 + 30];
        let cases: [(&str, &[u16], &str); 6] = [
            ("2026-06-01T12:00[Europe/Berlin]", &NIGHT, "2026-06-02T02:30[Europe/Berlin]"),
            ("2026-06-01T02:29:59[Europe/Berlin]", &NIGHT, "2026-06-01T02:30[Europe/Berlin]"),
            ("2026-06-01T02:30[Europe/Berlin]", &NIGHT, "2026-06-02T02:30[Europe/Berlin]"),
            ("2026-06-01T12:00[Europe/Berlin]", &[0, 23 * 60 + 59], "2026-06-01T23:59[Europe/Berlin]"),
            // Spring: 02:30 does not exist. Autumn: it comes twice, the first one counts.
            ("2026-03-29T00:00[Europe/Berlin]", &NIGHT, "2026-03-29T03:30[Europe/Berlin]"),
            ("2026-10-25T00:00[Europe/Berlin]", &NIGHT, "2026-10-25T02:30+02:00[Europe/Berlin]"),
        ];
        for (now, minutes, expected) in cases {
            assert_eq!(next_daily(minutes, &at(now), Duration::ZERO), Some(at(expected)), "{now}");
        }
        assert_eq!(next_daily(&[], &at("2026-06-01T12:00[UTC]"), Duration::ZERO), None);
        // After the first of two, the second is not another turn.
        let between = at("2026-10-25T02:30+01:00[Europe/Berlin]");
        assert_eq!(next_daily(&NIGHT, &between, Duration::ZERO), Some(at("2026-10-26T02:30[Europe/Berlin]")));
    }

    #[test]
    fn the_time_of_day_makes_due_once_a_day() {
        let recycle = Recycle { minutes_of_day: vec![12 * 60 + 1], ..Recycle::default() };
        let now = Instant::now();
        let mut bounds = Bounds::new(&recycle, now, || at("2026-06-01T12:00[UTC]"), || 0);
        let look = bounds.next(now).unwrap();
        assert_eq!(look, now + Duration::from_secs(60));
        bounds.by_time(&recycle, look, || "2026-06-01T12:00:59[UTC]".parse().unwrap());
        assert!(bounds.due.is_none());
        let look = bounds.next(now).unwrap();
        bounds.by_time(&recycle, look, || "2026-06-01T12:01:00[UTC]".parse().unwrap());
        assert_eq!(bounds.due.as_ref().map(|(why, _)| why), Some(&Why::TimeOfDay));
        bounds.due = None;
        bounds.by_time(&recycle, look + Duration::from_secs(60), || "2026-06-01T12:02:00[UTC]".parse().unwrap());
        assert!(bounds.due.is_none());
    }

    #[test]
    fn jitter_takes_from_numbers_and_adds_to_times() {
        let recycle = Recycle {
            requests_max: Some(1000),
            memory_bytes_max: Some(1),
            age_max: Some(Duration::from_secs(100)),
            jitter_percent: 10,
            ..Recycle::default()
        };
        let now = Instant::now();
        let nobody = || panic!("without a time of day the clock is not looked at");
        for (dice, requests, age) in [(0, 1000, 100), (1000, 900, 110)] {
            let bounds = Bounds::new(&recycle, now, nobody, if dice == 0 { || 0 } else { || 1000 });
            assert_eq!(bounds.requests, Some(requests));
            assert_eq!(bounds.memory_bytes, Some(1));
            assert_eq!(bounds.age_at, Some(now + Duration::from_secs(age)));
        }
    }
}
