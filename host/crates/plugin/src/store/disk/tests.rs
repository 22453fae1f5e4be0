use super::file::{self, Trouble};
use super::{DiskSettings, DiskUsage, Kept};
use crate::log::{Level, LogSink};
use crate::store::stripe::UNWRITTEN_MAX;
use crate::store::{STRIPES, StoreSettings, WhenFull};
use crate::testing::Ears;
use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Longest wait for something that happens soon.
const LONG: Duration = Duration::from_secs(20);

/// A folder for a store's file, and whoever listens.
struct Place {
    folder: tempfile::TempDir,
    ears: Arc<Ears>,
}

/// A store with its file's end.
struct Open {
    kept: Kept,
    closed: Receiver<()>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), ears: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state").join("things.redb")
    }

    fn open(&self) -> Open {
        self.open_as(&self.path(), StoreSettings::default(), file::open)
    }

    fn open_as(&self, path: &Path, settings: StoreSettings, opener: file::Opener) -> Open {
        let disk = DiskSettings { path: path.to_owned(), flush: Duration::from_millis(10) };
        let (alive, closed) = sync_channel(0);
        let log = Arc::clone(&self.ears) as Arc<dyn LogSink>;
        let kept = Kept::with("things", settings, &disk, &log, alive, opener);
        kept.opened();
        Open { kept, closed }
    }

    fn errors(&self) -> Vec<String> {
        let heard = self.ears.0.lock().expect("no test panics with it");
        heard.iter().filter(|(level, _)| *level == Level::Error).map(|(_, text)| text.clone()).collect()
    }
}

impl Open {
    fn set(&self, key: &str, value: &str) -> u64 {
        let store = self.kept.store();
        store.set(key, value.as_bytes(), None, store.now_ms()).expect("room")
    }

    fn get(&self, key: &str) -> Option<String> {
        let store = self.kept.store();
        store.get(key, store.now_ms()).map(|(_, value)| String::from_utf8_lossy(&value).into_owned())
    }

    fn disk(&self) -> DiskUsage {
        self.kept.disk().expect("it is on disk")
    }

    fn flushed(&self) {
        let flushes = self.disk().flushes;
        until("a flush", || self.disk().unwritten == 0 && self.disk().works);
        // What was taken before is on disk only once its commit is counted.
        self.set("flushed", "x");
        until("its commit", || self.disk().flushes > flushes && self.disk().unwritten == 0);
        let flushes = self.disk().flushes;
        self.set("flushed", "y");
        until("the next commit", || self.disk().flushes > flushes);
    }

