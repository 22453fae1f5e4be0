//! Writes one start's output into files: rotation, trouble, recovery.
//!
//! It may wait for the disk as long as the disk likes: it runs in a thread of
//! its own, and whoever hands pieces over never waits for it.

use super::escape::{find, find_last};
use super::name::{Place, Stamp};
use super::platform;
use super::trouble::Trouble;
use crate::event::Events;
use crate::settings::OutputSettings;
use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A line up to this length is never cut by a rotation: its file grows instead.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Between two looks whether the file is still there, and between two attempts
/// after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// A piece of output and how much was lost before it.
pub(super) struct Piece {
    pub(super) lost_before: u64,
    pub(super) bytes: Vec<u8>,
}

/// What became of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is where it was made, and has this many bytes.
    Here(u64),
    /// It has another name now; somebody else rotates too.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "no file is told apart there"))]
    Moved,
    /// It has no name any more: what is written to it is lost.
    Gone,
}

/// What is written to: a file, or in a test what behaves as badly as one.
pub(super) trait Target: Write + Send {
    /// What became of it.
    fn standing(&self, path: &Path) -> Standing;
}

impl Target for File {
    fn standing(&self, path: &Path) -> Standing {
        platform::standing(self, path)
    }
}

/// The files of one start, one at a time.
pub(super) struct Writer {
    place: Place,
    settings: OutputSettings,
    trouble: Trouble,
    open: Option<Open>,
    last: Option<Stamp>,
    /// Length of the line that is being written, over all its files.
    line: u64,
    /// Bytes that the file must still be told to lack.
    missing: u64,
    look_at: Instant,
    /// After a failure: when to write again, and when to rotate again.
    write_at: Instant,
    rotate_at: Instant,
}

struct Open {
    target: Box<dyn Target>,
    path: PathBuf,
    bytes: u64,
    since: Instant,
    /// Bytes written since the file was last seen at its place.
    unseen: u64,
}

impl Writer {
    pub(super) fn new(place: Place, settings: OutputSettings, events: Arc<dyn Events>, now: Instant) -> Self {
        Self {
            trouble: Trouble::new(events, place.path(Stamp::now())),
            place,
            settings,
            open: None,
            last: None,
            line: 0,
            missing: 0,
            look_at: now,
            write_at: now,
            rotate_at: now,
        }
    }

