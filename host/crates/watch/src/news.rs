//! What the watcher tells.

use std::fmt;
use std::path::PathBuf;

/// Files named in one change, at most; the others are counted.
pub(crate) const FILES_NAMED_MAX: usize = 16;

/// Something the watcher has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Files changed and came to rest.
    Changed(Change),
    /// Something can't be watched as it should be. Told once per topic and kind.
    Troubled(Trouble),
}

/// Files of one topic changed: made, removed, replaced, written or touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The topic's name.
    pub topic: &'static str,
    /// The first 16 of the files, in order of their paths.
    pub files: Vec<PathBuf>,
    /// How many changed besides.
    pub more: usize,
}

impl Change {
    /// Makes one of all files that changed.
    pub(crate) fn new(topic: &'static str, mut files: Vec<PathBuf>) -> Self {
        let more = files.len().saturating_sub(FILES_NAMED_MAX);
        files.truncate(FILES_NAMED_MAX);
        Self { topic, files, more }
    }

    /// Takes in a later change of the same topic.
    pub(crate) fn merge(&mut self, later: Self) {
        self.more = self.more.saturating_add(later.more);
        self.files.extend(later.files);
        self.files.sort();
        self.files.dedup();
        self.more = self.more.saturating_add(self.files.len().saturating_sub(FILES_NAMED_MAX));
        self.files.truncate(FILES_NAMED_MAX);
    }
}

/// What can't be watched as it should be; the rest goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The topic's name.
    pub topic: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub kind: TroubleKind,
}

/// What is wrong with watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// The system gives no events (ANCM event 1024); looking by time goes on.
    NoEvents(String),
    /// The system's limit of watches is reached: the setting to raise. Looking by time goes on.
    Limit(&'static str),
    /// The folder has more entries than this; files beyond them aren't watched.
    TooMany(usize),
    /// Folders lie deeper than this; files below them aren't watched.
    TooDeep(usize),
    /// The folder can't be read; its files count as unchanged.
    Unreadable(String),
}

impl TroubleKind {
    /// A number for the kind, whatever it says.
    pub(crate) fn ordinal(&self) -> u8 {
        match self {
            Self::NoEvents(_) => 0,
            Self::Limit(_) => 1,
            Self::TooMany(_) => 2,
            Self::TooDeep(_) => 3,
            Self::Unreadable(_) => 4,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            TroubleKind::NoEvents(reason) => {
                write!(f, "{path} can't be watched by events ({reason}); it is looked at now and then")
            }
            TroubleKind::Limit(setting) => write!(
                f,
                "{path} can't be watched by events: the limit {setting} is reached; it is looked at now and then"
            ),
            TroubleKind::TooMany(max) => write!(f, "{path} has more than {max} entries; the others aren't watched"),
            TroubleKind::TooDeep(max) => write!(f, "{path} lies more than {max} folders deep and isn't watched"),
            TroubleKind::Unreadable(reason) => {
                write!(f, "{path} can't be read ({reason}); its files count as unchanged")
            }
        }
    }
}
