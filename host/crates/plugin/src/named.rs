//! What plugins.toml declares by name and grants by name: stores, limiters and secrets.

use crate::limiter::{Limiter, LimiterSettings};
use crate::log::LogSink;
use crate::outbound::{Resolve, Target, UpstreamSettings};
use crate::secrets::{Secret, Secrets};
use crate::settings::GrantedNames;
use crate::store::{DiskSettings, DiskUsage, Kept, Store, StoreSettings};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Denials that a plugin's log gets a line for; a plugin may ask for what it has not
/// with each request.
const DENIALS_TOLD_MAX: u32 = 16;

/// The state of a process that outlives generations: one for all of them, so that a
/// reload loses nothing. A store or limiter lives as long as a plugin of a running
/// generation is granted it; what a store on disk held outlives the process, too
/// ([`DiskSettings`]).
pub struct Stores {
    stores: Mutex<BTreeMap<Place, (String, Weak<Kept>)>>,
    /// Other numbers make another limiter: its buckets begin full.
    limiters: Mutex<BTreeMap<(String, LimiterSettings), Weak<Limiter>>>,
    /// Each store on disk has a sender until its file is closed. `None`: nothing touches disk.
    files: Mutex<Option<(SyncSender<()>, Receiver<()>)>>,
}

/// What makes two stores the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Memory(String),
    Disk(PathBuf),
}

impl Default for Stores {
    fn default() -> Self {
        Self { files: Mutex::new(Some(sync_channel(0))), ..Self::without_files() }
    }
}

/// A store at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUsage {
    /// Its name.
    pub name: String,
    /// Bytes in use, as they count.
    pub bytes: u64,
    /// Most bytes.
    pub bytes_max: u64,
    /// Entries that had to go before their time since its start.
    pub evicted: u64,
    /// How its disk does; `None` for one in memory.
    pub disk: Option<DiskUsage>,
}

impl Stores {
    /// No store yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// None of them on disk, whatever the settings say: for a look at plugins that changes nothing.
    #[must_use]
    pub fn in_memory() -> Arc<Self> {
        Arc::new(Self::without_files())
    }

    fn without_files() -> Self {
        Self { stores: Mutex::default(), limiters: Mutex::default(), files: Mutex::new(None) }
    }

    /// Writes what is not on disk yet, closes all files and waits for that, at most `limit`.
    /// False if some file is not closed then. What changes after it stays in memory. Blocks.
    #[must_use]
    pub fn close(&self, limit: Duration) -> bool {
        let Some((alive, closed)) = self.files.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        drop(alive);
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.values().filter_map(|(_, store)| store.upgrade()).for_each(|store| store.close());
        drop(stores);
        matches!(closed.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
    }

    /// All stores in use.
    #[must_use]
    pub fn usage(&self) -> Vec<StoreUsage> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let live = stores.values().filter_map(|(name, store)| Some((name, store.upgrade()?)));
        live.map(|(name, store)| StoreUsage {
            name: name.clone(),
            bytes: store.store().bytes(),
            bytes_max: store.store().bytes_max(),
            evicted: store.store().evicted(),
            disk: store.disk(),
        })
        .collect()
    }

    /// The store of this place, with what its file has. A file is waited for without the
    /// registry's lock: whoever asks for another store, or for all of them, does not wait.
    fn store(
        &self,
        name: &str,
        settings: StoreSettings,
        disk: Option<&DiskSettings>,
        log: &Arc<dyn LogSink>,
    ) -> Arc<Kept> {
        let kept = self.known_or_new(name, settings, disk, log);
        kept.opened();
        kept
    }

    fn known_or_new(
        &self,
        name: &str,
        settings: StoreSettings,
        disk: Option<&DiskSettings>,
        log: &Arc<dyn LogSink>,
    ) -> Arc<Kept> {
        let alive = self.files.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(alive, _)| alive.clone());
        let disk = disk.zip(alive);
        let place = match &disk {
            Some((disk, _)) => Place::Disk(disk.path.clone()),
            None => Place::Memory(name.to_owned()),
        };
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, found)) = stores.get_mut(&place)
            && let Some(found) = found.upgrade()
        {
            name.clone_into(known);
            return found;
        }
        stores.retain(|_, (_, held)| held.strong_count() > 0);
        let made = Arc::new(match disk {
            Some((disk, alive)) => Kept::on_disk(name, settings, disk, log, alive),
            None => Kept::in_memory(settings),
        });
        stores.insert(place, (name.to_owned(), Arc::downgrade(&made)));
        made
    }

    fn limiter(&self, name: &str, settings: LimiterSettings) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        live(&mut limiters, (name.to_owned(), settings), || Limiter::new(settings))
    }
}

