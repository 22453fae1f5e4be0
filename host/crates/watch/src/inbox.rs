//! What wakes the watching thread, and where its news wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::settings::same_name;
use crate::topic::Stir;
use crate::{Change, News, Settings, Trouble, What};

/// Troubles that wait to be taken, at most; later ones are dropped.
const TROUBLES_MAX: usize = 256;

/// Why events of a watched folder matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// The folder, or one below it, of the topic at this index.
    Within { topic: usize, below: PathBuf, what: Arc<What> },
    /// The folder that holds the topic's folder, which has this name.
    Beside { topic: usize, name: OsString },
}

impl Role {
    /// The index of the topic.
    pub(crate) fn topic(&self) -> usize {
        match self {
            Self::Within { topic, .. } | Self::Beside { topic, .. } => *topic,
        }
    }
}

/// New settings, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) settings: Settings,
    pub(crate) answer: oneshot::Sender<Vec<Trouble>>,
}

/// What the thread, the system's events and the owner share.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    wake: Condvar,
    told: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) stopped: bool,
    pub(crate) order: Option<Order>,
    /// By the system's events, of each topic by its index.
    pub(crate) stirs: Vec<Option<Stir>>,
    /// Watched folders that moved or went: their watch has to be made anew.
    pub(crate) lost: BTreeSet<PathBuf>,
    pub(crate) routes: HashMap<PathBuf, Vec<Role>>,
    changes: VecDeque<Change>,
    troubles: VecDeque<Trouble>,
}

impl Inbox {
    /// The shared state; a thread that panicked has left it whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.wake.notify_all();
    }

    /// Hands new settings over; an order not yet taken is replaced.
    pub(crate) fn order(&self, order: Order) {
        self.lock().order = Some(order);
        self.wake.notify_all();
    }

    /// Sleeps until `due` (events can bring that forward), an order or the end.
    pub(crate) fn wait(&self, due: impl Fn(&Inner) -> Instant) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            let due = due(&inner);
            if inner.stopped || inner.order.is_some() || due <= now {
                return inner;
            }
            inner = match self.wake.wait_timeout(inner, due - now) {
                Ok((inner, _)) => inner,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Lays a change down for the owner; one of the same topic takes it in.
    pub(crate) fn tell(&self, change: Change) {
        let mut inner = self.lock();
        match inner.changes.iter_mut().find(|waiting| waiting.topic == change.topic) {
            Some(waiting) => waiting.merge(change),
            None => inner.changes.push_back(change),
        }
        drop(inner);
        self.told.notify_one();
    }

    /// Lays a trouble down for the owner.
    pub(crate) fn complain(&self, trouble: Trouble) {
        let mut inner = self.lock();
        if inner.troubles.len() < TROUBLES_MAX {
            inner.troubles.push_back(trouble);
        }
        drop(inner);
        self.told.notify_one();
    }

    /// The next news; cancel safe, as it takes nothing before it returns.
    pub(crate) async fn next(&self) -> News {
        loop {
            // Made before the look, so a word laid down after it is not missed.
            let told = self.told.notified();
            {
                let mut inner = self.lock();
                if let Some(trouble) = inner.troubles.pop_front() {
                    return News::Troubled(trouble);
                }
                if let Some(change) = inner.changes.pop_front() {
                    return News::Changed(change);
                }
            }
            told.await;
        }
    }

    /// Takes in one of the system's events. Runs on the thread that reads them.
    pub(crate) fn event(&self, event: notify::Result<Event>) {
        let mut inner = self.lock();
        let stirred = match event {
            Ok(event) => inner.route(&event),
            Err(_) => inner.all(),
        };
        let now = Instant::now();
        for topic in &stirred {
            if let Some(stir) = inner.stirs.get_mut(*topic) {
                stir.get_or_insert(Stir::at(now)).last = now;
            }
        }
        drop(inner);
        if !stirred.is_empty() {
            self.wake.notify_all();
        }
    }
}

impl Inner {
    fn all(&mut self) -> Vec<usize> {
        self.lost = self.routes.keys().cloned().collect();
        (0..self.stirs.len()).collect()
    }

    /// The topics that an event concerns.
    fn route(&mut self, event: &Event) -> Vec<usize> {
        if event.need_rescan() {
            return self.all();
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        // Our own looks open folders: reading must not cause a look.
        if event.kind.is_access() && event.kind != written {
            return Vec::new();
        }
        let mut stirred = Vec::new();
        for path in &event.paths {
            if let Some(roles) = self.routes.get(path) {
                stirred.extend(roles.iter().map(Role::topic));
                if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                    self.lost.insert(path.clone());
                }
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            for role in self.routes.get(parent).into_iter().flatten() {
                let concerns = match role {
                    Role::Beside { name: folder, .. } => same_name(name, folder, cfg!(windows)),
                    Role::Within { below, what, .. } => {
                        let below = below.join(name);
                        what.matches(&below) || (what.enters(&below) && is_new_folder(event.kind, path))
                    }
                };
                if concerns {
                    stirred.push(role.topic());
                }
            }
        }
        stirred
    }
}

/// True if the event brought a folder; a rename does not say what it renamed.
fn is_new_folder(kind: EventKind, path: &Path) -> bool {
    match kind {
        EventKind::Create(CreateKind::Folder) => true,
        EventKind::Create(CreateKind::File) => false,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Metadata(_)) => {
            fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
        }
        _ => false,
    }
}
