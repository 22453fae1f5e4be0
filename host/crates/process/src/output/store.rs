//! The part of the output that is kept in memory.

use super::escape::{escape, find};
use std::collections::VecDeque;

/// Of the beginning, this many bytes are kept.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Of the end, this many lines are kept.
const TAIL_LINES_MAX: usize = 200;
/// Of one line, this many bytes are kept; the rest up to its end is dropped.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// A report shows at most this much of the end.
const REPORT_BYTES_MAX: usize = 64 * 1024;

/// The first 8 KiB and the last 200 lines.
#[derive(Default)]
pub(super) struct Store {
    head: Vec<u8>,
    tail: VecDeque<Vec<u8>>,
    current: Vec<u8>,
    /// Bytes of whole lines that fell out of the tail.
    dropped: u64,
}

impl Store {
    /// Takes the next piece.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let mut rest = bytes;
        while let Some(at) = find(rest, b'\n') {
            let (line, after) = rest.split_at(at);
            self.append(line);
            self.end_line();
            rest = after.get(1..).unwrap_or_default();
        }
        self.append(rest);
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.current.len();
        self.current.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    fn end_line(&mut self) {
        let mut spare = Vec::new();
        if self.tail.len() == TAIL_LINES_MAX
            && let Some(oldest) = self.tail.pop_front()
        {
            self.dropped += oldest.len() as u64 + 1;
            spare = oldest;
            spare.clear();
        }
        self.tail.push_back(std::mem::replace(&mut self.current, spare));
    }

    /// Beginning and end for a person: oldest first, control characters escaped.
    /// A line between the two tells what was left out.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut shown = 0;
        let open = Some(&self.current).filter(|line| !line.is_empty());
        let mut end: Vec<String> = self
            .tail
            .iter()
            .chain(open)
            .rev()
            .map(|line| escape(line))
            .take_while(|line| {
                shown += line.len() + 1;
                shown <= REPORT_BYTES_MAX
            })
            .collect();
        end.reverse();
        let all = self.tail.len() + usize::from(open.is_some());
        if self.dropped == 0 && end.len() == all {
            return end;
        }
        let head = usize::try_from(self.dropped).map_or(self.head.as_slice(), |dropped| {
            let skipped: usize = self.tail.iter().take(all - end.len()).map(|l| l.len() + 1).sum();
            self.head.get(..(dropped + skipped).min(self.head.len())).unwrap_or_default()
        });
        let mut lines: Vec<String> = head.split(|b| *b == b'\n').map(escape).collect();
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.push("[output between the first 8 KiB and the last lines left out]".to_owned());
        lines.extend(end);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, LINE_BYTES_MAX, Store, TAIL_LINES_MAX};

    fn stored(bytes: &[u8]) -> Vec<String> {
        let mut store = Store::default();
        // Odd pieces, so that lines cross their borders.
        bytes.chunks(7).for_each(|piece| store.push(piece));
        store.lines()
    }

    #[test]
    fn little_output_is_kept_whole() {
        let cases: [(&[u8], &[&str]); 6] = [
            (b"", &[]),
            (b"boom", &["boom"]),
            (b"a\r\nb\n\nc", &["a", "b", "", "c"]),
            (b"\x1b[31mred\x07\tx", &["\\u{1b}[31mred\\u{7}\\tx"]),
            (b"\xff\xfe", &["\u{fffd}\u{fffd}"]),
            ("\u{e4}\u{85}".as_bytes(), &["\u{e4}\\u{85}"]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(stored(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn lines_have_a_limit() {
        for (length, kept) in [(LINE_BYTES_MAX, LINE_BYTES_MAX), (LINE_BYTES_MAX + 1, LINE_BYTES_MAX)] {
            assert_eq!(stored("x".repeat(length).as_bytes()).first().map(String::len), Some(kept));
        }
    }

    #[test]
    fn the_last_200_lines_follow_the_beginning() {
        let text = |count: usize| (0..count).map(|n| format!("line {n}\n")).collect::<String>();
        let all = stored(text(TAIL_LINES_MAX).as_bytes());
        assert_eq!(all.len(), TAIL_LINES_MAX);
        let more = stored(text(TAIL_LINES_MAX + 1).as_bytes());
        assert_eq!(more.len(), TAIL_LINES_MAX + 2);
        assert_eq!(more.first().map(String::as_str), Some("line 0"));
        assert_eq!(more.get(2).map(String::as_str), Some("line 1"));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut store = Store::default();
        let piece = "y".repeat(16 * 1024);
        for _ in 0..1000 {
            store.push(piece.as_bytes());
        }
        for _ in 0..100_000 {
            store.push(b"0123456789\n");
        }
        assert!(store.head.len() <= HEAD_BYTES_MAX);
        assert!(store.tail.len() <= TAIL_LINES_MAX);
        assert!(store.tail.iter().map(Vec::capacity).sum::<usize>() <= TAIL_LINES_MAX * 2 * LINE_BYTES_MAX);
    }
}
