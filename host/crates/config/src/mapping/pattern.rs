//! Path patterns of `handlers`: `*`, `*.ext`, `name.ext`, `dir/*`.

/// A compiled path pattern. All comparisons ignore case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// `*`: every path.
    Any,
    /// `*.`: the last segment has no extension.
    Extensionless,
    /// No slash in it: tested against the last segment, or with path info against any.
    Segment { pattern: Box<str>, path_info: bool },
    /// Anchored at the application; wildcards cross slashes.
    Path(Box<str>),
}

impl Pattern {
    pub(super) fn new(pattern: &str, path_info: bool) -> Self {
        let pattern = pattern.trim().to_lowercase();
        match pattern.as_str() {
            "*" | "/*" => Self::Any,
            "*." => Self::Extensionless,
            other => match other.strip_prefix('/') {
                Some(anchored) => Self::Path(anchored.into()),
                None if other.contains('/') => Self::Path(other.into()),
                None => Self::Segment { pattern: other.into(), path_info },
            },
        }
    }

    /// `path` has a slash in front.
    pub(super) fn matches(&self, path: &str) -> bool {
        let below = path.strip_prefix('/').unwrap_or(path);
        let last = below.rsplit('/').next().unwrap_or_default();
        match self {
            Self::Any => true,
            Self::Extensionless => !last.contains('.'),
            Self::Segment { pattern, path_info: false } => matches(pattern, last),
            Self::Segment { pattern, path_info: true } => below.split('/').any(|segment| matches(pattern, segment)),
            Self::Path(pattern) => matches(pattern, below),
        }
    }
}

/// Wildcard match, `*` any characters and `?` one; `pattern` in lower case.
///
/// Goes back to the last `*` only, so it takes at most pattern × text steps.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.chars();
    let mut text = text.chars();
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let mut ahead = pattern.clone();
        match ahead.next() {
            Some('*') => {
                retry = Some((ahead.clone(), text.clone()));
                pattern = ahead;
                continue;
            }
            Some(expected) => {
                let mut rest = text.clone();
                if rest.next().is_some_and(|found| expected == '?' || same(found, expected)) {
                    pattern = ahead;
                    text = rest;
                    continue;
                }
            }
            None if text.as_str().is_empty() => return true,
            None => {}
        }
        // One character more for the last `*`, if it has one left to take.
        let Some((behind, from)) = retry.as_mut() else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = behind.clone();
        text = from.clone();
    }
}

fn same(found: char, expected: char) -> bool {
    if found.is_ascii() { found.to_ascii_lowercase() == expected } else { found.to_lowercase().eq([expected]) }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_as_in_iis() {
        let table: [(&str, bool, &str, bool); 31] = [
            ("*", false, "/", true),
            ("*", false, "/a/b.c", true),
            ("*.aspx", false, "/a/Page.ASPX", true),
            ("*.aspx", false, "/a/page.aspx/info", false),
            ("*.aspx", true, "/a/page.aspx/info", true),
            ("*.aspx", false, "/aspx", false),
            ("app.js", false, "/x/y/App.js", true),
            ("app.js", false, "/x/my-app.js", false),
            ("app.js", true, "/app.js/debug", true),
            ("api/*", false, "/api/x/y", true),
            ("api/*", false, "/api/", true),
            ("api/*", false, "/api", false),
            ("api/*", false, "/v1/api/x", false),
            ("/api/*", false, "/API/x", true),
            ("/index.js", false, "/index.js", true),
            ("/index.js", false, "/a/index.js", false),
            ("bin/www", false, "/bin/www", true),
            ("swagger*", false, "/swagger", true),
            ("swagger*", false, "/swagger-ui", true),
            ("swagger*", false, "/swagger/index.html", false),
            ("*.", false, "/api/values", true),
            ("*.", false, "/", true),
            ("*.", false, "/api/values.json", false),
            ("?.txt", false, "/a.txt", true),
            ("?.txt", false, "/ab.txt", false),
            ("a*b*c", false, "/aXbbYc", true),
            ("a*b*c", false, "/aXbbYd", false),
            ("a/*/z", false, "/a/b/c/z", true),
            ("größe.*", false, "/GRÖSSE.txt", false),
            ("größe.*", false, "/GRÖßE.txt", true),
            ("", false, "/a", false),
        ];
        for (pattern, path_info, path, expected) in table {
            assert_eq!(Pattern::new(pattern, path_info).matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let pattern = Pattern::new(&"*a".repeat(50), false);
        assert!(!pattern.matches(&format!("/{}b", "a".repeat(4000))));
    }
}