/// The one that lives under this key, or a new one. Forgets those that nobody holds.
fn live<K: Ord, T>(known: &mut BTreeMap<K, Weak<T>>, key: K, make: impl FnOnce() -> T) -> Arc<T> {
    if let Some(found) = known.get(&key).and_then(Weak::upgrade) {
        return found;
    }
    known.retain(|_, held| held.strong_count() > 0);
    let made = Arc::new(make());
    known.insert(key, Arc::downgrade(&made));
    made
}

/// What the names of grants stand for in this generation.
#[derive(Clone, Default)]
pub struct Declared {
    /// Where stores and limiters live on from generation to generation.
    pub registry: Arc<Stores>,
    /// `[stores.NAME]`.
    pub stores: BTreeMap<String, StoreSettings>,
    /// Which of them are on disk, and where.
    pub disks: BTreeMap<String, DiskSettings>,
    /// `[limiters.NAME]`.
    pub limiters: BTreeMap<String, LimiterSettings>,
    /// `[secrets.NAME]`.
    pub secrets: Secrets,
    /// `[upstreams.NAME]`.
    pub upstreams: BTreeMap<String, UpstreamSettings>,
    /// How names become addresses; `None`: the system's way.
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// What one plugin was granted by name.
#[derive(Default)]
pub(crate) struct Named {
    stores: Vec<(String, Arc<Kept>)>,
    limiters: Vec<(String, Arc<Limiter>)>,
    keys: Vec<(String, Arc<Secret>)>,
    secrets: Vec<(String, Arc<Secret>)>,
    targets: Vec<(String, Arc<Target>)>,
    denials: AtomicU32,
}

impl Named {
    /// Finds what the grants name.
    ///
    /// # Errors
    /// Names what is not declared.
    pub(crate) fn new(granted: &GrantedNames, declared: &Declared, log: &Arc<dyn LogSink>) -> Result<Self, String> {
        let store = |name: &str| {
            let settings = *declared.stores.get(name)?;
            Some(declared.registry.store(name, settings, declared.disks.get(name), log))
        };
        let limiter = |name: &str| Some(declared.registry.limiter(name, *declared.limiters.get(name)?));
        let secret = |name: &str| declared.secrets.get(name);
        Ok(Self {
            stores: find(&granted.state, "stores", store)?,
            limiters: find(&granted.limits, "limiters", limiter)?,
            keys: find(&granted.keys, "secrets", secret)?,
            secrets: find(&granted.secrets, "secrets", secret)?,
            targets: targets(granted, declared)?,
            denials: AtomicU32::new(0),
        })
    }

    /// Gives its stores the settings of this generation, once it is the one that runs.
    pub(crate) fn apply(&self, declared: &Declared) {
        for (name, store) in &self.stores {
            if let Some(settings) = declared.stores.get(name) {
                store.configure(*settings, declared.disks.get(name));
            }
        }
    }

    pub(crate) fn store(&self, name: &str) -> Option<&Store> {
        get(&self.stores, name).map(Kept::store)
    }

    pub(crate) fn limiter(&self, name: &str) -> Option<&Limiter> {
        get(&self.limiters, name)
    }

    /// Upstreams that it may call.
    pub(crate) fn targets(&self) -> &[(String, Arc<Target>)] {
        &self.targets
    }

    /// A secret to be used, not seen.
    pub(crate) fn key(&self, name: &str) -> Option<&Secret> {
        get(&self.keys, name)
    }

    /// A secret to be seen.
    pub(crate) fn secret(&self, name: &str) -> Option<&Secret> {
        get(&self.secrets, name)
    }

    /// True as long as denials are told.
    pub(crate) fn tells_denial(&self) -> bool {
        let counted = self.denials.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            count.checked_add(1).filter(|count| *count <= DENIALS_TOLD_MAX)
        });
        counted.is_ok()
    }
}

fn targets(granted: &GrantedNames, declared: &Declared) -> Result<Vec<(String, Arc<Target>)>, String> {
    let found = granted.http.iter().map(|name| match declared.upstreams.get(name) {
        Some(settings) => {
            Target::new(settings, declared.resolver.clone()).map(|target| (name.clone(), Arc::new(target)))
        }
        None => Err(format!("it is granted \"{name}\", but there is no [upstreams.{name}]")),
    });
    found.collect()
}

fn find<T>(
    names: &[String],
    table: &str,
    declared: impl Fn(&str) -> Option<Arc<T>>,
) -> Result<Vec<(String, Arc<T>)>, String> {
    let found = names.iter().map(|name| match declared(name) {
        Some(what) => Ok((name.clone(), what)),
        None => Err(format!("it is granted \"{name}\", but there is no [{table}.{name}]")),
    });
    found.collect()
}

