//! A store's file: an embedded database whose commits are whole, or not there, after a crash.

#[cfg(not(unix))]
#[path = "other.rs"]
mod system;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;

use crate::store::saved::{Batch, Saved};
use crate::store::{KEY_BYTES_MAX, Store, VALUE_BYTES_MAX};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Version and end, both little-endian, then the value.
const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("gatelodge-store");
/// How entries are written; another number is another program's, or another version's.
const FORMAT: u64 = 1;
/// Bytes in front of a value.
const HEAD_BYTES: usize = 16;
/// Versions that are set aside at a time, so that none comes again after a crash.
const VERSIONS_AHEAD: u64 = 1 << 32;
/// A file up to this size is never made smaller, bytes.
const SHRINK_FROM_BYTES: u64 = 8 * 1024 * 1024;
/// A larger one is, once it has so many times the bytes that the store counts.
const SHRINK_AT_TIMES: u64 = 4;
/// Memory that the database may use for pages.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Why a file can't be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another process, or a store of this one that is closing, has it open.
    Locked,
    /// Anything else, in words.
    Broken(String),
}

impl Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked => f.write_str("another process has the file open"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

fn broken(why: impl Display) -> Trouble {
    Trouble::Broken(why.to_string())
}

/// How a database is opened; tests bring disks that fail.
pub(super) type Opener = fn(&Path) -> Result<Database, Trouble>;

/// The open file.
pub(super) struct StoreFile {
    database: Database,
    path: PathBuf,
    /// Versions up to here are set aside.
    versions: u64,
    /// Bytes that were left the last time that it was made smaller.
    shrunk_to: u64,
}

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Entries that memory took over.
    pub(super) entries: u64,
    /// Entries that there was no room for.
    pub(super) left_out: u64,
}

/// Opens a file as it is, and checks every page of it.
pub(super) fn open(path: &Path) -> Result<Database, Trouble> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(broken)?;
    }
    let file = system::open(path).map_err(broken)?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let opened = FileBackend::new(file).and_then(|file| builder.create_with_backend(file));
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Trouble::Locked,
        other => broken(other),
    })
}

