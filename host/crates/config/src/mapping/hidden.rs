//! Hidden segments under every spelling: case, trailing dots and blanks,
//! alternate streams, short names.

/// Segments that are not served.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    /// By a segment's first and second byte, which names it may be: most
    /// segments have no bit in common and are passed at that. Bits are shared
    /// where there are more names than bits.
    first: [u16; 256],
    second: [u16; 256],
    names: Vec<Name>,
    /// Some name holds other than ASCII, so case is more than one bit.
    beyond_ascii: bool,
}

#[derive(Clone, Debug)]
struct Name {
    lower: Box<str>,
    /// Start of its short name (`web` of `WEB~1.CON`) and its short extension; `None` if it has no short name.
    short: Option<(Box<str>, Box<str>)>,
}

impl Hidden {
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<Name> = names
            .into_iter()
            .map(|name| {
                let lower = trimmed(name).to_lowercase();
                Name { short: short(&lower), lower: lower.into() }
            })
            .filter(|name| !name.lower.is_empty())
            .collect();
        let beyond_ascii = names.iter().any(|name| !name.lower.is_ascii());
        let mut hidden = Self { first: [0; 256], second: [0; 256], names: Vec::new(), beyond_ascii };
        for (index, name) in names.iter().enumerate() {
            let bit = 1 << (index % 16);
            let bytes = name.lower.as_bytes();
            allow(&mut hidden.first, bit, bytes.first().copied().filter(|_| name.lower.is_ascii()));
            allow(&mut hidden.second, bit, bytes.get(1).copied().filter(|_| name.lower.is_ascii()));
            // A short name may have its `~` here.
            allow(&mut hidden.second, bit, Some(b'~'));
        }
        hidden.names = names;
        hidden
    }

    /// True if a part of the canonical path is hidden.
    ///
    /// An escaped slash separates nothing for rules, but a backend that
    /// decodes it would find the file: here it separates.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let bytes = path.as_bytes();
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let skip = match byte {
                b'/' | b'\\' => 1,
                b'%' if is_escaped_slash(bytes.get(at + 1..).unwrap_or_default()) => 3,
                _ => continue,
            };
            if self.candidate(path, start, at) {
                return true;
            }
            start = at + skip;
        }
        self.candidate(path, start, bytes.len())
    }

    fn candidate(&self, path: &str, start: usize, end: usize) -> bool {
        let byte = |at: usize| path.as_bytes().get(at).copied().filter(|_| at < end);
        let mask = |table: &[u16; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0);
        let Some(first) = byte(start) else { return false };
        let second = byte(start + 1).map_or(u16::MAX, |second| mask(&self.second, second));
        mask(&self.first, first) & second != 0 && path.get(start..end).is_some_and(|segment| self.is_hidden(segment))
    }

    fn is_hidden(&self, segment: &str) -> bool {
        let segment = trimmed(segment);
        if self.names.iter().any(|name| name.lower.eq_ignore_ascii_case(segment)) {
            return true;
        }
        if !self.beyond_ascii && !segment.contains('~') {
            return false;
        }
        let lower = segment.to_lowercase();
        self.names
            .iter()
            .any(|name| *name.lower == *lower || name.short.as_ref().is_some_and(|short| is_short(&lower, short)))
    }
}

/// Lets a byte in both its cases pass; `None` lets every byte pass.
fn allow(table: &mut [u16; 256], bit: u16, byte: Option<u8>) {
    for (index, entry) in table.iter_mut().enumerate() {
        let fits =
            byte.is_none_or(|byte| index == usize::from(byte) || index == usize::from(byte.to_ascii_uppercase()));
        if fits {
            *entry |= bit;
        }
    }
}

fn is_escaped_slash(rest: &[u8]) -> bool {
    matches!(rest, [b'2', b'f' | b'F', ..] | [b'5', b'c' | b'C', ..])
}

/// Without what NTFS leaves out: a stream (`::$DATA`), and dots and blanks at the end.
fn trimmed(segment: &str) -> &str {
    segment.split(':').next().unwrap_or_default().trim_end_matches(['.', ' '])
}

/// The parts of a name's 8.3 form, where it has one of its own.
fn short(lower: &str) -> Option<(Box<str>, Box<str>)> {
    let (stem, extension) = match lower.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (lower, ""),
    };
    let plain = |text: &str| !text.contains(['.', ' ', '+', ',', ';', '=', '[', ']']) && text.is_ascii();
    if stem.len() <= 8 && extension.len() <= 3 && plain(stem) && plain(extension) {
        return None;
    }
    let squeezed = |text: &str, length: usize| {
        text.chars().filter(|character| !matches!(character, '.' | ' ')).take(length).collect::<String>()
    };
    Some((squeezed(stem, 6).into(), squeezed(extension, 3).into()))
}

/// `web~1.con`, or after several such names `we1a2b~1.con`.
fn is_short(lower: &str, (stem, extension): &(Box<str>, Box<str>)) -> bool {
    let (base, found_extension) = lower.rsplit_once('.').unwrap_or((lower, ""));
    if found_extension != &**extension {
        return false;
    }
    let Some((base, number)) = base.rsplit_once('~') else { return false };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // The stem is shortened further as the number grows.
    if !base.is_empty() && stem.starts_with(base) && base.len() + number.len() >= stem.len().min(6) {
        return true;
    }
    let hashed = base.len().checked_sub(4).and_then(|split| Some((base.get(..split)?, base.get(split..)?)));
    hashed.is_some_and(|(start, hash)| {
        !start.is_empty() && stem.starts_with(start) && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::Hidden;

    #[test]
    fn hidden_segments_are_found_in_every_spelling() {
        let hidden = Hidden::new(["web.config", "bin", "App_code", "App_GlobalResources", "App_Data"]);
        let table: [(&str, bool); 36] = [
            ("/", false),
            ("/bin", true),
            ("/bin/x", true),
            ("/BIN/x", true),
            ("/a/Bin/b", true),
            ("/binary", false),
            ("/cabin", false),
            ("/bin.", true),
            ("/bin /x", true),
            ("/bin. . ", true),
            ("/bin::$INDEX_ALLOCATION/x", true),
            ("/bin:x", true),
            ("/web.config", true),
            ("/WEB.CONFIG", true),
            ("/a/web.config/b", true),
            ("/web.config.", true),
            ("/web.config::$DATA", true),
            ("/web.config.bak", false),
            ("/web.configs", false),
            ("/WEB~1.CON", true),
            ("/web~12.con", true),
            ("/we1A2B~1.con", true),
            ("/web~1.txt", false),
            ("/web~.con", false),
            ("/web~x.con", false),
            ("/~1.con", false),
            ("/APP_GL~1", true),
            ("/app_g~12/x", true),
            ("/app_code", true),
            ("/App_Data/db.mdf", true),
            ("/app_da~1", false),
            ("/x%2Fbin%2fy", true),
            ("/x%5cweb.config", true),
            ("/x\\bin", true),
            ("/x%2bin", false),
            ("//bin", true),
        ];
        for (path, expected) in table {
            assert_eq!(hidden.matches(path), expected, "{path}");
        }
    }

    #[test]
    fn names_beyond_ascii_compare_without_case() {
        let hidden = Hidden::new(["Ärger"]);
        assert!(hidden.matches("/ärger") && hidden.matches("/ÄRGER/x") && !hidden.matches("/arger"));
    }
}
