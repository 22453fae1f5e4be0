//! The system's watches, kept in step with the folders that matter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::TroubleKind;
use crate::identity::Identity;
use crate::inbox::{Inbox, Role};

/// What gives events: the system, or a test.
pub(crate) trait Engine: Send {
    /// Watches one folder, without those below it.
    fn watch(&mut self, folder: &Path) -> notify::Result<()>;
    /// Ends that; a watch that is gone already is no matter.
    fn unwatch(&mut self, folder: &Path);
}

impl Engine for RecommendedWatcher {
    fn watch(&mut self, folder: &Path) -> notify::Result<()> {
        notify::Watcher::watch(self, folder, RecursiveMode::NonRecursive)
    }

    fn unwatch(&mut self, folder: &Path) {
        let _ = notify::Watcher::unwatch(self, folder);
    }
}

/// Makes an engine that reports to the inbox.
pub(crate) type Maker = fn(Arc<Inbox>) -> notify::Result<Box<dyn Engine>>;

/// The system's own events.
pub(crate) fn system(inbox: Arc<Inbox>) -> notify::Result<Box<dyn Engine>> {
    let watcher = RecommendedWatcher::new(move |event| inbox.event(event), Config::default())?;
    Ok(Box::new(watcher))
}

/// A folder whose events matter, by its real path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) role: Role,
}

/// The watches that are held.
pub(crate) struct Watches {
    maker: Maker,
    engine: Option<Box<dyn Engine>>,
    held: HashMap<Identity, PathBuf>,
}

impl Watches {
    pub(crate) fn new(maker: Maker) -> Self {
        Self { maker, engine: None, held: HashMap::new() }
    }

    /// Watches the given places and no others; true if a place came under watch
    /// or matters to another topic now, so a change may have slipped through before.
    ///
    /// # Errors
    /// The first place without events and why; the others are tried again next time.
    pub(crate) fn keep(&mut self, inbox: &Arc<Inbox>, places: &[Place]) -> (bool, Option<(usize, TroubleKind)>) {
        let engine = match &mut self.engine {
            Some(engine) => engine,
            None => match (self.maker)(Arc::clone(inbox)) {
                Ok(engine) => self.engine.insert(engine),
                Err(error) => return (false, Some((0, no_engine(&error)))),
            },
        };
        // One folder can have two paths (bind mounts), yet the system gives its events once.
        let mut wanted: HashMap<Identity, (PathBuf, usize)> = HashMap::new();
        let mut routes: HashMap<PathBuf, Vec<Role>> = HashMap::new();
        for (index, place) in places.iter().enumerate() {
            let (path, _) = wanted.entry(place.identity).or_insert_with(|| (place.path.clone(), index));
            routes.entry(path.clone()).or_default().push(place.role.clone());
        }
        let lost = {
            let mut inner = inbox.lock();
            std::mem::take(&mut inner.lost)
        };
        self.held.retain(|identity, path| {
            let keep = !lost.contains(path) && wanted.get(identity).is_some_and(|(wanted, _)| wanted == path);
            if !keep {
                engine.unwatch(path);
            }
            keep
        });
        let changed = {
            let mut inner = inbox.lock();
            let changed = inner.routes != routes;
            inner.routes = routes;
            changed
        };
        let (added, trouble) = add(engine.as_mut(), &mut self.held, &wanted);
        (changed || added, trouble)
    }

    /// Ends all watches.
    pub(crate) fn drop_all(&mut self) {
        self.engine = None;
        self.held.clear();
    }
}

fn add(
    engine: &mut dyn Engine,
    held: &mut HashMap<Identity, PathBuf>,
    wanted: &HashMap<Identity, (PathBuf, usize)>,
) -> (bool, Option<(usize, TroubleKind)>) {
    let mut added = false;
    let mut trouble = None;
    let mut missing: Vec<_> = wanted.iter().filter(|(identity, _)| !held.contains_key(*identity)).collect();
    missing.sort_by_key(|(_, (_, index))| *index);
    for (identity, (path, index)) in missing {
        match engine.watch(path) {
            Ok(()) => {
                held.insert(*identity, path.clone());
                added = true;
            }
            // It went between the look and now: the next look knows.
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                let full = matches!(error.kind, ErrorKind::MaxFilesWatch);
                trouble = trouble.or_else(|| Some((*index, no_watch(&error))));
                if full {
                    break;
                }
            }
        }
    }
    (added, trouble)
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn no_engine(error: &notify::Error) -> TroubleKind {
    match &error.kind {
        // EMFILE: inotify_init(2) says it of the user's instances and of the process's descriptors.
        ErrorKind::Io(io) if io.raw_os_error() == Some(24) => {
            TroubleKind::Limit("fs.inotify.max_user_instances (or that of open files)")
        }
        _ => TroubleKind::NoEvents(error.to_string()),
    }
}

fn no_watch(error: &notify::Error) -> TroubleKind {
    match &error.kind {
        ErrorKind::MaxFilesWatch => TroubleKind::Limit("fs.inotify.max_user_watches"),
        _ => TroubleKind::NoEvents(error.to_string()),
    }
}
