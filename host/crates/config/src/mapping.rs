//! Handler mappings and request filtering, compiled: what is asked once per
//! request, and answered without allocating.
//!
//! *Invariant:* no place in a file, no reading; plain text in, a decision out.

mod compile;
mod hidden;
mod pattern;

use hidden::Hidden;
use pattern::Pattern;
use std::sync::Arc;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'r> {
    /// The method, with its case.
    pub method: &'r str,
    /// The canonical path below the application: decoded once, dot segments
    /// resolved, a slash in front.
    pub path: &'r str,
    /// The path as the client sent it: its length and its escapes count.
    pub raw_path: &'r str,
    /// The query as the client sent it, without `?`; empty if there is none.
    pub raw_query: &'r str,
}

/// What lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// What happens to a request, as IIS would decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'s> {
    /// It goes to the application.
    Backend,
    /// 404.4: no mapping selects it.
    NoHandler,
    /// 404.2: the mapping's module is not one of ours.
    ForeignModule,
    /// 404.0: a mapping for static files selects it, and none are served here.
    Static,
    /// 405: mappings select the path, none of them this method. The value is the `Allow` field.
    MethodNotAllowed(&'s Arc<str>),
    /// 403 with this sub-status (1 script or execute, 2 read, 3 write): `accessPolicy` lacks what the mapping requires.
    AccessDenied(u16),
    /// 404.6: request filtering denies the verb.
    VerbDenied,
    /// 404.8: a hidden segment.
    HiddenSegment,
    /// 404.11: the path changes when it is decoded twice.
    DoubleEscape,
    /// 404.14: the path is longer than `maxUrl`; the value is the limit in bytes.
    PathTooLong(u32),
    /// 404.15: the query is longer than `maxQueryString`; the value is the limit in bytes.
    QueryTooLong(u32),
}

/// All scopes of a site.
#[derive(Clone, Debug)]
pub struct Site {
    root: Scope,
    /// Deepest first; the path in lower case, with a slash in front and none behind.
    locations: Vec<(Box<str>, Scope)>,
}

