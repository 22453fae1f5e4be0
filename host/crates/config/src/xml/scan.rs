//! Tags, attributes and character references, byte by byte.

use super::{ATTRIBUTES_MAX, Attribute, Broken, Element};

/// Reads a start or empty tag: `raw` begins with its `<` at byte `at`.
pub(super) fn tag(raw: &str, at: usize) -> Result<Element, Broken> {
    let mut scan = Scan { raw, here: 1, at };
    let name = scan.name();
    if name.is_empty() {
        let help = "a `<` in text or in a value is written `&lt;`";
        return Err(Broken::new(at, "`<` begins no element and no comment here", help));
    }
    let name = name.to_owned();
    let attributes = scan.attributes(&[">", "/>"])?;
    Ok(Element { name, at, attributes, children: Vec::new(), text_at: None })
}

/// Checks `<?xml ...?>`: its place and its shape.
pub(super) fn declaration(raw: &str, at: usize) -> Result<(), Broken> {
    const RIGHT: &str = r#"write `<?xml version="1.0" encoding="utf-8"?>`"#;
    if at != 0 {
        let what = "the XML declaration must be the very first thing in the file";
        return Err(Broken::new(at, what, "remove the lines, blanks or comments before it"));
    }
    let mut scan = Scan { raw, here: 5, at };
    let attributes = scan.attributes(&["?>"]).map_err(|broken| Broken {
        what: format!("the XML declaration is not well-formed: {}", broken.what),
        help: RIGHT,
        ..broken
    })?;
    for attribute in &attributes {
        if !["version", "encoding", "standalone"].contains(&attribute.name.as_str()) {
            let what = format!("`{}` does not belong into an XML declaration", attribute.name);
            return Err(Broken::new(attribute.at, what, RIGHT));
        }
        if attribute.name == "version" && attribute.value != "1.0" {
            let what = format!("XML version `{}` is not known", attribute.value);
            return Err(Broken::new(attribute.value_at, what, RIGHT));
        }
    }
    Ok(())
}

/// Checks a reference in text: `&name;`.
pub(super) fn entity(raw: &str, at: usize) -> Result<(), Broken> {
    decode(raw, at).map(|_| ())
}

struct Scan<'t> {
    raw: &'t str,
    here: usize,
    /// Offset of `raw` in the file.
    at: usize,
}

impl<'t> Scan<'t> {
    fn rest(&self) -> &'t str {
        self.raw.get(self.here..).unwrap_or_default()
    }

    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.here += rest.len() - trimmed.len();
        rest.len() != trimmed.len()
    }

    fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let is_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | ':' | '-' | '.');
        let first = |character: char| character.is_alphabetic() || matches!(character, '_' | ':');
        if !rest.starts_with(first) {
            return "";
        }
        let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
        self.here += end;
        rest.get(..end).unwrap_or_default()
    }

    fn attributes(&mut self, ends: &[&str]) -> Result<Vec<Attribute>, Broken> {
        let mut attributes: Vec<Attribute> = Vec::new();
        loop {
            let apart = self.blanks();
            let at = self.at + self.here;
            if ends.iter().any(|end| self.rest() == *end) {
                return Ok(attributes);
            }
            if attributes.len() >= ATTRIBUTES_MAX {
                let what = format!("an element has more than {ATTRIBUTES_MAX} attributes");
                return Err(Broken::new(at, what, ""));
            }
            let attribute = self.attribute(apart)?;
            if attributes.iter().any(|other| other.name == attribute.name) {
                let what = format!("attribute `{}` stands here twice", attribute.name);
                return Err(Broken::new(attribute.at, what, "keep one of them"));
            }
            attributes.push(attribute);
        }
    }

    fn attribute(&mut self, apart: bool) -> Result<Attribute, Broken> {
        let at = self.at + self.here;
        let name = self.name();
        if name.is_empty() {
            let what = match self.rest().chars().next() {
                Some(found) => format!("`{}` where an attribute or the end of the tag is due", found.escape_debug()),
                None => "this tag has no end".to_owned(),
            };
            let help = "an attribute is written name=\"value\"; the tag ends with `>` or `/>`";
            return Err(Broken::new(at, what, help));
        }
        if !apart {
            let what = format!("a blank is missing before attribute `{name}`");
            return Err(Broken::new(at, what, ""));
        }
        self.blanks();
        if !self.rest().starts_with('=') {
            let what = format!("`=\"value\"` is missing behind `{name}`");
            return Err(Broken::new(self.at + self.here, what, "an attribute is written name=\"value\""));
        }
        self.here += 1;
        self.blanks();
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
            let what = format!("the value of `{name}` does not begin with a quote");
            return Err(Broken::new(self.at + self.here, what, "write name=\"value\""));
        };
        let value_at = self.at + self.here + 1;
        let inner = rest.get(1..).unwrap_or_default();
        let Some(end) = inner.find(quote) else {
            let what = format!("the value of `{name}` has no closing quote");
            return Err(Broken::new(value_at - 1, what, ""));
        };
        let raw = inner.get(..end).unwrap_or_default();
        self.here += end + 2;
        if let Some(bad) = raw.find('<') {
            let what = format!("`<` inside the value of `{name}`");
            return Err(Broken::new(value_at + bad, what, "write `&lt;` for it, or close the quote before it"));
        }
        let value = decode(raw, value_at)?;
        Ok(Attribute { name: name.to_owned(), value, at, value_at })
    }
}

/// Replaces references, and turns line ends and tabs into blanks (XML 1.0 §3.3.3).
fn decode(raw: &str, at: usize) -> Result<String, Broken> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut here = at;
    while let Some(first) = rest.chars().next() {
        let taken = if first == '&' {
            let (character, length) = reference(rest, here)?;
            out.push(character);
            length
        } else {
            if (first.is_control() && !matches!(first, '\t' | '\r' | '\n' | '\u{7f}'..='\u{9f}'))
                || matches!(first, '\u{fffe}' | '\u{ffff}')
            {
                let what = format!("the character U+{:04X} is not allowed in XML", u32::from(first));
                return Err(Broken::new(here, what, "remove it"));
            }
            let blank = matches!(first, '\t' | '\r' | '\n');
            // A line end of two characters is one.
            if !(first == '\r' && rest.starts_with("\r\n")) {
                out.push(if blank { ' ' } else { first });
            }
            first.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
        here += taken;
    }
    Ok(out)
}

/// The character that `&...;` stands for, and how many bytes it takes.
fn reference(rest: &str, at: usize) -> Result<(char, usize), Broken> {
    const LONGEST: usize = 12;
    let name =
        rest.get(1..).and_then(|rest| rest.split_once(';')).map(|(name, _)| name).filter(|name| name.len() <= LONGEST);
    let Some(name) = name else {
        let what = "`&` does not begin a character reference here";
        return Err(Broken::new(at, what, "write `&amp;` for a plain `&`"));
    };
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => numeric(name),
    };
    match character {
        Some(character) => Ok((character, name.len() + 2)),
        None => {
            let what = format!("`&{name};` is not known");
            let help = "known are &amp; &lt; &gt; &quot; &apos; and characters by number";
            Err(Broken::new(at, what, help))
        }
    }
}

fn numeric(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let number = match digits.strip_prefix('x') {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok()?,
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    let character = char::from_u32(number)?;
    let allowed =
        matches!(character, '\t' | '\n' | '\r') || (character >= ' ' && !matches!(character, '\u{fffe}' | '\u{ffff}'));
    allowed.then_some(character)
}