    fn close(self) {
        drop(self.kept);
        assert_eq!(self.closed.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}

fn until(what: &str, happened: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !happened() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_store_comes_back_as_it_was() {
    let place = Place::new();
    let first = place.open();
    let store = first.kept.store();
    let old = first.set("a", "one");
    first.set("gone", "x");
    store.delete("gone");
    store.set("short", b"1", Some(1), store.now_ms()).expect("room");
    store.set("long", b"1", Some(3_600_000), store.now_ms()).expect("room");
    assert_eq!(store.increment("n", 41, None, store.now_ms()), Ok(41));
    let bytes = store.bytes();
    first.close();
    let second = place.open();
    let store = second.kept.store();
    assert_eq!(second.get("a").as_deref(), Some("one"));
    assert_eq!((second.get("gone"), second.get("short")), (None, None));
    assert!(second.get("long").is_some());
    assert_eq!(store.get("long", store.now_ms() + 3_600_001), None, "it ends when it was to end");
    assert!(store.bytes() < bytes, "and all of it is counted");
    assert_eq!(store.increment("n", 1, None, store.now_ms()), Ok(42));
    assert_eq!(store.get("a", 0).map(|(version, _)| version), Some(old), "its version too");
    assert!(store.set_if("a", b"two", None, old, store.now_ms()).is_ok());
    let newest = second.set("b", "x");
    assert!(newest > old + u64::from(u32::MAX), "no version comes again, also none that a crash has taken");
    second.close();
    assert_eq!(place.errors(), Vec::<String>::new());
}

#[test]
fn a_crash_takes_what_was_not_flushed() {
    let place = Place::new();
    let open = place.open();
    open.set("a", "one");
    open.flushed();
    // As a process that is killed leaves it: nothing was closed.
    let copy = place.folder.path().join("copy.redb");
    std::fs::copy(place.path(), &copy).expect("a copy");
    let version = open.set("b", "two");
    let after = place.open_as(&copy, StoreSettings::default(), file::open);
    assert_eq!((after.get("a").as_deref(), after.get("b")), (Some("one"), None));
    assert!(after.set("c", "x") > version, "the lost one's version is not given again");
    after.close();
    open.close();
    let again = place.open();
    assert_eq!(again.get("b").as_deref(), Some("two"), "an orderly end writes all");
    again.close();
}

#[test]
fn more_changes_than_can_be_told_apart_are_written_as_a_whole() {
    let place = Place::new();
    let count = STRIPES * UNWRITTEN_MAX * 2;
    let first = place.open();
    for n in 0..count {
        first.set(&format!("old-{n}"), "1");
    }
    first.flushed();
    for n in 0..count {
        first.kept.store().delete(&format!("old-{n}"));
        first.set(&format!("new-{n}"), "1");
    }
    first.close();
    let second = place.open();
    assert!((0..count).all(|n| second.get(&format!("new-{n}")).is_some()));
    assert!((0..count).all(|n| second.get(&format!("old-{n}")).is_none()));
    second.close();
}

#[test]
fn what_has_no_room_any_more_is_the_oldest() {
    let place = Place::new();
    let first = place.open();
    for n in 0..1000 {
        first.set(&n.to_string(), "1");
    }
    first.close();
    for when_full in [WhenFull::Evict, WhenFull::Refuse] {
        let small = place.open_as(&place.path(), StoreSettings { bytes_max: 65_536, when_full }, file::open);
        assert!(small.kept.store().bytes() <= 65_536);
        assert_eq!((small.get("0"), small.get("999").as_deref()), (None, Some("1")));
        small.close();
    }
    let large = place.open();
    assert_eq!(large.get("0"), None, "disk has forgotten it too");
    assert!(large.get("999").is_some());
    large.close();
}

#[test]
fn a_file_that_is_mostly_holes_becomes_small_again() {
    let place = Place::new();
    let open = place.open();
    let length = || std::fs::metadata(place.path()).expect("the file").len();
    open.set("stays", "one");
    for n in 0..24 {
        open.set(&format!("large-{n}"), &"v".repeat(1 << 20));
        open.flushed();
    }
    let full = length();
    assert!(full > 24 << 20, "{full}");
    for n in 0..24 {
        open.kept.store().delete(&format!("large-{n}"));
    }
    open.flushed();
    // The deletions may lie in several batches, and a file of 8 MiB is small enough.
    until("a small file", || length() <= 8 << 20);
    open.set("after", "two");
    open.flushed();
    assert_eq!((open.disk().failures, open.disk().works), (0, true));
    open.close();
    let again = place.open();
    assert_eq!((again.get("stays").as_deref(), again.get("after").as_deref()), (Some("one"), Some("two")));
    assert_eq!(again.get("large-7"), None);
    again.close();
}

#[test]
fn a_file_that_is_none_of_ours_stays_as_it_is() {
    let foreign = |path: &Path| {
        let database = Database::create(path).expect("a database");
        let transaction = database.begin_write().expect("a transaction");
        transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).expect("a table");
        transaction.commit().expect("a commit");
    };
    let text = |path: &Path| std::fs::write(path, "this is a letter to my aunt".repeat(100)).expect("a file");
    let folder = |path: &Path| std::fs::create_dir(path).expect("a folder");
    let makes: [&dyn Fn(&Path); 3] = [&foreign, &text, &folder];
    for make in makes {
        let place = Place::new();
        std::fs::create_dir(place.folder.path().join("state")).expect("a folder");
        make(&place.path());
        let before = std::fs::read(place.path()).ok();
        let open = place.open();
        assert!(!open.disk().works && open.disk().failures == 1);
        open.set("a", "one");
        assert_eq!(open.get("a").as_deref(), Some("one"), "memory serves");
        let untouched = std::fs::read(place.path()).ok() == before;
        assert!(untouched || Database::open(place.path()).is_ok(), "looked through by the database at most");
        open.close();
        assert_eq!(place.errors().len(), 2, "once at the begin, once at the end: {:?}", place.errors());
    }
}

#[test]
fn a_damaged_file_is_told_and_survived() {
    let place = Place::new();
    let first = place.open();
    for n in 0..1000 {
        first.set(&n.to_string(), &"v".repeat(100));
    }
    first.close();
    let good = std::fs::read(place.path()).expect("the file");
    for (what, from, to) in [("head", 0, 64), ("pages", 4096, good.len()), ("half", good.len() / 2, good.len())] {
        let mut bytes = good.clone();
        bytes[from..to].iter_mut().for_each(|byte| *byte = !*byte);
        std::fs::write(place.path(), &bytes).expect("the file");
        let open = place.open();
        assert!(!open.disk().works, "{what}");
        open.set("a", "one");
        assert_eq!(open.get("a").as_deref(), Some("one"), "{what}");
        open.close();
    }
    std::fs::write(place.path(), &good[..good.len() / 2]).expect("the file");
    let open = place.open();
    open.set("a", "one");
    open.close();
}

#[test]
fn a_file_in_use_is_taken_over_once_it_is_free() {
    let place = Place::new();
    let first = place.open();
    first.set("both", "first");
    first.set("first", "first");
    first.set("deleted", "first");
    first.flushed();
    let second = place.open();
    assert!(!second.disk().works);
    assert!(place.errors().iter().any(|text| text.contains("another process")), "{:?}", place.errors());
    second.set("both", "second");
    second.set("deleted", "second");
    second.kept.store().delete("deleted");
    first.close();
    until("the takeover", || second.disk().works);
    assert_eq!(second.get("both").as_deref(), Some("second"), "memory knows better");
    assert_eq!((second.get("first").as_deref(), second.get("deleted")), (Some("first"), None));
    second.close();
    let third = place.open();
    assert_eq!((third.get("both").as_deref(), third.get("deleted")), (Some("second"), None));
    third.close();
}

#[test]
fn a_file_that_was_taken_away_is_made_anew() {
    let place = Place::new();
    let open = place.open();
    open.set("before", "x");
    open.flushed();
    std::fs::remove_dir_all(place.folder.path().join("state")).expect("it is there");
    open.set("after", "x");
    until("a new file", || open.disk().failures == 1 && open.disk().works);
    open.close();
    assert_eq!(place.errors().len(), 1, "{:?}", place.errors());
    let again = place.open();
    assert!(again.get("before").is_some() && again.get("after").is_some(), "all of memory");
    again.close();
}

/// True while the disk of the test below is full.
static FULL: AtomicBool = AtomicBool::new(false);

/// A disk that is full from time to time.
#[derive(Debug)]
struct Small(FileBackend);

impl Small {
    fn room() -> std::io::Result<()> {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        if FULL.load(Ordering::SeqCst) { Err(full()) } else { Ok(()) }
    }
}

impl StorageBackend for Small {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        Self::room().and_then(|()| self.0.set_len(len))
    }
    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        Self::room().and_then(|()| self.0.write(offset, data))
    }
}

