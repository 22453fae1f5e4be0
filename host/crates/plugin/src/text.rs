//! Text from inside the sandbox, made fit for a log line.

use std::fmt::Write as _;

/// At most `bytes_max` bytes of `text`, cut at a character, with control
/// characters (line ends, ANSI escapes, Unicode's direction marks) written as escapes.
/// A cut is marked with `…`.
pub(crate) fn escape(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max) + 4);
    for character in text.chars() {
        let before = out.len();
        if is_unfit(character) {
            // Writing to a string can't fail.
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > bytes_max {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

/// Controls, and the characters by which a text is made to look like another one.
fn is_unfit(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn controls_are_escaped_and_length_is_cut() {
        for (text, bytes_max, expected) in [
            ("plain text", 10, "plain text"),
            ("plain text.", 10, "plain text…"),
            ("a\r\nb", 100, "a\\r\\nb"),
            ("\x1b[31mred", 100, "\\u{1b}[31mred"),
            ("x\u{202e}y", 100, "x\\u{202e}y"),
            ("ää", 3, "ä…"),
            ("\n", 1, "…"),
        ] {
            assert_eq!(escape(text, bytes_max), expected, "{text:?}");
        }
    }
}
