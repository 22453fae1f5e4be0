//! Disk behind a store: memory is what calls see, and a thread writes what has changed.
//!
//! No call waits for disk. A change is on disk at most [`DiskSettings::flush`] and the time of
//! a commit later; what a crash takes is at most what changed since. While disk fails, the
//! store goes on in memory, and once it works again all is written anew.

mod file;
mod writer;

use crate::log::{Level, LogSink};
use crate::store::{Store, StoreSettings};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use writer::Writer;

/// Hundredths of the room for unwritten changes at which they are written at once.
const HURRY_AT: usize = 50;

/// Where a store is kept, and how soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The file; its folder is made where it is missing. The same path is the same store.
    pub path: PathBuf,
    /// Longest time from a change to the begin of its writing. Default 1 s.
    pub flush: Duration,
}

/// How a store's disk does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskUsage {
    /// False while the file can't be used.
    pub works: bool,
    /// Times that changes were written.
    pub flushes: u64,
    /// Times that opening or writing failed.
    pub failures: u64,
    /// Entries whose change is not on disk yet.
    pub unwritten: u64,
}

/// A store and what keeps it. With the last of its users its changes are written once more,
/// by its own thread.
pub(crate) struct Kept {
    store: Arc<Store>,
    disk: Option<Disk>,
}

struct Disk {
    signal: Arc<Signal>,
    state: Arc<DiskState>,
    /// Ends once the file was opened, or could not be; `None` once somebody saw that.
    opening: Mutex<Option<Receiver<()>>>,
}

/// What the writer is told.
#[derive(Default)]
pub(super) struct Signal {
    dirty: AtomicBool,
    hurry: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

/// What the writer tells.
#[derive(Default)]
struct DiskState {
    works: AtomicBool,
    flushes: AtomicU64,
    failures: AtomicU64,
    flush_ms: AtomicU64,
}

impl Signal {
    /// Something changed; `fill`: hundredths of the room for changes that are taken now.
    pub(super) fn changed(&self, fill: usize) {
        if fill == 0 {
            return;
        }
        let hurry = fill >= HURRY_AT && !self.hurry.swap(true, Ordering::SeqCst);
        if !self.dirty.swap(true, Ordering::SeqCst) || hurry {
            self.wake();
        }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Kept {
    /// A store in memory.
    pub(crate) fn in_memory(settings: StoreSettings) -> Self {
        Self { store: Arc::new(Store::new(settings)), disk: None }
    }

    /// A store on disk; it is in memory only while the file can't be used, which `log` is
    /// told. `alive` is dropped once the file is closed. Does not wait for the file:
    /// [`Kept::opened`] does.
    pub(crate) fn on_disk(
        name: &str,
        settings: StoreSettings,
        disk: &DiskSettings,
        log: &Arc<dyn LogSink>,
        alive: SyncSender<()>,
    ) -> Self {
        Self::with(name, settings, disk, log, alive, file::open)
    }

    fn with(
        name: &str,
        settings: StoreSettings,
        disk: &DiskSettings,
        log: &Arc<dyn LogSink>,
        alive: SyncSender<()>,
        opener: file::Opener,
    ) -> Self {
        let (signal, state) = (Arc::new(Signal::default()), Arc::new(DiskState::default()));
        let store = Arc::new(Store::on_disk(settings, Arc::clone(&signal)));
        let (ready, opened) = sync_channel(1);
        let opening = Mutex::new(Some(opened));
        let kept = Self { store, disk: Some(Disk { signal: Arc::clone(&signal), state: Arc::clone(&state), opening }) };
        kept.configure(settings, Some(disk));
        let (store, path) = (Arc::clone(&kept.store), disk.path.clone());
        let (owned, teller) = (name.to_owned(), Arc::clone(log));
        let mut writer =
            Writer { store, signal: Arc::clone(&signal), state, path, name: owned, log: teller, opener, loaded: false };
        let thread = std::thread::Builder::new().name("store".to_owned());
        let spawned = thread.spawn({
            let signal = Arc::clone(&signal);
            move || {
                // The thread's own: nobody else sets it.
                let _ = signal.thread.set(std::thread::current());
                writer.run(ready);
                drop(alive);
            }
        });
        if let Err(error) = spawned {
            if let Some(disk) = &kept.disk {
                disk.state.failures.fetch_add(1, Ordering::Relaxed);
            }
            let text = format!("it is in memory only, there is no thread for its file: {error}");
            log.store(name, Level::Error, &text);
        }
        kept
    }

    /// Waits until the store holds what its file has, or the file can't be used. Blocks: for
    /// reading, and for two seconds while another process has the file.
    pub(crate) fn opened(&self) {
        if let Some(disk) = &self.disk {
            // Whoever comes while another one waits here waits for that one.
            let mut opening = disk.opening.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(opened) = opening.take() {
                // An end without a word is one as well.
                let _ = opened.recv();
            }
        }
    }

    /// Takes other settings.
    pub(crate) fn configure(&self, settings: StoreSettings, disk: Option<&DiskSettings>) {
        if let (Some(own), Some(disk)) = (&self.disk, disk) {
            let flush_ms = u64::try_from(disk.flush.as_millis()).unwrap_or(u64::MAX);
            own.state.flush_ms.store(flush_ms, Ordering::Relaxed);
        }
        self.store.configure(settings);
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// How its disk does; `None` for one in memory.
    pub(crate) fn disk(&self) -> Option<DiskUsage> {
        let state = &self.disk.as_ref()?.state;
        Some(DiskUsage {
            works: state.works.load(Ordering::Relaxed),
            flushes: state.flushes.load(Ordering::Relaxed),
            failures: state.failures.load(Ordering::Relaxed),
            unwritten: self.store.unwritten(),
        })
    }

    /// Writes what has changed and closes the file; later changes stay in memory. Does not wait.
    pub(crate) fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.signal.stop();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Not waited for: whoever drops it may be a worker.
        self.close();
    }
}

#[cfg(test)]
mod tests;
