//! XML text -> a small tree in which everything knows its byte offset.
//!
//! Reads what `web.config` needs and refuses the rest: no DOCTYPE, no entities
//! but the five of XML and characters by number, no second root. The first
//! thing that is not well-formed ends the reading, because nothing behind it
//! can be trusted.

mod scan;

use crate::error::Report;
use crate::source::Source;
use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::Event;

/// Deepest nesting of elements.
pub(crate) const DEPTH_MAX: usize = 32;
/// Most attributes of one element.
pub(crate) const ATTRIBUTES_MAX: usize = 128;

/// An attribute with its places.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Byte offset of the name.
    pub(crate) at: usize,
    /// Byte offset of the value's first character.
    pub(crate) value_at: usize,
}

/// An element with its place.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// Byte offset of its `<`.
    pub(crate) at: usize,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Element>,
    /// Byte offset of the first text in it that is not blank.
    pub(crate) text_at: Option<usize>,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| attribute.value.as_str())
    }

    /// No attribute that says anything, and no child.
    pub(crate) fn is_empty(&self) -> bool {
        self.children.is_empty() && self.own_attributes().next().is_none()
    }

    /// Attributes without namespace declarations.
    pub(crate) fn own_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.name != "xmlns" && !attribute.name.starts_with("xmlns:"))
    }
}

/// What is not well-formed, and where.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) at: usize,
    pub(crate) what: String,
    pub(crate) help: &'static str,
}

impl Broken {
    fn new(at: usize, what: impl Into<String>, help: &'static str) -> Self {
        Self { at, what: what.into(), help }
    }
}

/// Reads the one root element of a file, or tells what is not well-formed.
pub(crate) fn read(source: &Source, report: &mut Report<'_>) -> Option<Element> {
    match Tree::default().grow(source.text()) {
        Ok(root) => Some(root),
        Err(broken) => {
            report.error(broken.at, broken.what, broken.help);
            None
        }
    }
}

#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Tree {
    fn grow(mut self, text: &str) -> Result<Element, Broken> {
        // The reader would skip a second mark by itself and count its bytes nowhere.
        if text.starts_with('\u{feff}') {
            self.text(text, 0, text)?;
        }
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_comments = true;
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let mut start = 0;
        loop {
            let event = reader.read_event();
            let end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let raw = text.get(start..end).unwrap_or_default();
            match event {
                Ok(Event::Start(_)) => self.open(raw, start, false)?,
                Ok(Event::Empty(_)) => self.open(raw, start, true)?,
                Ok(Event::End(_)) => self.close(raw, start, text)?,
                Ok(Event::Text(_) | Event::CData(_)) => self.text(raw, start, text)?,
                Ok(Event::GeneralRef(_)) => {
                    scan::entity(raw, start)?;
                    self.text(raw, start, text)?;
                }
                Ok(Event::Decl(_)) => scan::declaration(raw, start)?,
                Ok(Event::DocType(_)) => {
                    let help = "remove the DOCTYPE: a web.config has none, and entities are not expanded";
                    return Err(Broken::new(start, "a DOCTYPE is not allowed", help));
                }
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::Eof) => return self.finish(text),
                Err(error) => {
                    let at = usize::try_from(reader.error_position()).unwrap_or(start);
                    return Err(explain(&error, at, start, text));
                }
            }
            start = end;
        }
    }

    fn open(&mut self, raw: &str, at: usize, closed: bool) -> Result<(), Broken> {
        if self.open.is_empty() && self.root.is_some() {
            let help = "put everything into one <configuration> element";
            return Err(Broken::new(at, "a second root element; a document has one", help));
        }
        if self.open.len() >= DEPTH_MAX {
            let what = format!("elements are nested deeper than {DEPTH_MAX}");
            return Err(Broken::new(at, what, ""));
        }
        let element = scan::tag(raw, at)?;
        if closed {
            self.place(element);
        } else {
            self.open.push(element);
        }
        Ok(())
    }

    fn close(&mut self, raw: &str, at: usize, text: &str) -> Result<(), Broken> {
        let name = raw.trim_start_matches("</").trim_end_matches('>').trim_end();
        let Some(element) = self.open.pop() else {
            let what = format!("`</{name}>` closes nothing");
            return Err(Broken::new(at, what, "remove it, or write the start tag that it belongs to"));
        };
        if element.name != name {
            let line = text.get(..element.at).map_or(1, |before| before.matches('\n').count() + 1);
            let what = format!("`</{name}>` stands where `</{}>` is due (opened in line {line})", element.name);
            return Err(Broken::new(at, what, "close the elements in the order they were opened"));
        }
        self.place(element);
        Ok(())
    }

    fn place(&mut self, element: Element) {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, raw: &str, start: usize, text: &str) -> Result<(), Broken> {
        let blank = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n');
        let Some(first) = raw.find(|character| !blank(character)) else {
            return Ok(());
        };
        let at = start + first;
        if let Some(parent) = self.open.last_mut() {
            parent.text_at.get_or_insert(at);
            return Ok(());
        }
        let rest = raw.get(first..).unwrap_or_default();
        if rest.starts_with('\u{feff}') {
            let help = "save the file once with one byte-order mark at most, at its very start";
            return Err(Broken::new(at, "a byte-order mark in the middle of the file", help));
        }
        if self.root.is_some() {
            return Err(Broken::new(at, "text behind the end of the document", "remove it"));
        }
        if text.contains('<') {
            return Err(Broken::new(at, "text before the first element", "remove it"));
        }
        Err(Broken::new(at, "this is not an XML document: it holds no element", "look whether this is the right file"))
    }

    fn finish(self, text: &str) -> Result<Element, Broken> {
        if let Some(element) = self.open.last() {
            let what = format!("`<{}>` is never closed", element.name);
            return Err(Broken::new(element.at, what, "write its end tag, or `/>` at the end of the tag"));
        }
        self.root.ok_or_else(|| {
            Broken::new(
                text.len(),
                "there is no element in this file",
                "see the smallest web.config in the documentation",
            )
        })
    }
}

