//! How Windows cuts a command line into arguments.

/// Splits by the rules of the Microsoft C runtime: blanks and tabs separate;
/// double quotes group; `2n` backslashes before a quote are `n` backslashes,
/// `2n + 1` are `n` and a literal quote; two quotes inside a quoted part are one
/// literal quote; any other backslash is itself.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' if !quoted => arguments.extend(current.take()),
            '\\' => {
                let mut count = 1;
                while chars.next_if_eq(&'\\').is_some() {
                    count += 1;
                }
                let argument = current.get_or_insert_default();
                if chars.peek() == Some(&'"') {
                    argument.extend(std::iter::repeat_n('\\', count / 2));
                    if count % 2 == 1 {
                        chars.next();
                        argument.push('"');
                    }
                } else {
                    argument.extend(std::iter::repeat_n('\\', count));
                }
            }
            '"' => {
                let argument = current.get_or_insert_default();
                if quoted && chars.next_if_eq(&'"').is_some() {
                    argument.push('"');
                } else {
                    quoted = !quoted;
                }
            }
            _ => current.get_or_insert_default().push(c),
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    use super::split;

    /// L04: the rules of the Microsoft C runtime.
    #[test]
    fn windows_rules() {
        let cases: [(&str, &[&str]); 18] = [
            ("", &[]),
            ("  \t ", &[]),
            ("a b", &["a", "b"]),
            ("a\r\n  b", &["a", "b"]),
            (r#""a b" c"#, &["a b", "c"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r#""""#, &[""]),
            (r#"x "" y"#, &["x", "", "y"]),
            (r"a\b\\c", &[r"a\b\\c"]),
            (r#"a\"b"#, &[r#"a"b"#]),
            (r#"a\\"b c""#, &[r"a\b c"]),
            (r#"a\\\"b"#, &[r#"a\"b"#]),
            (r#""a\\""#, &[r"a\"]),
            (r#""say ""hi"" now""#, &[r#"say "hi" now"#]),
            (r#""never closed"#, &["never closed"]),
            (r#"--path="C:\x y\""#, &[r#"--path=C:\x y""#]),
            (r"'single' quotes", &["'single'", "quotes"]),
            ("\u{e4}\u{f6} \u{1f600}", &["\u{e4}\u{f6}", "\u{1f600}"]),
        ];
        for (line, expected) in cases {
            assert_eq!(split(line), expected, "{line:?}");
        }
    }
}
