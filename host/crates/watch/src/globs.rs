//! Patterns of paths below a folder, compiled once.

use std::fmt;
use std::path::{Component, Path};

use globset::{Glob, GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// Patterns of files below a folder, and patterns of what is left out.
///
/// `*` and `?` stay within one folder, `**` goes through any number of them:
/// `*.dll` is a file of the folder itself, `bin/**/*.so` a file at any depth
/// below `bin`. Letters count as they are, but on Windows of either case.
/// Only folders that can hold a match are walked.
#[derive(Debug, Clone)]
pub struct Globs {
    include: Vec<String>,
    exclude: Vec<String>,
    files: GlobSet,
    left_out: GlobSet,
    ways: Vec<Way>,
}

/// A pattern that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobFault {
    /// The pattern as written.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for GlobFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pattern {:?}: {}", self.glob, self.reason)
    }
}

impl std::error::Error for GlobFault {}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.include == other.include && self.exclude == other.exclude
    }
}

impl Eq for Globs {}

/// The folders that lead to the matches of one pattern.
#[derive(Debug, Clone)]
struct Way {
    folders: Vec<GlobMatcher>,
    /// True if folders below the last of `folders` can hold matches, too.
    deeper: bool,
}

impl Globs {
    /// Compiles patterns; a file of `exclude` isn't watched, a folder of it isn't entered.
    ///
    /// # Errors
    /// The first pattern that is no pattern, is empty, is absolute or has `..`.
    pub fn new<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Result<Self, GlobFault> {
        let mut files = GlobSetBuilder::new();
        let mut ways = Vec::new();
        for glob in include {
            files.add(compile(glob.as_ref())?);
            ways.push(Way::of(glob.as_ref())?);
        }
        let mut left_out = GlobSetBuilder::new();
        for glob in exclude {
            // A folder whose whole content is left out needs no walk.
            let glob = glob.as_ref();
            left_out.add(compile(glob)?);
            let folder = glob.trim_end_matches("**").trim_end_matches('/');
            if !folder.is_empty() && folder != glob {
                left_out.add(compile(folder)?);
            }
        }
        let all = |set: GlobSetBuilder| set.build().map_err(|error| fault(error.glob().unwrap_or_default(), &error));
        Ok(Self {
            include: include.iter().map(|glob| glob.as_ref().to_owned()).collect(),
            exclude: exclude.iter().map(|glob| glob.as_ref().to_owned()).collect(),
            files: all(files)?,
            left_out: all(left_out)?,
            ways,
        })
    }

    /// True if the file at `below` (relative to the folder) is watched.
    pub(crate) fn matches(&self, below: &Path) -> bool {
        self.files.is_match(below) && !below.ancestors().any(|part| self.leaves_out(part))
    }

    /// True if the folder at `below` can hold watched files.
    pub(crate) fn enters(&self, below: &Path) -> bool {
        self.ways.iter().any(|way| way.enters(below)) && !below.ancestors().any(|part| self.leaves_out(part))
    }

    fn leaves_out(&self, part: &Path) -> bool {
        !part.as_os_str().is_empty() && self.left_out.is_match(part)
    }
}

impl Way {
    fn of(glob: &str) -> Result<Self, GlobFault> {
        let parts: Vec<&str> = glob.split('/').collect();
        let mut folders = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index + 1 == parts.len() {
                break;
            }
            // Alternatives and classes may hold a slash: from there on any folder may lead to a match.
            if *part == "**" || part.contains(['{', '[', '\\']) {
                return Ok(Self { folders, deeper: true });
            }
            folders.push(compile(part)?.compile_matcher());
        }
        let spans = glob.rsplit('/').next().is_some_and(|last| last == "**");
        Ok(Self { folders, deeper: spans })
    }

    fn enters(&self, below: &Path) -> bool {
        let mut count = 0;
        for part in below.components() {
            match self.folders.get(count) {
                Some(folder) if !folder.is_match(part.as_os_str()) => return false,
                None if !self.deeper => return false,
                _ => count += 1,
            }
        }
        true
    }
}

fn compile(glob: &str) -> Result<Glob, GlobFault> {
    let plain = Path::new(glob).components().all(|part| matches!(part, Component::Normal(_)));
    if glob.is_empty() || !plain || glob.starts_with("./") {
        return Err(fault(glob, &"needs a path below the folder, without \".\", \"..\" or a leading slash"));
    }
    GlobBuilder::new(glob)
        .literal_separator(true)
        .case_insensitive(cfg!(windows))
        .build()
        .map_err(|error| fault(glob, error.kind()))
}

fn fault(glob: &str, reason: &dyn fmt::Display) -> GlobFault {
    GlobFault { glob: glob.to_owned(), reason: reason.to_string() }
}
