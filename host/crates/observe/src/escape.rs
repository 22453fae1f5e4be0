//! Making a stranger's text safe for a line of a log.

use std::borrow::Cow;

/// Longest value in a line, in characters; the rest is replaced by `…`.
const VALUE_CHARS_MAX: usize = 8 * 1024;

/// Escapes control characters (also ANSI sequences, line ends, bidirectional
/// overrides) as `\u{..}`, `\n`, `\t`, and cuts at 8,192 characters.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.len() <= VALUE_CHARS_MAX && !text.chars().any(must_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(VALUE_CHARS_MAX) + 16);
    for (count, c) in text.chars().enumerate() {
        if count == VALUE_CHARS_MAX {
            out.push('…');
            break;
        }
        if must_escape(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn control_characters_never_reach_a_terminal() {
        for (given, wanted) in [
            ("plain", "plain"),
            ("a\nb", "a\\nb"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{202e}abc", "\\u{202e}abc"),
            ("täglich", "täglich"),
        ] {
            assert_eq!(escape(given), wanted);
        }
        assert_eq!(escape(&"x".repeat(8192)).len(), 8192);
        assert_eq!(escape(&"x".repeat(8193)).chars().count(), 8193);
        assert!(escape(&"x".repeat(9000)).ends_with('…'));
    }
}