impl StoreFile {
    /// Opens a file and, with `load`, hands its entries to the store.
    ///
    /// # Errors
    /// The file is not ours, broken or in use.
    pub(super) fn open(path: &Path, opener: Opener, store: &Store, load: bool) -> Result<(Self, Found), Trouble> {
        // A database that was altered may make the library panic; the store's memory is not touched by that.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = opener(path)?;
            let mut file = Self { database, path: path.to_owned(), versions: 0, shrunk_to: 0 };
            let found = file.begin(store, load)?;
            Ok((file, found))
        }));
        opened.unwrap_or_else(|_| Err(broken("the file is damaged: reading it failed inside the database")))
    }

    fn begin(&mut self, store: &Store, load: bool) -> Result<Found, Trouble> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let tables: Vec<String> =
            transaction.list_tables().map_err(broken)?.map(|table| table.name().to_owned()).collect();
        let mut found = Found::default();
        if !tables.is_empty() {
            if !tables.iter().any(|name| name == ABOUT.name()) {
                return Err(broken("the file is another program's database"));
            }
            let about = transaction.open_table(ABOUT).map_err(broken)?;
            let number = |name| about.get(name).map(|found| found.map_or(0, |found| found.value())).map_err(broken);
            let format = number("format")?;
            if format != FORMAT {
                return Err(broken(format!("the file has format {format}; this host knows {FORMAT}")));
            }
            self.versions = number("versions")?;
            if load {
                let entries = transaction.open_table(ENTRIES).map_err(broken)?;
                found = restore(&entries, store)?;
            }
        }
        drop(transaction);
        store.begin_versions(self.versions);
        self.write(&Batch { versions: store.versions(), ..Batch::default() }, store)?;
        Ok(found)
    }

    /// Writes a batch: after it all of it is on disk, or nothing.
    ///
    /// # Errors
    /// The disk is full or broken, or the file was taken away.
    pub(super) fn write(&mut self, batch: &Batch, store: &Store) -> Result<(), Trouble> {
        let written = catch_unwind(AssertUnwindSafe(|| self.commit(batch, store)));
        let ahead = written.unwrap_or_else(|_| Err(broken("writing failed inside the database")))?;
        self.versions = ahead;
        match self.path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(broken("the file was taken away")),
            Err(error) => Err(broken(error)),
        }
    }

    /// Gives room back to the disk, if the file is mostly holes. Takes as long as writing what
    /// is left; a crash meanwhile loses nothing.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub(super) fn shrink(&mut self, store: &Store) -> Result<(), Trouble> {
        let length = std::fs::metadata(&self.path).map_err(broken)?.len();
        let holes = length > SHRINK_FROM_BYTES && length / SHRINK_AT_TIMES > store.bytes();
        // Where the last time did not help much, the next has to be worth it.
        if !holes || length / 2 < self.shrunk_to {
            return Ok(());
        }
        let database = &mut self.database;
        let compacted = catch_unwind(AssertUnwindSafe(|| database.compact().map_err(broken)));
        compacted.unwrap_or_else(|_| Err(broken("making the file smaller failed inside the database")))?;
        self.shrunk_to = std::fs::metadata(&self.path).map_err(broken)?.len();
        Ok(())
    }

    fn commit(&self, batch: &Batch, store: &Store) -> Result<u64, Trouble> {
        let transaction = self.database.begin_write().map_err(broken)?;
        let mut ahead = self.versions;
        {
            let mut about = transaction.open_table(ABOUT).map_err(broken)?;
            about.insert("format", FORMAT).map_err(broken)?;
            if batch.versions.saturating_add(VERSIONS_AHEAD / 2) > ahead {
                ahead = batch.versions.saturating_add(VERSIONS_AHEAD);
                about.insert("versions", ahead).map_err(broken)?;
            }
            let mut entries = transaction.open_table(ENTRIES).map_err(broken)?;
            if batch.anew.contains(&true) {
                let kept = |key: &str| batch.anew.get(store.place(key)) != Some(&true);
                entries.retain(|key, _| kept(key)).map_err(broken)?;
            }
            for key in &batch.gone {
                entries.remove(&**key).map_err(broken)?;
            }
            let mut bytes = Vec::new();
            for (key, saved) in &batch.entries {
                bytes.clear();
                bytes.extend_from_slice(&saved.version.to_le_bytes());
                bytes.extend_from_slice(&saved.ends_ms.to_le_bytes());
                bytes.extend_from_slice(&saved.value);
                entries.insert(&**key, &*bytes).map_err(broken)?;
            }
        }
        transaction.commit().map_err(broken)?;
        Ok(ahead)
    }
}

fn restore(entries: &redb::ReadOnlyTable<&str, &[u8]>, store: &Store) -> Result<Found, Trouble> {
    let mut found = Found::default();
    for entry in entries.iter().map_err(broken)? {
        let (key, bytes) = entry.map_err(broken)?;
        let (key, bytes) = (key.value(), bytes.value());
        let saved = saved(bytes).filter(|saved| key.len() <= KEY_BYTES_MAX && saved.value.len() <= VALUE_BYTES_MAX);
        let saved = saved.ok_or_else(|| broken("an entry of the file is none of a store"))?;
        store.begin_versions(saved.version);
        match store.restore(key, &saved) {
            true => found.entries += 1,
            false => found.left_out += 1,
        }
    }
    Ok(found)
}

fn saved(bytes: &[u8]) -> Option<Saved> {
    let (head, value) = bytes.split_at_checked(HEAD_BYTES)?;
    let (version, ends_ms) = head.split_at_checked(HEAD_BYTES / 2)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    Some(Saved { version: number(version)?, ends_ms: number(ends_ms)?, value: value.into() })
}
