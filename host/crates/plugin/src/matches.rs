//! Which requests a plugin sees.

use crate::settings::MatchSettings;
use http::{HeaderName, Method};
use wire::RequestHead;

/// A plugin's `match`, parsed.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    paths: Vec<Glob>,
    methods: Vec<Method>,
    hosts: Vec<HostPattern>,
    headers: Vec<(HeaderName, Option<Vec<u8>>)>,
}

impl Matcher {
    /// Parses the settings.
    ///
    /// # Errors
    /// Names the pattern that can't be one.
    pub(crate) fn new(settings: &MatchSettings) -> Result<Self, String> {
        Ok(Self {
            paths: settings.paths.iter().map(|text| Glob::new(text)).collect::<Result<_, _>>()?,
            methods: settings.methods.iter().map(|text| method(text)).collect::<Result<_, _>>()?,
            hosts: settings.hosts.iter().map(|text| HostPattern::new(text)).collect::<Result<_, _>>()?,
            headers: settings.headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>()?,
        })
    }

    /// True if the plugin sees this request.
    pub(crate) fn matches(&self, head: &RequestHead) -> bool {
        (self.paths.is_empty() || self.paths.iter().any(|glob| glob.matches(head.path())))
            && (self.methods.is_empty() || self.methods.contains(&head.method))
            && (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(head.authority.as_bytes())))
            && self.headers.iter().all(|(name, value)| {
                let mut lines = head.headers.get_all(name).iter();
                lines.any(|line| value.as_ref().is_none_or(|value| line.as_bytes() == value.as_slice()))
            })
    }
}

fn method(text: &str) -> Result<Method, String> {
    Method::from_bytes(text.as_bytes()).map_err(|_| format!("match.method: \"{text}\" is not a method"))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, Option<Vec<u8>>), String> {
    let name = crate::selector::readable(name).map_err(|why| format!("match.header: {why}"))?;
    Ok((name, (value != "*").then(|| value.as_bytes().to_vec())))
}

/// A path pattern: literal pieces with any run of characters between them.
#[derive(Debug)]
struct Glob {
    pieces: Vec<Vec<u8>>,
}

impl Glob {
    fn new(text: &str) -> Result<Self, String> {
        if !(text.starts_with('/') || text.starts_with('*')) {
            return Err(format!("match.path: \"{text}\" begins with neither / nor *"));
        }
        let pieces = text.split('*').map(|piece| piece.to_ascii_lowercase().into_bytes()).collect();
        Ok(Self { pieces })
    }

    fn matches(&self, path: &str) -> bool {
        let path = path.as_bytes();
        if self.matches_whole(path) {
            return true;
        }
        // `/api/*` also means `/api`: applications answer both from the same code.
        matches!(self.pieces.as_slice(), [only, last] if last.is_empty()
            && only.strip_suffix(b"/").is_some_and(|stem| stem.eq_ignore_ascii_case(path)))
    }

    fn matches_whole(&self, path: &[u8]) -> bool {
        let Some((first, later)) = self.pieces.split_first() else { return false };
        let Some((last, middle)) = later.split_last() else { return path.eq_ignore_ascii_case(first) };
        let fits = path.len() >= first.len() + last.len() && begins(path, first) && ends(path, last);
        let mut rest = match path.get(first.len()..path.len().saturating_sub(last.len())) {
            Some(rest) if fits => rest,
            _ => return false,
        };
        // The leftmost place for each piece leaves the most room for the next.
        for piece in middle {
            let Some(at) = find(rest, piece) else { return false };
            rest = rest.get(at + piece.len()..).unwrap_or_default();
        }
        true
    }
}

fn begins(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start))
}

fn ends(text: &[u8], end: &[u8]) -> bool {
    let at = text.len().wrapping_sub(end.len());
    text.get(at..).is_some_and(|part| part.eq_ignore_ascii_case(end))
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return Some(0);
    }
    text.windows(piece.len()).position(|window| window.eq_ignore_ascii_case(piece))
}

