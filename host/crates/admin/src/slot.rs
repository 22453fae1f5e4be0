//! The note that a host leaves so that a client finds it by the application's folder.
//!
//! Three files with one stem: `STEM.lock`, which the host keeps locked while it
//! lives (the system lets go of it however the host dies), `STEM.json`, the
//! note, and `STEM.sock`, the socket of [`crate::Address::Auto`]. The stem is a
//! hash of the folder's path, which keeps socket paths short; the note holds the
//! whole path, so two folders with one hash are told apart.

use crate::lock::Lock;
use crate::platform;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Most hosts of one application's folder that a client can find.
pub(crate) const SLOTS_MAX: usize = 8;
/// Largest note that is read, in bytes.
const NOTE_BYTES_MAX: u64 = 64 * 1024;

/// What the note says.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The application's folder, canonical.
    pub(crate) app_dir: PathBuf,
    /// The host's process id.
    pub(crate) pid: u32,
    /// As [`crate::Address`] is written.
    pub(crate) address: String,
    /// What orders over TCP must bring.
    pub(crate) secret: Option<String>,
}

/// A place for a note that is ours until it is dropped.
pub(crate) struct Slot {
    stem: PathBuf,
    // Dropped after the note is gone.
    _lock: Lock,
}

impl Slot {
    /// Takes the first free place for this application; the number of living
    /// hosts that hold an earlier one.
    ///
    /// # Errors
    /// One sentence: the system's reason, or that all places are taken.
    pub(crate) fn take(folder: &Path, app_dir: &Path) -> Result<(Self, usize), String> {
        for number in 0..SLOTS_MAX {
            let stem = folder.join(stem(app_dir, number));
            let lock = stem.with_extension("lock");
            match Lock::take(&lock) {
                Ok(Some(lock)) => return Ok((Self { stem, _lock: lock }, number)),
                Ok(None) => {}
                Err(error) => return Err(format!("{}: {error}", lock.display())),
            }
        }
        Err(format!("{SLOTS_MAX} hosts run for {} already", app_dir.display()))
    }

    /// Where the socket of this place is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.stem.with_extension("sock")
    }

    /// Leaves the note, all of it at once.
    pub(crate) fn write(&self, note: &Note) -> io::Result<()> {
        let text = serde_json::to_vec(note)?;
        let new = self.stem.with_extension("new");
        remove(&new)?;
        let mut file = platform::private_file().write(true).create_new(true).open(&new)?;
        file.write_all(&text)?;
        drop(file);
        std::fs::rename(&new, self.stem.with_extension("json"))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Nobody could do anything about a note that stays behind, and nobody believes it.
        let _ = remove(&self.stem.with_extension("json"));
    }
}

/// The notes of living hosts for this application.
pub(crate) fn notes(folder: &Path, app_dir: &Path) -> Vec<Note> {
    let stems = (0..SLOTS_MAX).map(|number| folder.join(stem(app_dir, number)));
    stems.filter_map(|stem| living(&stem)).filter(|note| note.app_dir == app_dir).collect()
}

/// The notes of all living hosts in the folder.
pub(crate) fn all_notes(folder: &Path) -> Vec<Note> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter(|path| path.extension().is_some_and(|e| e == "json")).filter_map(|path| living(&path)).collect()
}

/// The note of this stem, if the host that left it lives.
fn living(stem: &Path) -> Option<Note> {
    if !Lock::is_held(&stem.with_extension("lock")) {
        return None;
    }
    let mut text = Vec::new();
    let file = File::open(stem.with_extension("json")).ok()?;
    file.take(NOTE_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The name of a place: 16 hexadecimal digits, and `-2`, `-3` … for further hosts.
fn stem(app_dir: &Path, number: usize) -> String {
    let hash = fnv_1a(app_dir.as_os_str().as_encoded_bytes());
    if number == 0 { format!("{hash:016x}") } else { format!("{hash:016x}-{}", number + 1) }
}

/// FNV-1a with 64 bits: the same in every build, and nothing depends on nobody finding a collision.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
