//! The thread that writes a store's changes.

use super::file::{Found, Opener, StoreFile, Trouble};
use super::{DiskState, Signal};
use crate::log::{Level, LogSink};
use crate::store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// How long a file that is in use is waited for at the start: a host that ends lets it go.
const LOCKED_WAIT_MAX: Duration = Duration::from_secs(2);
/// Between two looks whether it still is.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// First pause after a failure; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// All that the thread needs.
pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) signal: Arc<Signal>,
    pub(super) state: Arc<DiskState>,
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) log: Arc<dyn LogSink>,
    pub(super) opener: Opener,
    /// What the file had is in memory: from then on memory alone is right.
    pub(super) loaded: bool,
}

impl Writer {
    /// Opens, says so on `ready`, and writes until it is told to stop.
    pub(super) fn run(&mut self, ready: SyncSender<()>) {
        let mut file = self.open_patiently();
        drop(ready);
        let mut pause = PAUSE_MIN;
        loop {
            let Some(open) = &mut file else {
                self.rest(pause);
                let stopping = self.is_stopping();
                file = self.open();
                pause = if file.is_some() { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                if stopping && file.is_none() {
                    return self.tell_lost();
                }
                continue;
            };
            let stopping = self.wait();
            if let Err(trouble) = self.flush(open) {
                self.failed(&trouble);
                // What was taken is lost to the list of changes, not to memory.
                self.store.write_all_anew();
                self.signal.dirty.store(true, Ordering::SeqCst);
                file = None;
                if stopping {
                    return self.tell_lost();
                }
            } else if stopping {
                return;
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.signal.stop.load(Ordering::SeqCst)
    }

    /// Sleeps until a stop, at most so long.
    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }

    /// Sleeps until there are changes, and then as long as they may wait. True at a stop.
    fn wait(&self) -> bool {
        let signal = &self.signal;
        while !signal.dirty.load(Ordering::SeqCst) && !self.is_stopping() {
            std::thread::park();
        }
        let until = Instant::now() + Duration::from_millis(self.state.flush_ms.load(Ordering::Relaxed));
        while !self.is_stopping() && !signal.hurry.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        self.is_stopping()
    }

    fn flush(&self, file: &mut StoreFile) -> Result<(), Trouble> {
        // First: a change that comes now wakes the thread again.
        self.signal.dirty.store(false, Ordering::SeqCst);
        self.signal.hurry.store(false, Ordering::SeqCst);
        let batch = self.store.take_unwritten();
        if batch.is_empty() {
            return Ok(());
        }
        file.write(&batch, &self.store)?;
        self.state.flushes.fetch_add(1, Ordering::Relaxed);
        // A host that ends is waited for.
        if self.is_stopping() { Ok(()) } else { file.shrink(&self.store) }
    }

    fn open_patiently(&mut self) -> Option<StoreFile> {
        let until = Instant::now() + LOCKED_WAIT_MAX;
        loop {
            match self.try_open() {
                Ok(file) => return Some(file),
                Err(Trouble::Locked) if Instant::now() < until && !self.is_stopping() => self.rest(LOCKED_PAUSE),
                Err(trouble) => {
                    self.failed(&trouble);
                    return None;
                }
            }
        }
    }

    fn open(&mut self) -> Option<StoreFile> {
        let opened = self.try_open();
        opened.map_err(|trouble| self.failed(&trouble)).ok()
    }

    fn try_open(&mut self) -> Result<StoreFile, Trouble> {
        let (file, found) = StoreFile::open(&self.path, self.opener, &self.store, !self.loaded)?;
        let again = self.state.failures.load(Ordering::Relaxed) > 0;
        self.loaded = true;
        self.state.works.store(true, Ordering::Relaxed);
        let Found { entries, left_out } = found;
        if left_out > 0 {
            self.tell(Level::Warn, &format!("{left_out} of its entries on disk had no room in bytes_max and are gone"));
        }
        match again {
            true => self.tell(Level::Warn, &format!("its file can be used again; {entries} entries taken over")),
            false => self.tell(Level::Info, &format!("its file is open; {entries} entries taken over")),
        }
        Ok(file)
    }

    /// Counts a failure, and tells the first of several in a row.
    fn failed(&self, trouble: &Trouble) {
        let before = self.state.failures.fetch_add(1, Ordering::Relaxed);
        if self.state.works.swap(false, Ordering::Relaxed) || before == 0 {
            let file = self.path.display();
            self.tell(Level::Error, &format!("it is in memory only while its file {file} can't be used: {trouble}"));
        }
    }

    fn tell_lost(&self) {
        let count = self.store.unwritten();
        if count > 0 {
            self.tell(Level::Error, &format!("it ends, and {count} changed entries are not on disk"));
        }
    }

    pub(super) fn tell(&self, level: Level, text: &str) {
        self.log.store(&self.name, level, text);
    }
}
