//! A file's text and where each byte of it stands: line and column.
//!
//! Bytes become text here once; encodings are a matter of this file only.

use crate::error::{Problem, Severity};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::Serialize;

/// Largest configuration file, in bytes. A larger one is refused before it is decoded.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Distance of the marks that make columns cheap also in a file of one long line.
const MARK_BYTES: usize = 256;

/// A configuration file as it was read: the binary reads, this room understands.
#[derive(Clone, Debug)]
pub struct File {
    /// The path as messages show it.
    pub path: String,
    /// All bytes.
    pub bytes: Vec<u8>,
}

impl File {
    /// A file with this path and these bytes.
    #[must_use]
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), bytes: bytes.into() }
    }
}

/// A place in a file: line and column, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A value and the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    #[serde(flatten)]
    pub at: Position,
}

impl<T> Spanned<T> {
    /// A value at a place.
    #[must_use]
    pub fn new(value: T, at: Position) -> Self {
        Self { value, at }
    }
}

/// A value that has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value that counts.
    pub value: T,
    /// Where it was written; `None` = it is the default.
    pub at: Option<Position>,
}

impl<T> Setting<T> {
    /// The default, written nowhere.
    #[must_use]
    pub fn default_value(value: T) -> Self {
        Self { value, at: None }
    }

    /// A value that the file sets.
    #[must_use]
    pub fn set(value: T, at: Position) -> Self {
        Self { value, at: Some(at) }
    }
}

/// Decoded text of a file with an index of its lines.
#[derive(Debug)]
pub struct Source {
    path: String,
    text: String,
    line_starts: Vec<usize>,
    /// Characters before byte `n * MARK_BYTES` (moved to the next character boundary).
    marks: Vec<u32>,
}

impl Source {
    /// Decodes a file: UTF-8 with or without byte-order mark, UTF-16 of both
    /// orders, or what an XML declaration names.
    ///
    /// A byte-order mark counts more than the declaration: editors that save
    /// "Unicode" leave the old declaration in place.
    ///
    /// # Errors
    /// A file over [`FILE_BYTES_MAX`], or bytes that its encoding does not have.
    pub fn decode(file: &File) -> Result<Self, Box<Problem>> {
        let refuse = |at: Position, what: String, help: &str| {
            Err(Box::new(Problem {
                severity: Severity::Error,
                file: file.path.clone(),
                line: at.line,
                column: at.column,
                what,
                help: Some(help.to_owned()),
            }))
        };
        let start = Position { line: 1, column: 1 };
        if file.bytes.len() > FILE_BYTES_MAX {
            let what = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are read", file.bytes.len());
            return refuse(start, what, "a configuration file is small; is this the right file?");
        }
        let (encoding, skip) = detect(&file.bytes);
        let body = file.bytes.get(skip..).unwrap_or_default();
        if encoding == UTF_8 {
            return match std::str::from_utf8(body) {
                Ok(text) => Ok(Self::index(&file.path, text.to_owned())),
                Err(error) => {
                    let valid = body.get(..error.valid_up_to()).unwrap_or_default();
                    let before = Self::index("", String::from_utf8_lossy(valid).into_owned());
                    let what = "a byte here is not UTF-8".to_owned();
                    refuse(
                        before.position(valid.len()),
                        what,
                        "save the file as UTF-8, or name its encoding in the XML declaration",
                    )
                }
            };
        }
        let (text, broken) = encoding.decode_without_bom_handling(body);
        let source = Self::index(&file.path, text.into_owned());
        if broken {
            let at = source.text.find('\u{fffd}').unwrap_or(0);
            let what = format!("the text here is not valid {}", encoding.name());
            return refuse(source.position(at), what, "save the file as UTF-8");
        }
        Ok(source)
    }

    /// Indexes text that is already decoded.
    #[must_use]
    pub fn index(path: &str, text: String) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let mut marks = Vec::with_capacity(text.len() / MARK_BYTES + 1);
        let mut count = 0u32;
        for (at, _) in text.char_indices() {
            while marks.len() * MARK_BYTES <= at {
                marks.push(count);
            }
            count = count.saturating_add(1);
        }
        Self { path: path.to_owned(), text, line_starts, marks }
    }

    /// The path as messages show it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text, without its byte-order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte; past the end it is the end.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let line_start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.characters_before(offset).saturating_sub(self.characters_before(line_start));
        Position { line: u32::try_from(line.max(1)).unwrap_or(u32::MAX), column: column.saturating_add(1) }
    }

    fn characters_before(&self, offset: usize) -> u32 {
        let mark = (offset / MARK_BYTES).min(self.marks.len().saturating_sub(1));
        let mut from = mark * MARK_BYTES;
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        let counted = self.marks.get(mark).copied().unwrap_or(0);
        let rest = self.text.get(from..offset).map_or(0, |text| text.chars().count());
        counted.saturating_add(u32::try_from(rest).unwrap_or(u32::MAX))
    }
}

/// The encoding of a file and how many bytes its byte-order mark takes.
fn detect(bytes: &[u8]) -> (&'static Encoding, usize) {
    if let Some((encoding, skip)) = Encoding::for_bom(bytes) {
        return (encoding, skip);
    }
    match bytes {
        [b'<', 0, ..] => return (UTF_16LE, 0),
        [0, b'<', ..] => return (UTF_16BE, 0),
        _ => {}
    }
    (declared(bytes).unwrap_or(UTF_8), 0)
}

/// The encoding that an XML declaration at the very start names, where it is one of single bytes.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(256))?;
    if !head.starts_with(b"<?xml") {
        return None;
    }
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().strip_prefix(['"', '\''])?;
    let label = rest.split(['"', '\'']).next()?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A file that really were UTF-16 could not have been read this far.
    (encoding != UTF_16LE && encoding != UTF_16BE).then_some(encoding)
}

#[cfg(test)]
mod tests;
