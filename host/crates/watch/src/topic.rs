//! When a topic is looked at, and when its change is told.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::look::{Look, Snapshot};
use crate::{Change, Watched};

/// Time between two looks that events ask for, at least.
const LOOK_SPACING: Duration = Duration::from_millis(10);
/// A change that does not come to rest is told after this many settle times.
const SETTLES_MAX: u32 = 10;

/// A stretch of time in which something moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stir {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
}

impl Stir {
    pub(crate) fn at(now: Instant) -> Self {
        Self { first: now, last: now }
    }

    fn rests(self, settle: Duration) -> Instant {
        (self.last + settle).min(self.first + settle * SETTLES_MAX)
    }
}

/// What is known of one topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) watched: Watched,
    told: Snapshot,
    seen: Snapshot,
    cut: bool,
    moved: Option<Stir>,
    looked: Instant,
}

impl Topic {
    /// Takes files as they are now for known.
    pub(crate) fn new(watched: Watched, look: &Look, now: Instant) -> Self {
        let (told, seen) = (look.files.clone(), look.files.clone());
        Self { watched, told, seen, cut: look.cut, moved: None, looked: now }
    }

    /// Takes the place of `old`: what it watched and did not tell yet is not lost.
    pub(crate) fn succeed(watched: Watched, look: &Look, now: Instant, old: &Self) -> Self {
        let mut told = Snapshot::new();
        for (path, stamp) in &look.files {
            if !old.covers(path) {
                told.insert(path.clone(), stamp.clone());
            }
        }
        let mut topic = Self::new(watched, look, now);
        for (path, stamp) in &old.told {
            if topic.covers(path) {
                told.insert(path.clone(), stamp.clone());
            }
        }
        topic.told = told;
        topic.moved = (topic.told != topic.seen).then(|| old.moved.unwrap_or_else(|| Stir::at(now)));
        topic
    }

    /// When to look next, given the events since the last look.
    pub(crate) fn due(&self, events: Option<Stir>, poll: Duration) -> Instant {
        let settle = self.watched.settle;
        let by_time = self.looked + poll;
        let by_events = events.map(|events| events.rests(settle).max(self.looked + LOOK_SPACING));
        let by_rest = self.moved.map(|moved| moved.rests(settle));
        [by_events, by_rest].into_iter().flatten().fold(by_time, Instant::min)
    }

    /// Takes in a look, and tells the change that came to rest.
    pub(crate) fn take(&mut self, mut look: Look, events: Option<Stir>, now: Instant) -> Option<Change> {
        look.complete(&self.seen, self.cut);
        self.looked = now;
        self.cut = look.cut;
        // Events say when a difference came about; without them it is as young as the look.
        let differs = look.files != self.seen;
        self.seen = look.files;
        if self.seen == self.told {
            self.moved = None;
            return None;
        }
        let stir = events.or_else(|| differs.then_some(Stir::at(now)));
        let moved = match (self.moved, stir) {
            (Some(moved), Some(stir)) => Stir { first: moved.first, last: stir.last },
            (Some(stir), None) | (None, Some(stir)) => stir,
            (None, None) => Stir::at(now),
        };
        if moved.rests(self.watched.settle) > now {
            self.moved = Some(moved);
            return None;
        }
        self.moved = None;
        let change = Change::new(self.watched.name, difference(&self.told, &self.seen));
        self.told = self.seen.clone();
        Some(change)
    }

    fn covers(&self, path: &Path) -> bool {
        path.strip_prefix(&self.watched.folder).is_ok_and(|below| self.watched.what.matches(below))
    }
}

/// The paths that are in one only, or differ; in order.
fn difference(old: &Snapshot, new: &Snapshot) -> Vec<std::path::PathBuf> {
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    let other = new.iter().filter(|(path, stamp)| old.get(*path) != Some(stamp)).map(|(path, _)| path);
    let mut paths: Vec<_> = gone.chain(other).cloned().collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