/// quick-xml's errors in words for a person who edits a file.
fn explain(error: &Error, at: usize, start: usize, text: &str) -> Broken {
    let tag = text.get(start..).unwrap_or_default();
    match error {
        Error::Syntax(
            SyntaxError::UnclosedTag
            | SyntaxError::UnclosedSingleQuotedAttributeValue
            | SyntaxError::UnclosedDoubleQuotedAttributeValue,
        ) => match scan::tag(tag, start) {
            Err(broken) => broken,
            Ok(_) => Broken::new(
                start,
                "this tag has no end",
                "write `>` or `/>` at its end, and a quote on both sides of each value",
            ),
        },
        Error::Syntax(SyntaxError::UnclosedXmlDecl | SyntaxError::UnclosedPI) => Broken::new(
            start,
            "what `<?` opens must end with `?>`",
            r#"write `<?xml version="1.0" encoding="utf-8"?>`"#,
        ),
        Error::Syntax(SyntaxError::UnclosedComment) if tag.starts_with("<!--") => {
            Broken::new(start, "this comment is never closed", "end it with `-->`")
        }
        Error::Syntax(SyntaxError::UnclosedDoctype) => Broken::new(start, "a DOCTYPE is not allowed", "remove it"),
        Error::Syntax(SyntaxError::UnclosedCData) => {
            Broken::new(start, "this CDATA section is never closed", "end it with `]]>`")
        }
        Error::Syntax(SyntaxError::InvalidBangMarkup | SyntaxError::UnclosedComment) => {
            Broken::new(start, "`<!` does not begin a comment here", "a comment begins with `<!--` and ends with `-->`")
        }
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => {
            let inner = tag.get(4..).and_then(|comment| comment.find("--"));
            Broken::new(
                inner.map_or(at, |found| start + 4 + found),
                "`--` inside a comment is not allowed in XML",
                "write the two hyphens apart, or leave them out",
            )
        }
        other => Broken::new(at.max(start).min(text.len()), other.to_string(), ""),
    }
}

#[cfg(test)]
mod tests;
