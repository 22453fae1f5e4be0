//! One look at the files of a topic.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::identity::Identity;
use crate::{TroubleKind, Watched, What};

/// Entries of folders that one look at one topic takes, at most.
pub(crate) const ENTRIES_MAX: usize = 20_000;
/// Folders below the topic's own that are walked, one in the other, at most.
pub(crate) const DEPTH_MAX: usize = 16;

/// What is remembered of each file.
pub(crate) type Snapshot = BTreeMap<PathBuf, Stamp>;

/// What makes a file another one when it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The topic's folder: another folder in its place holds other files.
    root: Option<Identity>,
    file: Option<Identity>,
    modified: Option<SystemTime>,
    size: u64,
}

impl Stamp {
    fn new(root: Option<Identity>, file: Option<&Metadata>) -> Self {
        Self {
            root,
            file: file.map(Identity::of),
            modified: file.and_then(|file| file.modified().ok()),
            size: file.map_or(0, Metadata::len),
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The watched files.
    pub(crate) files: Snapshot,
    /// The folders walked, relative to the topic's folder.
    pub(crate) folders: Vec<(PathBuf, Identity)>,
    /// Folders that could not be read: nothing is known of what they hold.
    pub(crate) unread: Vec<PathBuf>,
    /// True if there was more than a look takes.
    pub(crate) cut: bool,
    /// What could not be seen, and where.
    pub(crate) troubles: Vec<(PathBuf, TroubleKind)>,
    root: Option<Identity>,
    entries: usize,
}

impl Look {
    /// Looks at all files of a topic. Blocks on the disk.
    pub(crate) fn at(watched: &Watched) -> Self {
        let mut look = Self::default();
        match fs::metadata(&watched.folder) {
            Ok(found) if found.is_dir() => look.root = Some(Identity::of(&found)),
            Ok(_) => return look,
            Err(error) => {
                look.unreadable(&watched.folder, &error);
                return look;
            }
        }
        if let What::Names { names, .. } = &watched.what {
            for name in names {
                look.take_file(watched.folder.join(name), None);
            }
        }
        let mut waiting = vec![(PathBuf::new(), 0)];
        while let Some((below, depth)) = waiting.pop() {
            look.walk(watched, &below, depth, &mut waiting);
        }
        look
    }

    /// Takes over from the last look what this one could not see.
    ///
    /// The order in which a folder gives its entries is its own: in a look cut
    /// short, what is missing may be there, and what is new may be old.
    pub(crate) fn complete(&mut self, last: &Snapshot, last_cut: bool) {
        for (path, stamp) in last {
            if self.unread.iter().any(|folder| path.starts_with(folder)) {
                self.files.entry(path.clone()).or_insert_with(|| stamp.clone());
            } else if self.cut && !self.files.contains_key(path) {
                self.take_file(path.clone(), None);
            }
        }
        if self.cut && last_cut {
            self.files.retain(|path, _| last.contains_key(path));
        }
    }

    fn walk(&mut self, watched: &Watched, below: &Path, depth: usize, waiting: &mut Vec<(PathBuf, usize)>) {
        let folder = watched.folder.join(below);
        let read = fs::metadata(&folder).and_then(|found| Ok((Identity::of(&found), fs::read_dir(&folder)?)));
        let (identity, entries) = match read {
            Ok(read) => read,
            Err(error) => return self.unreadable(&folder, &error),
        };
        self.folders.push((below.to_owned(), identity));
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable(&folder, &error),
            };
            if self.entries == ENTRIES_MAX {
                self.cut = true;
                self.troubles.push((folder, TroubleKind::TooMany(ENTRIES_MAX)));
                waiting.clear();
                return;
            }
            self.entries += 1;
            let path = below.join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder && watched.what.matches(&path) {
                self.take_file(entry.path(), Some(()));
            } else if is_folder && watched.what.enters(&path) {
                if depth == DEPTH_MAX {
                    self.troubles.push((entry.path(), TroubleKind::TooDeep(DEPTH_MAX)));
                } else {
                    waiting.push((path, depth + 1));
                }
            }
        }
    }

    /// Notes a file if there is one; `listed` if its folder says so.
    fn take_file(&mut self, path: PathBuf, listed: Option<()>) {
        // A link counts as the file it leads to, a link to nowhere as itself.
        let found = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path));
        match found {
            Ok(found) if found.is_dir() => {}
            Ok(found) => {
                self.files.insert(path, Stamp::new(self.root, Some(&found)));
            }
            Err(error) if is_missing(&error) => {}
            Err(_) if listed.is_some() => {
                self.files.insert(path, Stamp::new(self.root, None));
            }
            Err(_) => {}
        }
    }

    fn unreadable(&mut self, folder: &Path, error: &io::Error) {
        if !is_missing(error) {
            self.unread.push(folder.to_owned());
            self.troubles.push((folder.to_owned(), TroubleKind::Unreadable(error.to_string())));
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