/// A plugin is granted a handful of names: looking at each is the fastest.
fn get<'n, T>(named: &'n [(String, Arc<T>)], name: &str) -> Option<&'n T> {
    named.iter().find(|(known, _)| known == name).map(|(_, what)| &**what)
}

#[cfg(test)]
mod tests {
    use super::{Declared, Named, Stores};
    use crate::limiter::LimiterSettings;
    use crate::log::LogSink;
    use crate::settings::GrantedNames;
    use crate::store::{DiskSettings, StoreSettings, WhenFull};
    use std::sync::Arc;
    use std::time::Duration;

    fn declared(registry: &Arc<Stores>, bytes_max: u64, rate: u32) -> Declared {
        let store = StoreSettings { bytes_max, when_full: WhenFull::Evict };
        Declared {
            registry: Arc::clone(registry),
            stores: [("a".to_owned(), store)].into(),
            limiters: [("l".to_owned(), LimiterSettings::new(rate))].into(),
            ..Declared::default()
        }
    }

    fn log() -> Arc<dyn LogSink> {
        Arc::new(crate::testing::Ears::default())
    }

    fn granted(state: &str) -> GrantedNames {
        let list = |name: &str| vec![name.to_owned()];
        GrantedNames { state: list(state), limits: list("l"), ..GrantedNames::default() }
    }

    #[test]
    fn state_outlives_a_generation_and_not_its_last_user() {
        let registry = Stores::new();
        let old = Named::new(&granted("a"), &declared(&registry, 65_536, 5), &log()).expect("declared");
        old.store("a").expect("granted").set("k", b"v", None, 0).expect("room");
        assert!(old.limiter("l").expect("granted").take(b"k", 5, 0).is_some_and(|outcome| outcome.allowed));
        let next = declared(&registry, 131_072, 5);
        let new = Named::new(&granted("a"), &next, &log()).expect("declared");
        assert_eq!(registry.usage()[0].bytes_max, 65_536, "the old generation still runs");
        new.apply(&next);
        drop(old);
        assert_eq!(registry.usage()[0].bytes_max, 131_072);
        assert!(new.store("a").expect("granted").get("k", 0).is_some());
        assert!(new.limiter("l").expect("granted").take(b"k", 1, 0).is_some_and(|outcome| !outcome.allowed));
        let other = Named::new(&granted("a"), &declared(&registry, 65_536, 6), &log()).expect("declared");
        assert!(other.limiter("l").expect("granted").take(b"k", 6, 0).is_some_and(|outcome| outcome.allowed));
        drop((new, other));
        assert_eq!(registry.usage(), []);
    }

    #[test]
    fn a_file_that_is_in_use_holds_nobody_up_but_who_wants_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.redb");
        let other = redb::Database::create(&path).expect("a database");
        let registry = Stores::new();
        let disk = DiskSettings { path, flush: Duration::from_millis(10) };
        let mut with_file = declared(&registry, 65_536, 5);
        with_file.disks.insert("a".to_owned(), disk);
        with_file.stores.insert("b".to_owned(), with_file.stores["a"]);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| Named::new(&granted("a"), &with_file, &log()).expect("declared"));
            let found = loop {
                if let Some(found) = registry.usage().pop() {
                    break found.disk.expect("it is on disk");
                }
                std::thread::yield_now();
            };
            assert_eq!((found.works, found.failures), (false, 0), "it is neither open yet nor given up");
            let quick = Named::new(&granted("b"), &with_file, &log()).expect("declared");
            assert!(quick.store("b").expect("granted").get("k", 0).is_none());
            drop(other);
            let named = waits.join().expect("it does not panic");
            let disk = registry.usage().into_iter().find(|usage| usage.name == "a").and_then(|usage| usage.disk);
            // What somebody else left there is no store.
            assert!(disk.is_some_and(|disk| disk.works || disk.failures > 0), "who wants it has waited");
            drop(named);
        });
        assert!(registry.close(Duration::from_secs(20)));
    }

    #[test]
    fn only_what_is_granted_and_declared_is_there() {
        let registry = Stores::new();
        let why = Named::new(&granted("b"), &declared(&registry, 65_536, 5), &log()).err().expect("refused");
        assert!(why.contains("[stores.b]"), "{why}");
        let named = Named::new(&granted("a"), &declared(&registry, 65_536, 5), &log()).expect("declared");
        assert!(named.store("b").is_none() && named.key("a").is_none() && named.secret("a").is_none());
        assert_eq!((0..100).filter(|_| named.tells_denial()).count(), 16);
    }
}
