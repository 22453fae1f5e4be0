//! Compiled code on disk, so that a start does not compile what the last one compiled.
//!
//! Loading machine code is an act of trust: nothing in it can be checked. So it is kept
//! where only the host's own user can write, never where plugins lie, and each file
//! carries a digest keyed by a random secret that never leaves that folder. A file that
//! was cut, bent, renamed or brought from elsewhere is told, deleted, and compiled anew.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

use ring::hmac;
use std::path::{Path, PathBuf};

/// Default of the most bytes of all files together. At the edge the ones that were not used for longest go.
pub const CACHE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most bytes of one component's machine code; more is neither kept nor loaded.
pub(crate) const CODE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// First bytes of a file: what it is, and the layout's version.
const MAGIC: &[u8; 16] = b"gatelodge-code 1";
/// Length of a digest, bytes.
const TAG_BYTES: usize = 32;
/// Length of the folder's secret, bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// Name of the secret's file.
const KEY_FILE: &str = "key";
/// End of the name of every code file.
const CODE_END: &str = ".code";
/// Begin of the name of a file that is being written.
const TEMPORARY_BEGIN: &str = ".new-";

/// A private folder with compiled code.
pub struct CodeCache {
    folder: system::Folder,
    path: PathBuf,
    key: hmac::Key,
    bytes_max: u64,
}

/// Why a file of the cache was not loaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    /// There is none.
    Missing,
    /// There is one, but not ours as we wrote it; it was deleted.
    Rejected(String),
}

impl CodeCache {
    /// Opens the folder, and makes it where it is missing, open to nobody else. Its files
    /// have `bytes_max` together, by default [`CACHE_BYTES_MAX`].
    ///
    /// # Errors
    /// It is a symbolic link, belongs to somebody else, is open to others, can't be
    /// written, or this system has no such folders; the text says which.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, String> {
        let told = |what: String| format!("the code cache {} is not used: {what}", path.display());
        let folder = system::Folder::open(path).map_err(told)?;
        let key = secret(&folder).map_err(told)?;
        Ok(Self { folder, path: path.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key), bytes_max })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Code that was kept under this name.
    pub(crate) fn load(&self, name: &str) -> Result<Vec<u8>, NotLoaded> {
        let file = file_name(name);
        let read = self.folder.read(&file, CODE_BYTES_MAX + MAGIC.len() + TAG_BYTES);
        let code = match read {
            Ok(None) => return Err(NotLoaded::Missing),
            Ok(Some(bytes)) => self.opened(name, bytes),
            Err(what) => Err(what),
        };
        code.map_err(|what| {
            self.folder.remove(&file);
            NotLoaded::Rejected(format!("{file} in the code cache is not loaded: {what}"))
        })
    }

    /// Keeps code under this name; then makes room.
    ///
    /// # Errors
    /// It can't be written: a full disk, a folder that is gone. Nothing half is left behind.
    pub(crate) fn store(&self, name: &str, code: &[u8]) -> Result<(), String> {
        if code.len() > CODE_BYTES_MAX {
            return Ok(());
        }
        let tag = hmac::sign(&self.key_of(name), code);
        let kept = self.folder.write(&file_name(name), &[MAGIC, tag.as_ref(), code]);
        self.folder.make_room(self.bytes_max);
        kept.map_err(|what| format!("compiled code is not kept in {}: {what}", self.path.display()))
    }

    /// Deletes what was loaded and then found useless.
    pub(crate) fn remove(&self, name: &str) {
        self.folder.remove(&file_name(name));
    }

    /// A file is bound to its name by a key of its own.
    fn key_of(&self, name: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.key, name.as_bytes()).as_ref())
    }

    fn opened(&self, name: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("it is not a file of this cache")?;
        let (tag, code) = rest.split_at_checked(TAG_BYTES).ok_or("it is cut off")?;
        hmac::verify(&self.key_of(name), code, tag).map_err(|_| "its digest is wrong: it was changed or cut")?;
        bytes.drain(..MAGIC.len() + TAG_BYTES);
        Ok(bytes)
    }
}

fn file_name(name: &str) -> String {
    format!("{name}{CODE_END}")
}

/// The folder's secret, made if there is none or it is spoiled: then all older files are foreign.
fn secret(folder: &system::Folder) -> Result<[u8; KEY_BYTES], String> {
    for _ in 0..3 {
        match folder.read(KEY_FILE, KEY_BYTES) {
            Ok(Some(bytes)) => match bytes.try_into() {
                Ok(key) => return Ok(key),
                Err(_) => folder.remove(KEY_FILE),
            },
            Ok(None) => {
                let mut key = [0; KEY_BYTES];
                getrandom::fill(&mut key).map_err(|error| format!("no randomness: {error}"))?;
                // Of two hosts that start at once, the first one's stays, and both read it.
                folder.write_if_missing(KEY_FILE, &[&key])?;
            }
            Err(_) => folder.remove(KEY_FILE),
        }
    }
    Err("its key can't be made".to_owned())
}

/// Where the cache is unless it is told otherwise: `$CACHE_DIRECTORY` where a service manager
/// sets it (systemd's `CacheDirectory=`), `/var/cache/gatelodge` for root,
/// `$XDG_CACHE_HOME/gatelodge` or `~/.cache/gatelodge` for others; `None` where a user
/// has no home, and on systems without such folders.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    system::folder(|name| std::env::var_os(name).map(PathBuf::from))
}

#[cfg(all(test, unix))]
mod tests;
