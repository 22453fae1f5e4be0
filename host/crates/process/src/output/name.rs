//! Where log files lie, how they are called, and which of them are kept.

use super::platform;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Names tried for one new file before it is given up.
const NAMES_MAX: u32 = 1000;

/// Folder and beginning of the names of one `stdoutLogFile`.
#[derive(Clone)]
pub(super) struct Place {
    folder: PathBuf,
    /// With the underscore behind it.
    prefix: String,
}

/// What a name says; the order is that of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// Year to second in UTC, as a number of 14 digits.
    pub(super) time: u64,
    /// From 1; a file that is not the first of its second tells it in its name.
    pub(super) number: u32,
    /// The host's process number.
    pub(super) pid: u32,
}

impl Stamp {
    /// Now, as the first file of this second.
    pub(super) fn now() -> Self {
        let utc = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        let time = utc.strftime("%Y%m%d%H%M%S").to_string().parse().unwrap_or(0);
        Self { time, number: 1, pid: std::process::id() }
    }
}

impl Place {
    /// The place that `stdoutLogFile` names; relative to the site's root.
    pub(super) fn new(root: &Path, raw: &str) -> Self {
        let raw = raw.trim();
        let stem = raw.strip_prefix(r"\\?\").unwrap_or(raw).replace('\\', "/");
        // Joined and tidied: `./` in the middle of a path helps nobody who reads it.
        let path: PathBuf = root.join(format!("{stem}_")).components().collect();
        let prefix = path.file_name().map_or_else(|| "_".into(), |name| name.to_string_lossy().into_owned());
        Self { folder: path.parent().map(Path::to_owned).unwrap_or_default(), prefix }
    }

    /// `<path>_<YYYYMMDDhhmmss>_<host's process number>.log` as the ASP.NET Core
    /// module does; `_2`, `_3` and so on before `.log` if there is such a file.
    pub(super) fn path(&self, stamp: Stamp) -> PathBuf {
        let Stamp { time, number, pid } = stamp;
        let prefix = &self.prefix;
        let number = if number > 1 { format!("_{number}") } else { String::new() };
        self.folder.join(format!("{prefix}{time:014}_{pid}{number}.log"))
    }

    /// What a name of ours says; none if it is not exactly of our form.
    fn parse(&self, name: &str) -> Option<Stamp> {
        let mut parts = name.strip_prefix(self.prefix.as_str())?.strip_suffix(".log")?.split('_');
        let time = parts.next().filter(|time| time.len() == 14).and_then(number)?;
        let pid = parts.next().filter(|pid| !pid.starts_with('0')).and_then(number)?;
        let number = match parts.next() {
            None => 1,
            Some(text) => number(text).filter(|n| *n > 1 && !text.starts_with('0'))?,
        };
        let stamp = Stamp { time, number: u32::try_from(number).ok()?, pid: u32::try_from(pid).ok()? };
        parts.next().is_none().then_some(stamp)
    }

    /// Regular files of this place, newest first; none if the folder can't be read.
    fn files(&self) -> Vec<Stamp> {
        let mut stamps: Vec<Stamp> = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            // The type is the entry's own: a symbolic link is no regular file.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| self.parse(entry.file_name().to_str()?))
            .collect();
        stamps.sort_unstable_by(|a, b| b.cmp(a));
        stamps
    }

    /// Makes a new file, and its folder where needed. It is never one that exists,
    /// nor what a symbolic link points to, and its name comes after those of
    /// `last` and of every other file of this second.
    ///
    /// # Errors
    /// The system's reason.
    pub(super) fn create(&self, now: Stamp, last: Option<Stamp>) -> std::io::Result<(File, Stamp)> {
        std::fs::create_dir_all(&self.folder)?;
        // A clock that was put back must not make new files look old.
        let time = last.map_or(now.time, |last| last.time.max(now.time));
        let others = self.files().into_iter().filter(|other| other.pid == now.pid);
        let highest = others.chain(last).filter(|other| other.time == time).map(|other| other.number).max();
        let first = highest.map_or(1, |number| number.saturating_add(1));
        for number in first..first.saturating_add(NAMES_MAX) {
            let stamp = Stamp { time, number, ..now };
            match File::options().append(true).create_new(true).open(self.path(stamp)) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
                Ok(file) => {
                    platform::hold(&file);
                    return Ok((file, stamp));
                }
            }
        }
        Err(std::io::Error::new(ErrorKind::AlreadyExists, "all names of this second are taken"))
    }

    /// Removes all but the `files_max` newest files of this place; never one that
    /// is being written, and nothing but regular files whose name has our form.
    pub(super) fn prune(&self, files_max: u32) {
        let kept = usize::try_from(files_max.max(1)).unwrap_or(usize::MAX);
        for stamp in self.files().into_iter().skip(kept) {
            let path = self.path(stamp);
            if !platform::is_held(&path) {
                // Somebody else may have been quicker, or may forbid it: the next file tries again.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
