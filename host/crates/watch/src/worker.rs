//! The thread that looks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::events::{Maker, Place, Watches};
use crate::identity::Identity;
use crate::inbox::{Inbox, Inner, Order, Role};
use crate::look::Look;
use crate::topic::{Stir, Topic};
use crate::{Settings, Trouble, TroubleKind};

/// Looks by time come no closer than this.
const POLL_MIN: Duration = Duration::from_millis(10);
/// Looks in a row that new watches ask for, at most; the next regular one sees the rest.
const LOOKS_IN_A_ROW: usize = 3;

/// The state of the watching thread.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    watches: Watches,
    topics: Vec<Topic>,
    places: Vec<Vec<Place>>,
    settings: Settings,
    complained: BTreeSet<(usize, u8)>,
    troubles: Vec<Trouble>,
    retry: bool,
}

impl Worker {
    pub(crate) fn new(inbox: Arc<Inbox>, maker: Maker) -> Self {
        Self {
            inbox,
            watches: Watches::new(maker),
            topics: Vec::new(),
            places: Vec::new(),
            settings: Settings::default(),
            complained: BTreeSet::new(),
            troubles: Vec::new(),
            retry: false,
        }
    }

    /// Looks, tells, sleeps, until the owner is gone.
    pub(crate) fn run(mut self) {
        let inbox = Arc::clone(&self.inbox);
        loop {
            let mut inner = inbox.wait(|inner| self.due(inner));
            if inner.stopped {
                return;
            }
            if let Some(order) = inner.order.take() {
                drop(inner);
                self.retarget(order);
                continue;
            }
            let now = Instant::now();
            let due = self.take_due(&mut inner, now);
            let lost = !inner.lost.is_empty();
            drop(inner);
            self.look(due, lost);
            for trouble in std::mem::take(&mut self.troubles) {
                inbox.complain(trouble);
            }
        }
    }

    fn poll(&self) -> Duration {
        self.settings.poll.max(POLL_MIN)
    }

    fn due(&self, inner: &Inner) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let stirs = inner.stirs.iter().copied().chain(std::iter::repeat(None));
        self.topics.iter().zip(stirs).map(|(topic, stir)| topic.due(stir, self.poll())).fold(far, Instant::min)
    }

    fn take_due(&self, inner: &mut Inner, now: Instant) -> Vec<(usize, Option<Stir>)> {
        let mut due = Vec::new();
        for (index, topic) in self.topics.iter().enumerate() {
            let stir = inner.stirs.get(index).copied().flatten();
            if topic.due(stir, self.poll()) <= now {
                due.push((index, stir));
                if let Some(stir) = inner.stirs.get_mut(index) {
                    *stir = None;
                }
            }
        }
        due
    }

    fn look(&mut self, due: Vec<(usize, Option<Stir>)>, lost: bool) {
        let mut lost = lost || self.retry;
        let mut due = due;
        for _ in 0..LOOKS_IN_A_ROW {
            for (index, stir) in std::mem::take(&mut due) {
                let Some(topic) = self.topics.get(index) else { continue };
                let look = Look::at(&topic.watched);
                lost |= self.note(index, &look);
                let Some(topic) = self.topics.get_mut(index) else { continue };
                if let Some(change) = topic.take(look, stir, Instant::now()) {
                    self.inbox.tell(change);
                }
            }
            if !lost || !self.keep() {
                return;
            }
            lost = false;
            due = (0..self.topics.len()).map(|index| (index, None)).collect();
        }
    }

    fn retarget(&mut self, order: Order) {
        let Order { settings, answer } = order;
        let old = std::mem::take(&mut self.topics);
        self.complained.clear();
        self.places = vec![Vec::new(); settings.topics.len()];
        self.settings = settings;
        for (index, watched) in self.settings.topics.clone().into_iter().enumerate() {
            let look = Look::at(&watched);
            let now = Instant::now();
            let before =
                old.iter().find(|old| old.watched.name == watched.name && old.watched.folder == watched.folder);
            self.topics.push(match before {
                Some(before) => Topic::succeed(watched, &look, now, before),
                None => Topic::new(watched, &look, now),
            });
            self.note(index, &look);
        }
        self.inbox.lock().stirs = vec![None; self.topics.len()];
        if self.keep() {
            let all = (0..self.topics.len()).map(|index| (index, None)).collect();
            self.look(all, false);
        }
        // Whoever asked may have stopped waiting: then the troubles wait with the news.
        if let Err(troubles) = answer.send(std::mem::take(&mut self.troubles)) {
            for trouble in troubles {
                self.inbox.complain(trouble);
            }
        }
    }

    /// Notes where a look has been and what troubled it; true if the places differ from before.
    fn note(&mut self, index: usize, look: &Look) -> bool {
        for (path, kind) in &look.troubles {
            self.complain(index, path, kind.clone());
        }
        let (Some(topic), Some(known)) = (self.topics.get(index), self.places.get_mut(index)) else { return false };
        let places = places(index, topic, look);
        let differ = *known != places;
        *known = places;
        differ
    }

    /// Brings the system's watches in step; true if another look is needed.
    fn keep(&mut self) -> bool {
        if !self.settings.events {
            self.watches.drop_all();
            return false;
        }
        let places: Vec<Place> = self.places.iter().flatten().cloned().collect();
        let (again, trouble) = self.watches.keep(&self.inbox, &places);
        self.retry = trouble.is_some();
        if let Some((at, kind)) = trouble
            && let Some(place) = places.get(at)
        {
            self.complain(place.role.topic(), &place.path, kind);
        }
        again
    }

    fn complain(&mut self, index: usize, path: &Path, kind: TroubleKind) {
        let Some(topic) = self.topics.get(index) else { return };
        if self.complained.insert((index, kind.ordinal())) {
            self.troubles.push(Trouble { topic: topic.watched.name, path: path.to_owned(), kind });
        }
    }
}

/// The folders whose events matter to a topic.
fn places(index: usize, topic: &Topic, look: &Look) -> Vec<Place> {
    let folder = &topic.watched.folder;
    let mut places = Vec::new();
    let what = Arc::new(topic.watched.what.clone());
    let real = fs::canonicalize(folder).ok();
    for (below, identity) in &look.folders {
        if let Some(real) = &real {
            let role = Role::Within { topic: index, below: below.clone(), what: Arc::clone(&what) };
            let path = if below.as_os_str().is_empty() { real.clone() } else { real.join(below) };
            places.push(Place { path, identity: *identity, role });
        }
    }
    // The folder's own name lies in its parent: so it is seen to come, to be replaced or to be linked elsewhere.
    let beside = folder.parent().and_then(|parent| parent_of(parent, folder));
    if let Some((path, identity, name)) = beside {
        places.push(Place { path, identity, role: Role::Beside { topic: index, name } });
    }
    places
}

fn parent_of(parent: &Path, folder: &Path) -> Option<(PathBuf, Identity, std::ffi::OsString)> {
    let path = fs::canonicalize(parent).ok()?;
    let identity = Identity::of(&fs::metadata(&path).ok()?);
    Some((path, identity, folder.file_name()?.to_owned()))
}

#[cfg(test)]
mod tests;
