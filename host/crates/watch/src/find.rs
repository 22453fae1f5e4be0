//! Small reads that whoever is told of a change needs.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::settings::same_name;

/// Finds the file `name` in `folder`, ASCII letters of either case.
///
/// The exact name wins; else the first in order of bytes. A folder, and a link
/// that leads nowhere or to a folder, is no file. The file need not be readable.
/// None as well if the folder can't be read.
#[must_use]
pub fn find_any_case(folder: &Path, name: &OsStr) -> Option<PathBuf> {
    let exact = folder.join(name);
    if fs::metadata(&exact).is_ok_and(|found| !found.is_dir()) {
        return Some(exact);
    }
    let entries = fs::read_dir(folder).ok()?.flatten();
    let files = entries.filter(|entry| same_name(&entry.file_name(), name, true) && is_file(entry));
    files.map(|entry| entry.path()).min_by_key(|path| (path != &exact, path.clone()))
}

fn is_file(entry: &fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|found| !found.is_dir()),
        Ok(kind) => !kind.is_dir(),
        Err(_) => false,
    }
}

/// Reads a regular file of at most `bytes_max` bytes.
///
/// # Errors
/// Those of opening and reading; `InvalidInput` if it isn't a regular file (a
/// pipe would never end), `FileTooLarge` if it is longer.
pub fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}
