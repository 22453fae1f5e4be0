//! The application's bytes as text for a person.

use std::io::BufRead as _;

/// Where `byte` first stands.
pub(super) fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    let mut rest = bytes;
    // The library's own search is many times faster than a loop over bytes.
    let passed = rest.skip_until(byte).ok()?;
    passed.checked_sub(1).filter(|last| bytes.get(*last) == Some(&byte))
}

/// Where `byte` last stands.
pub(super) fn find_last(bytes: &[u8], byte: u8) -> Option<usize> {
    // Long pieces without it are passed at the speed of the library's search.
    if bytes.contains(&byte) { bytes.iter().rposition(|b| *b == byte) } else { None }
}

/// One line as text: invalid UTF-8 replaced; control characters, line and
/// paragraph separators and signs that turn the direction of writing escaped, so
/// that it can't move the cursor, look like several lines or like other text.
pub(super) fn escape(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    if !text.contains(is_hidden) {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The first `max` bytes, without a character that the cut would go through.
pub(super) fn cut(line: &[u8], max: usize) -> &[u8] {
    let Some(part) = line.get(..max) else { return line };
    // A character has at most four bytes, so the cut one began within the last three.
    let last = part.iter().rev().take(3).position(|b| *b >= 0xc0);
    let Some(start) = last.and_then(|back| part.len().checked_sub(back + 1)) else { return part };
    let (before, character) = part.split_at(start);
    match std::str::from_utf8(character) {
        Err(e) if e.error_len().is_none() => before,
        _ => part,
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, escape, find, find_last};

    #[test]
    fn bytes_are_found() {
        let cases = [("", None), ("a", None), ("\n", Some((0, 0))), ("ab\nc\n", Some((2, 4))), ("ab\n", Some((2, 2)))];
        for (bytes, expected) in cases {
            let both = find(bytes.as_bytes(), b'\n').zip(find_last(bytes.as_bytes(), b'\n'));
            assert_eq!(both, expected, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_invisible_is_left() {
        let cases: [(&[u8], &str); 8] = [
            (b"plain", "plain"),
            (b"dos\r", "dos"),
            (b"10%\r20%\r", "10%\\r20%"),
            (b"\x1b[31mred\x07\tx", "\\u{1b}[31mred\\u{7}\\tx"),
            (b"a\0b", "a\\u{0}b"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("\u{e4}\u{85}".as_bytes(), "\u{e4}\\u{85}"),
            ("a\u{202e}b\u{2028}c".as_bytes(), "a\\u{202e}b\\u{2028}c"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(escape(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_cut_spares_characters() {
        let text = "a\u{20ac}b".as_bytes();
        for (max, expected) in [(0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (6, 5)] {
            assert_eq!(cut(text, max).len(), expected, "{max}");
        }
        // What is no character is cut where it was asked for.
        assert_eq!(cut(b"\x80\x80\x80\x80", 3).len(), 3);
        assert_eq!(cut(b"a\xffbc", 2).len(), 2);
    }
}