    /// Makes the first file, so that a start without output has one too.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Err(e) = self.next_file(now) {
            self.fail(&e, now);
        }
    }

    /// Writes a piece. What can't be written is counted, and told when it can.
    pub(super) fn take(&mut self, piece: &Piece, now: Instant) {
        if piece.lost_before > 0 {
            self.miss(piece.lost_before, "the disk was too slow");
        }
        let mut rest = piece.bytes.as_slice();
        if now >= self.write_at
            && let Err(e) = self.write(&mut rest, now)
        {
            self.fail(&e, now);
        }
        self.miss_rest(rest);
    }

    /// The end: tells what was lost and not told yet. No new file is made for it.
    pub(super) fn end(&mut self, lost: u64, now: Instant) {
        if lost > 0 {
            self.miss(lost, "the disk was too slow");
        }
        self.look();
        if self.missing > 0 && self.open.is_some() && self.note().is_ok() {
            self.missing = 0;
        }
        self.trouble.end(now);
    }

    fn fail(&mut self, e: &Error, now: Instant) {
        self.write_at = now + PAUSE;
        self.trouble.begin(&e.to_string(), now);
    }

    fn miss(&mut self, bytes: u64, reason: &str) {
        self.missing += bytes;
        self.trouble.lose(bytes, reason);
    }

    fn miss_rest(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.missing += rest.len() as u64;
            self.trouble.lose_more(rest.len() as u64);
        }
    }

    /// Writes `rest`, which afterwards is what could not be written.
    fn write(&mut self, rest: &mut &[u8], now: Instant) -> Result<(), Error> {
        if now >= self.look_at {
            self.look_at = now + PAUSE;
            self.look();
        }
        if self.open.is_none() {
            self.next_file(now)?;
        }
        if self.missing > 0 {
            self.note()?;
            self.missing = 0;
        }
        while !rest.is_empty() {
            let (count, full) = self.share(rest, now);
            let (mut now_due, after) = rest.split_at(count);
            let result = self.put(&mut now_due);
            let unwritten = now_due.len();
            *rest = if unwritten == 0 { after } else { rest.get(count - unwritten..).unwrap_or_default() };
            result?;
            if full && let Err(e) = self.next_file(now) {
                // The old file goes on instead: nothing is lost.
                self.rotate_at = now + PAUSE;
                self.trouble.begin(&e.to_string(), now);
            }
        }
        self.trouble.over(now);
        Ok(())
    }

    /// How much of `rest` goes into the current file, and whether it is full then.
    fn share(&self, rest: &[u8], now: Instant) -> (usize, bool) {
        let Some(open) = self.open.as_ref().filter(|_| now >= self.rotate_at) else { return (rest.len(), false) };
        let bytes_max = match self.settings.file_age_max {
            // Too old: as if it had reached its size.
            Some(age_max) if now.saturating_duration_since(open.since) >= age_max => open.bytes,
            _ => self.settings.file_bytes_max,
        };
        share(open.bytes, self.line, bytes_max, rest)
    }

    fn put(&mut self, rest: &mut &[u8]) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        while !rest.is_empty() {
            let count = match open.target.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => count.min(rest.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let (done, after) = rest.split_at(count);
            self.line = match find_last(done, b'\n') {
                Some(end) => (done.len() - end - 1) as u64,
                None => self.line + count as u64,
            };
            open.bytes += count as u64;
            open.unseen += count as u64;
            *rest = after;
        }
        Ok(())
    }

    /// Tells the file what it lacks.
    fn note(&mut self) -> Result<(), Error> {
        let before = if self.line > 0 { "\n" } else { "" };
        let note = format!("{before}[{} bytes of output are missing here: {}]\n", self.missing, self.trouble.reason());
        self.put(&mut note.as_bytes())
    }

    /// Looks whether the file is still there.
    fn look(&mut self) {
        let Some(open) = &mut self.open else { return };
        match open.target.standing(&open.path) {
            Standing::Here(bytes) => {
                // Somebody may have emptied it.
                open.bytes = bytes;
                open.unseen = 0;
            }
            Standing::Moved => self.open = None,
            Standing::Gone => {
                let lost = open.unseen;
                self.open = None;
                if lost > 0 {
                    self.miss(lost, "the file was removed");
                }
            }
        }
    }

    fn next_file(&mut self, now: Instant) -> Result<(), Error> {
        let (file, stamp) = self.place.create(Stamp::now(), self.last)?;
        let path = self.place.path(stamp);
        self.trouble.path(path.clone());
        self.last = Some(stamp);
        // The old one is closed by this.
        self.open = Some(Open { target: Box::new(file), path, bytes: 0, since: now, unseen: 0 });
        self.place.prune(self.settings.files_max);
        Ok(())
    }
}

/// How much of `rest` goes into a file of `bytes` whose last line has `line` bytes
/// so far, and whether it is full then. Files end at the ends of lines, unless a
/// line is longer than 64 KiB.
fn share(bytes: u64, line: u64, bytes_max: u64, rest: &[u8]) -> (usize, bool) {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let room = bytes_max.saturating_sub(bytes);
    let Some(fitting) = rest.get(..size(room)).filter(|fitting| fitting.len() < rest.len()) else {
        return (rest.len(), false);
    };
    if let Some(end) = find_last(fitting, b'\n') {
        return (end + 1, true);
    }
    if line == 0 && bytes > 0 {
        return (0, true);
    }
    // At least one byte, so that a file that may hold nothing makes progress.
    let least = u64::from(bytes == 0);
    let most = size(room.max(LINE_BYTES_MAX.saturating_sub(line)).max(least));
    let within = rest.get(..most).unwrap_or(rest);
    match find(within, b'\n') {
        Some(end) => (end + 1, true),
        None => (within.len(), within.len() == most),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