impl Site {
    /// The scope that holds at a canonical path.
    #[must_use]
    pub fn scope(&self, path: &str) -> &Scope {
        if self.locations.is_empty() {
            return &self.root;
        }
        let holds = |location: &str| {
            starts_with_ignoring_case(path, location).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.locations.iter().find(|(location, _)| holds(location)).map_or(&self.root, |(_, scope)| scope)
    }

    /// Decides a request. `exists` looks at the site's folder and is called
    /// only where a mapping demands a file or directory.
    pub fn decide(&self, ask: Ask<'_>, exists: impl Fn(&str) -> Option<FileKind>) -> Decision<'_> {
        self.scope(ask.path).decide(ask, exists)
    }
}

/// Settings that hold at one path, ready for use.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Most body bytes; more is 413.
    pub body_bytes_max: u64,
    /// Longest raw path.
    pub path_bytes_max: u32,
    /// Longest raw query.
    pub query_bytes_max: u32,
    /// Drop the backend's `Server` field.
    pub remove_server_header: bool,
    allow_double_escaping: bool,
    hidden: Hidden,
    verbs: Verbs,
    /// Every request that passes the filter goes to the backend.
    everything: bool,
    entries: Vec<Entry>,
    /// `Allow` by the set of entries whose path matched, each with bit n; made beforehand where it is small.
    allow: Vec<(u64, Arc<str>)>,
}

#[derive(Clone, Debug, Default)]
struct Verbs {
    deny_unlisted: bool,
    rules: Vec<(Box<str>, bool)>,
}

impl Verbs {
    fn denies(&self, method: &str) -> bool {
        let rule = self.rules.iter().find(|(verb, _)| &**verb == method);
        rule.map_or(self.deny_unlisted, |(_, allowed)| !allowed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Backend,
    Static,
    Foreign,
    Denied(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    None,
    File,
    Directory,
    Either,
}

#[derive(Clone, Debug)]
struct Entry {
    pattern: Pattern,
    /// Empty = all.
    verbs: Vec<Box<str>>,
    demand: Demand,
    target: Target,
    /// Bit in the key of `allow`; none for entries that serve nobody.
    bit: u64,
}

impl Scope {
    /// Decides a request in this scope.
    pub fn decide(&self, ask: Ask<'_>, exists: impl Fn(&str) -> Option<FileKind>) -> Decision<'_> {
        if let Some(refused) = self.filter(ask) {
            return refused;
        }
        if self.everything {
            return Decision::Backend;
        }
        self.map(ask, exists)
    }

    /// Request filtering, before any mapping is looked at.
    fn filter(&self, ask: Ask<'_>) -> Option<Decision<'_>> {
        if ask.raw_path.len() as u64 > u64::from(self.path_bytes_max) {
            return Some(Decision::PathTooLong(self.path_bytes_max));
        }
        if ask.raw_query.len() as u64 > u64::from(self.query_bytes_max) {
            return Some(Decision::QueryTooLong(self.query_bytes_max));
        }
        if !self.allow_double_escaping && is_doubly_escaped(ask.raw_path) {
            return Some(Decision::DoubleEscape);
        }
        if self.hidden.matches(ask.path) {
            return Some(Decision::HiddenSegment);
        }
        self.verbs.denies(ask.method).then_some(Decision::VerbDenied)
    }

    fn map(&self, ask: Ask<'_>, exists: impl Fn(&str) -> Option<FileKind>) -> Decision<'_> {
        let mut on_disk = None;
        let mut key = 0;
        for entry in &self.entries {
            if !entry.pattern.matches(ask.path) {
                continue;
            }
            if !entry.verbs.is_empty() && !entry.verbs.iter().any(|verb| &**verb == ask.method) {
                key |= entry.bit;
                continue;
            }
            let found = match entry.demand {
                Demand::None => true,
                demand => demand.is_met(*on_disk.get_or_insert_with(|| exists(ask.path))),
            };
            if found {
                return match entry.target {
                    Target::Backend => Decision::Backend,
                    // The server's own fallback: where the path has mappings, the method is what is wrong.
                    Target::Static => self.allowed(key).unwrap_or(Decision::Static),
                    Target::Foreign => Decision::ForeignModule,
                    Target::Denied(sub_status) => Decision::AccessDenied(sub_status),
                };
            }
        }
        self.allowed(key).unwrap_or(Decision::NoHandler)
    }

    fn allowed(&self, key: u64) -> Option<Decision<'_>> {
        let known = self.allow.iter().find(|(set, _)| *set == key);
        known.map(|(_, allow)| Decision::MethodNotAllowed(allow))
    }
}

impl Demand {
    fn is_met(self, found: Option<FileKind>) -> bool {
        match self {
            Self::None => true,
            Self::File => found == Some(FileKind::File),
            Self::Directory => found == Some(FileKind::Directory),
            Self::Either => found.is_some(),
        }
    }
}

/// True if a path still holds an escape after it was decoded once: `%25` with two hex digits behind.
fn is_doubly_escaped(raw_path: &str) -> bool {
    let bytes = raw_path.as_bytes();
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').any(|(at, _)| {
        // The hex digits may themselves be escaped: `%25%34%31` decodes to `%41`.
        bytes.get(at..at + 3) == Some(b"%25") && starts_with_hex_pair(bytes.get(at + 3..).unwrap_or_default())
    })
}

fn starts_with_hex_pair(bytes: &[u8]) -> bool {
    let Some((first, rest)) = decode_one(bytes) else { return false };
    let second = decode_one(rest).map(|(byte, _)| byte);
    first.is_ascii_hexdigit() && second.is_some_and(|byte| byte.is_ascii_hexdigit())
}

/// The first byte of what `bytes` decode to, and what is left.
fn decode_one(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first == b'%' {
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            return Some((byte, rest.get(2..).unwrap_or_default()));
        }
    }
    Some((*first, rest))
}

/// What stands behind a lower-case prefix, if `text` begins with it in any case.
fn starts_with_ignoring_case<'t>(text: &'t str, lower: &str) -> Option<&'t str> {
    let mut rest = text.chars();
    for expected in lower.chars() {
        if !fold(rest.next()?).eq([expected]) {
            return None;
        }
    }
    Some(rest.as_str())
}

/// One character as file names compare: lower case where that is one character.
fn fold(character: char) -> impl Iterator<Item = char> {
    character.to_lowercase()
}

#[cfg(test)]
mod tests;