/// A host name, or everything below one.
#[derive(Debug)]
struct HostPattern {
    name: Vec<u8>,
    below: bool,
}

impl HostPattern {
    fn new(text: &str) -> Result<Self, String> {
        let (name, below) = text.strip_prefix("*.").map_or((text, false), |rest| (rest, true));
        if name.is_empty() || name.contains(['*', '/', ':', ' ']) && !name.starts_with('[') {
            return Err(format!("match.host: \"{text}\" is neither a host name nor *. before one"));
        }
        Ok(Self { name: name.to_ascii_lowercase().into_bytes(), below })
    }

    fn matches(&self, authority: &[u8]) -> bool {
        let host = host_of(authority);
        if !self.below {
            return host.eq_ignore_ascii_case(&self.name);
        }
        let dot = host.len().checked_sub(self.name.len() + 1);
        dot.is_some_and(|dot| dot > 0 && host.get(dot) == Some(&b'.') && ends(host, &self.name))
    }
}

/// The host of an authority: without port and without the dot of a fully qualified name.
fn host_of(authority: &[u8]) -> &[u8] {
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|byte| *byte == b']').map(|at| at + 1),
        _ => authority.iter().position(|byte| *byte == b':'),
    };
    let host = authority.get(..end.unwrap_or(authority.len())).unwrap_or(authority);
    host.strip_suffix(b".").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{Glob, HostPattern, Matcher};
    use crate::settings::MatchSettings;
    use crate::testing::exchange;
    use http::HeaderValue;

    #[test]
    fn paths() {
        for (pattern, path, expected) in [
            ("/api/*", "/api/x", true),
            ("/api/*", "/api/", true),
            ("/api/*", "/api", true),
            ("/api/*", "/API/x", true),
            ("/api/*", "/apix", false),
            ("/api/*", "/x/api/y", false),
            ("/api", "/api", true),
            ("/api", "/api/", false),
            ("*", "/", true),
            ("*.aspx", "/a/b.ASPX", true),
            ("*.aspx", "/a/b.aspx/c", false),
            ("/a/*/c/*/e", "/a/b/c/d/e", true),
            ("/a/*/c/*/e", "/a/b/c/e", false),
            ("/aba*ba", "/aba", false),
            ("/a**b", "/ab", true),
        ] {
            assert_eq!(Glob::new(pattern).expect(pattern).matches(path), expected, "{pattern} on {path}");
        }
        assert!(Glob::new("api/*").is_err());
    }

    #[test]
    fn hosts() {
        for (pattern, authority, expected) in [
            ("example.com", "Example.COM:8080", true),
            ("example.com", "example.com.", true),
            ("example.com", "a.example.com", false),
            ("*.example.com", "a.example.com:1", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", ".example.com", false),
            ("[::1]", "[::1]:80", true),
        ] {
            let host = HostPattern::new(pattern).expect(pattern);
            assert_eq!(host.matches(authority.as_bytes()), expected, "{pattern} on {authority}");
        }
        for bad in ["", "*.", "a*b", "a/b", "a:80"] {
            assert!(HostPattern::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn methods_and_headers_all_must_fit() {
        let settings = MatchSettings {
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            headers: vec![("X-Beta".to_owned(), "1".to_owned()), ("accept".to_owned(), "*".to_owned())],
            ..MatchSettings::default()
        };
        let matcher = Matcher::new(&settings).expect("right settings");
        let mut exchange = exchange("GET", "/");
        assert!(!matcher.matches(&exchange.request));
        exchange.request.headers.append("x-beta", HeaderValue::from_static("0"));
        exchange.request.headers.append("x-beta", HeaderValue::from_static("1"));
        assert!(!matcher.matches(&exchange.request));
        exchange.request.headers.append("accept", HeaderValue::from_static("x"));
        assert!(matcher.matches(&exchange.request));
        exchange.request.method = http::Method::DELETE;
        assert!(!matcher.matches(&exchange.request));
    }
}
