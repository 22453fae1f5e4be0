//! The lines that go to the host's own log.

use super::escape::{cut, escape, find};
use crate::event::{Event, Events};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Of one line, this many bytes are told; a note says how many more it had.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Lines told within a window; the rest is counted.
const LINES_MAX: u32 = 1000;
/// Bytes told within a window; the rest is counted by its lines.
const BYTES_MAX: usize = 1024 * 1024;
const WINDOW: Duration = Duration::from_secs(1);

/// Tells each complete line as an [`Event::OutputLine`]: at most 1,000 lines and
/// 1 MiB in a second, and one more line that says how many were left out.
pub(super) struct Told {
    events: Arc<dyn Events>,
    start: u64,
    instance: u16,
    line: Vec<u8>,
    /// Bytes of the current line that are not in `line`.
    more: u64,
    window: Option<Window>,
}

struct Window {
    ends: Instant,
    lines: u32,
    bytes: usize,
    left_out: u64,
}

impl Told {
    pub(super) fn new(events: Arc<dyn Events>, start: u64, instance: u16) -> Self {
        Self { events, start, instance, line: Vec::new(), more: 0, window: None }
    }

    /// Takes the next piece.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) {
        let mut rest = bytes;
        while let Some(at) = find(rest, b'\n') {
            let (line, after) = rest.split_at(at);
            self.append(line);
            self.end_line(now);
            rest = after.get(1..).unwrap_or_default();
        }
        self.append(rest);
    }

    /// When [`Told::look`] has something to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window.as_ref().filter(|window| window.left_out > 0).map(|window| window.ends)
    }

    /// Tells what a window that is over has left out.
    pub(super) fn look(&mut self, now: Instant) {
        if let Some(window) = self.window.take_if(|window| window.ends <= now) {
            self.sum_up(&window);
        }
    }

    /// The end: a line without its end is a line now.
    pub(super) fn finish(&mut self, now: Instant) {
        if !self.line.is_empty() {
            self.end_line(now);
        }
        if let Some(window) = self.window.take() {
            self.sum_up(&window);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        // Nothing follows a character that was left out.
        let part = if self.more > 0 { &[] } else { cut(bytes, room) };
        self.line.extend_from_slice(part);
        self.more += (bytes.len() - part.len()) as u64;
    }

    fn end_line(&mut self, now: Instant) {
        self.look(now);
        let window = self.window.get_or_insert_with(|| Window { ends: now + WINDOW, lines: 0, bytes: 0, left_out: 0 });
        if window.lines < LINES_MAX && window.bytes + self.line.len() <= BYTES_MAX {
            window.lines += 1;
            window.bytes += self.line.len();
            let mut line = escape(&self.line);
            if self.more > 0 {
                line.push_str(&format!(" [{} more bytes]", self.more));
            }
            self.tell(line);
        } else {
            window.left_out += 1;
        }
        self.line.clear();
        self.more = 0;
    }

    fn sum_up(&self, window: &Window) {
        if window.left_out > 0 {
            self.tell(format!("[{} lines left out: too many within a second]", window.left_out));
        }
    }

    fn tell(&self, line: String) {
        self.events.tell(Event::OutputLine { start: self.start, instance: self.instance, line });
    }
}

#[cfg(test)]
mod tests;
