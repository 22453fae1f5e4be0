//! What an application printed, as one field of a line.

/// Characters that the field has at most: the log cuts any value at 8,192 from its
/// beginning on, and what a program says last mostly says why it ended.
const CHARS_MAX: usize = 8_000;
/// Of them, what it said first has so many where something must be left out.
const FIRST_CHARS_MAX: usize = 2_000;
/// Of one line, so many are told where something must be left out.
const LINE_CHARS_MAX: usize = 1_000;

/// The field `last_output`: all of it, or its first and last lines and how many
/// lines between them were left out. None where there was no output.
///
/// Token and control characters were taken out when the lines were kept; the log
/// escapes their ends.
pub(super) fn last_output(lines: &[String]) -> Option<(String, String)> {
    if lines.is_empty() {
        return None;
    }
    let size: usize = lines.iter().map(|line| chars(line)).sum();
    let told = if size <= CHARS_MAX + 1 { lines.join("\n") } else { shortened(lines) };
    Some(("last_output".to_owned(), told))
}

/// Characters of a line with its end.
fn chars(line: &str) -> usize {
    line.chars().count() + 1
}

fn shortened(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| cut(line)).collect();
    let fitting = |room: usize, lines: &mut dyn Iterator<Item = &String>| {
        let mut left = room;
        let mut fits = |line: &&String| {
            let rest = left.checked_sub(chars(line));
            left = rest.unwrap_or(0);
            rest.is_some()
        };
        lines.take_while(|line| fits(line)).count()
    };
    let first = fitting(FIRST_CHARS_MAX, &mut lines.iter());
    let (head, rest) = lines.split_at(first);
    // The line between them needs some room too.
    let last = fitting(CHARS_MAX - FIRST_CHARS_MAX - 40, &mut rest.iter().rev());
    let (between, tail) = rest.split_at(rest.len().saturating_sub(last));
    let note = (!between.is_empty()).then(|| format!("[{} lines left out]", between.len()));
    let all: Vec<&str> =
        head.iter().map(String::as_str).chain(note.as_deref()).chain(tail.iter().map(String::as_str)).collect();
    all.join("\n")
}

/// The line's beginning.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((at, _)) => format!("{}\u{2026}", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHARS_MAX, LINE_CHARS_MAX, last_output};

    fn told(lines: &[String]) -> String {
        last_output(lines).map(|(_, value)| value).unwrap_or_default()
    }

    #[test]
    fn what_fits_is_told_whole() {
        assert_eq!(last_output(&[]), None);
        assert_eq!(told(&["one".to_owned(), String::new(), "two".to_owned()]), "one\n\ntwo");
        let long = "\u{e4}".repeat(CHARS_MAX);
        assert_eq!(told(std::slice::from_ref(&long)), long);
        let over = told(&[format!("{long}\u{e4}")]);
        assert_eq!(over, format!("{}\u{2026}", "\u{e4}".repeat(LINE_CHARS_MAX)));
    }

    #[test]
    fn beginning_and_end_of_much_are_told() {
        for width in [1, 10, 999, 1000, 1001, 8000] {
            let lines: Vec<String> = (0..5000).map(|n| format!("{n:->width$}")).collect();
            let told = told(&lines);
            let count = told.chars().count();
            assert!(count <= CHARS_MAX && count > CHARS_MAX - 2 * LINE_CHARS_MAX, "{width}: {count}");
            let parts: Vec<&str> = told.split('\n').collect();
            assert!(
                parts.first().is_some_and(|first| lines
                    .first()
                    .is_some_and(|line| line.starts_with(first.trim_end_matches('\u{2026}')))),
                "{width}"
            );
            let note = parts.iter().find_map(|part| part.strip_prefix('[')?.strip_suffix(" lines left out]"));
            let left: usize = note.and_then(|number| number.parse().ok()).unwrap_or_default();
            assert_eq!(left + parts.len() - 1, lines.len(), "{width}: {note:?}");
            if width < LINE_CHARS_MAX {
                assert_eq!(parts.last().copied(), lines.last().map(String::as_str), "{width}");
            }
        }
    }
}