fn small(path: &Path) -> Result<Database, Trouble> {
    let broken = |error: String| Trouble::Broken(error);
    let options = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = options.map_err(|error| broken(error.to_string()))?;
    let file = FileBackend::new(file).map_err(|error| broken(error.to_string()))?;
    Database::builder().create_with_backend(Small(file)).map_err(|error| broken(error.to_string()))
}

#[test]
fn a_full_disk_costs_no_entry() {
    let place = Place::new();
    let path = place.folder.path().join("small.redb");
    let open = place.open_as(&path, StoreSettings::default(), small);
    open.set("before", "x");
    open.flushed();
    FULL.store(true, Ordering::SeqCst);
    open.set("during", "x");
    open.kept.store().delete("before");
    until("a failure", || !open.disk().works);
    assert_eq!((open.get("during").as_deref(), open.get("before")), (Some("x"), None), "calls see memory");
    until("it is tried again", || open.disk().failures >= 2);
    assert_eq!(place.errors().len(), 1, "told once: {:?}", place.errors());
    FULL.store(false, Ordering::SeqCst);
    until("room again", || open.disk().works && open.disk().unwritten == 0);
    open.close();
    let again = place.open_as(&path, StoreSettings::default(), small);
    assert_eq!((again.get("during").as_deref(), again.get("before")), (Some("x"), None));
    again.close();
}
