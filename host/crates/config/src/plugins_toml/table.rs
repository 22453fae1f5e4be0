//! Typed access to TOML tables, with the place of everything that is wrong.

use crate::error::{Report, did_you_mean};
use crate::source::{Setting, Spanned};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use toml_edit::{Array, Item, TableLike, Value};

/// Collects problems of the file that is read.
pub(super) struct Reading<'s> {
    pub(super) report: Report<'s>,
}

/// A table, how messages call it, and where it stands.
pub(super) struct Keys<'t> {
    table: &'t dyn TableLike,
    pub(super) shown: String,
    pub(super) at: usize,
}

impl<'t> Keys<'t> {
    pub(super) fn root(table: &'t dyn TableLike) -> Self {
        Self { table, shown: String::new(), at: 0 }
    }

    pub(super) fn new(table: &'t dyn TableLike, shown: impl Into<String>, at: usize) -> Self {
        Self { table, shown: shown.into(), at }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.table.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Names of what stands in the table `name`; none if it is no table.
    pub(super) fn below(&self, name: &str) -> Vec<String> {
        let table = self.item(name).and_then(Item::as_table_like);
        table.map_or_else(Vec::new, |table| table.iter().map(|(name, _)| name.to_owned()).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub(super) fn item(&self, name: &str) -> Option<&'t Item> {
        self.table.get(name).filter(|item| !item.is_none())
    }

    pub(super) fn key_at(&self, name: &str) -> usize {
        let key = self.table.get_key_value(name);
        key.and_then(|(key, item)| key.span().or_else(|| item.span())).map_or(self.at, |span| span.start)
    }

    pub(super) fn value_at(&self, name: &str) -> usize {
        let span = self.item(name).and_then(Item::span);
        span.map_or_else(|| self.key_at(name), |span| span.start)
    }

    /// How a key is called: `[host.log] level`.
    fn called(&self, name: &str) -> String {
        match self.shown.as_str() {
            "" => format!("`{name}`"),
            "plugin" => format!("`{name}` in [[plugin]]"),
            shown => format!("`{name}` in [{shown}]"),
        }
    }
}

impl Reading<'_> {
    /// Refuses keys that are not `known`; those of `later` with what to do until then.
    pub(super) fn known(&mut self, keys: &Keys<'_>, known: &[&str], later: &[(&str, &str)]) {
        self.known_or(keys, known, later, &[]);
    }

    /// The same; `never` are keys that somebody may expect, and why there are none.
    pub(super) fn known_or(&mut self, keys: &Keys<'_>, known: &[&str], later: &[(&str, &str)], never: &[(&str, &str)]) {
        for name in keys.names() {
            if known.contains(&name.as_str()) {
                continue;
            }
            let at = keys.key_at(&name);
            let called = keys.called(&name);
            if let Some((_, instead)) = later.iter().find(|(later, _)| *later == name) {
                self.report.error(at, format!("not yet: {called}"), format!("remove it for now; {instead}"));
            } else {
                let why = never.iter().find(|(never, _)| *never == name).map(|(_, why)| (*why).to_owned());
                let help = why.unwrap_or_else(|| did_you_mean(&name, known));
                self.report.error(at, format!("{called} is not known"), help);
            }
        }
    }

    fn mistyped(&mut self, keys: &Keys<'_>, name: &str, expected: &str) {
        let found = keys.item(name).map_or("nothing", Item::type_name);
        let what = format!("{} is {}, not {expected}", keys.called(name), article(found));
        self.report.error(keys.value_at(name), what, "");
    }

    pub(super) fn table<'t>(&mut self, keys: &Keys<'t>, name: &str) -> Option<Keys<'t>> {
        let item = keys.item(name)?;
        let shown = if keys.shown.is_empty() { name.to_owned() } else { format!("{}.{name}", keys.shown) };
        match item.as_table_like() {
            Some(table) => Some(Keys::new(table, shown, keys.key_at(name))),
            None => {
                self.mistyped(keys, name, "a table");
                None
            }
        }
    }

    pub(super) fn string(&mut self, keys: &Keys<'_>, name: &str) -> Option<Spanned<String>> {
        let item = keys.item(name)?;
        match item.as_str() {
            Some(text) if text.contains('\0') => {
                self.report.error(keys.value_at(name), format!("{} holds a zero byte", keys.called(name)), "");
                None
            }
            Some(text) => Some(Spanned::new(text.to_owned(), self.report.at(keys.value_at(name)))),
            None => {
                self.mistyped(keys, name, "a string");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, keys: &Keys<'_>, name: &str) -> Setting<bool> {
        self.boolean_or(keys, name, false)
    }

    pub(super) fn boolean_or(&mut self, keys: &Keys<'_>, name: &str, default: bool) -> Setting<bool> {
        let Some(item) = keys.item(name) else { return Setting::default_value(default) };
        let value = item.as_bool();
        if value.is_none() {
            self.mistyped(keys, name, "true or false");
        }
        Setting::set(value.unwrap_or(default), self.report.at(keys.key_at(name)))
    }

    /// A list of strings; a single string is a list of one.
    pub(super) fn strings(&mut self, keys: &Keys<'_>, name: &str) -> Option<Vec<Spanned<String>>> {
        let item = keys.item(name)?;
        if item.is_str() {
            return self.string(keys, name).map(|text| vec![text]);
        }
        let Some(array) = item.as_array() else {
            self.mistyped(keys, name, "a list of strings");
            return None;
        };
        let mut list = Vec::new();
        for value in array {
            let at = value.span().map_or_else(|| keys.value_at(name), |span| span.start);
            match value.as_str() {
                Some(text) => list.push(Spanned::new(text.to_owned(), self.report.at(at))),
                None => {
                    let what = format!("{} holds {}, not a string", keys.called(name), article(value.type_name()));
                    self.report.error(at, what, "");
                }
            }
        }
        Some(list)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, keys: &Keys<'_>, name: &str, words: &[(&str, T)], default: T) -> Setting<T> {
        let Some(text) = self.string(keys, name) else { return Setting::default_value(default) };
        match words.iter().find(|(word, _)| *word == text.value) {
            Some((_, value)) => Setting::set(*value, text.at),
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let what = format!("\"{}\" is not known for {}", text.value, keys.called(name));
                self.report.error_at(text.at, what, did_you_mean(&text.value, &known));
                Setting::default_value(default)
            }
        }
    }

    /// A whole number, of whatever sign and size.
    pub(super) fn integer(&mut self, keys: &Keys<'_>, name: &str) -> Option<Spanned<i64>> {
        let item = keys.item(name)?;
        let Some(number) = item.as_integer() else {
            self.mistyped(keys, name, "a whole number");
            return None;
        };
        Some(Spanned::new(number, self.report.at(keys.key_at(name))))
    }

    /// A whole number within a range.
    pub(super) fn number(
        &mut self,
        keys: &Keys<'_>,
        name: &str,
        range: &RangeInclusive<u64>,
        default: u64,
    ) -> Setting<u64> {
        let Some(number) = self.integer(keys, name) else { return Setting::default_value(default) };
        let accept = Accept { range, zero: false, default: Some(default) };
        or_default(self.ranged(keys, name, u64::try_from(number.value).ok(), &accept), default)
    }

    /// A whole number within a range that 32 bits hold.
    pub(super) fn small(
        &mut self,
        keys: &Keys<'_>,
        name: &str,
        range: &RangeInclusive<u32>,
        default: u32,
    ) -> Setting<u32> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        let read = self.number(keys, name, &wide, u64::from(default));
        Setting { value: u32::try_from(read.value).unwrap_or(default), at: read.at }
    }

    /// A whole number within a range, or 0, the default, which turns the limit off.
    pub(super) fn number_or_zero(&mut self, keys: &Keys<'_>, name: &str, range: &RangeInclusive<u64>) -> Setting<u64> {
        let Some(number) = self.integer(keys, name) else { return Setting::default_value(0) };
        let accept = Accept { range, zero: true, default: Some(0) };
        or_default(self.ranged(keys, name, u64::try_from(number.value).ok(), &accept), 0)
    }

    /// A whole number within a range; nothing where it is not written.
    pub(super) fn maybe_number(
        &mut self,
        keys: &Keys<'_>,
        name: &str,
        range: &RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let number = self.integer(keys, name)?;
        let accept = Accept { range, zero: false, default: None };
        self.ranged(keys, name, u64::try_from(number.value).ok(), &accept)
    }

    /// Bytes: a whole number, or text such as `"16MiB"`.
    pub(super) fn bytes(
        &mut self,
        keys: &Keys<'_>,
        name: &str,
        range: &RangeInclusive<u64>,
        default: u64,
    ) -> Setting<u64> {
        let accept = Accept { range, zero: false, default: Some(default) };
        or_default(self.size(keys, name, &accept), default)
    }

    /// Bytes within a range, or 0, the default, which turns the limit off.
    pub(super) fn bytes_or_zero(&mut self, keys: &Keys<'_>, name: &str, range: &RangeInclusive<u64>) -> Setting<u64> {
        or_default(self.size(keys, name, &Accept { range, zero: true, default: Some(0) }), 0)
    }

    /// Bytes within a range; nothing where they are not written.
    pub(super) fn maybe_bytes(
        &mut self,
        keys: &Keys<'_>,
        name: &str,
        range: &RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        self.size(keys, name, &Accept { range, zero: false, default: None })
    }

    fn size(&mut self, keys: &Keys<'_>, name: &str, accept: &Accept<'_>) -> Option<Spanned<u64>> {
        let item = keys.item(name)?;
        let Some(text) = item.as_str() else {
            let number = self.integer(keys, name)?;
            return self.ranged(keys, name, u64::try_from(number.value).ok(), accept);
        };
        let Some(bytes) = byte_size(text) else {
            let what = format!("{} = \"{text}\" is not a size", keys.called(name));
            let help = "write bytes as a number, or text such as \"64KiB\", \"16MiB\", \"10MB\"";
            self.report.error(keys.value_at(name), what, help);
            return None;
        };
        self.ranged(keys, name, Some(bytes), accept)
    }

    fn ranged(&mut self, keys: &Keys<'_>, name: &str, value: Option<u64>, accept: &Accept<'_>) -> Option<Spanned<u64>> {
        let fits = |value: &u64| accept.range.contains(value) || (accept.zero && *value == 0);
        if let Some(value) = value.filter(fits) {
            return Some(Spanned::new(value, self.report.at(keys.key_at(name))));
        }
        let what = format!("{} is out of range", keys.called(name));
        let (from, to) = (accept.range.start(), accept.range.end());
        let help = match accept.default {
            _ if accept.zero => format!("write a number from {from} to {to}, or 0 for no limit, which is the default"),
            Some(default) => format!("write a number from {from} to {to}; the default is {default}"),
            None => format!("write a number from {from} to {to}, or remove the line"),
        };
        self.report.error(keys.value_at(name), what, help);
        None
    }

    /// A name that other entries refer to.
    pub(super) fn name(&mut self, at: usize, what: &str, name: &str) {
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !fits {
            let help = "a name has 1 to 64 letters, digits, `-`, `_` and `.`";
            self.report.error(at, format!("`{name}` can't be the name of a {what}"), help);
        }
    }
}

/// What a number may be.
struct Accept<'r> {
    range: &'r RangeInclusive<u64>,
    /// 0 is fine too: no limit.
    zero: bool,
    /// For the message.
    default: Option<u64>,
}

fn or_default(read: Option<Spanned<u64>>, default: u64) -> Setting<u64> {
    read.map_or_else(|| Setting::default_value(default), |read| Setting::set(read.value, read.at))
}

fn article(type_name: &str) -> String {
    match type_name {
        "integer" | "array" | "inline table" | "array of tables" => {
            format!("an {type_name}")
        }
        "nothing" => "nothing".to_owned(),
        other => format!("a {other}"),
    }
}

/// `65536`, `64KiB`, `64 KiB`, `10MB`, `1GiB`: whole numbers only.
fn byte_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '_').unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.replace('_', "").parse().ok()?;
    let factor = match text.get(digits..)?.trim_start() {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Refuses a path that is not plainly below the file's folder.
pub(super) fn path_within(reading: &mut Reading<'_>, path: &Spanned<String>) {
    const HELP: &str = "name a file below the folder of plugins.toml, relative to it: \"plugins/auth.wasm\"";
    let parts: Vec<&str> = path.value.split(['/', '\\']).collect();
    let problem = if path.value.is_empty() {
        "an empty path".to_owned()
    } else if path.value.starts_with(['/', '\\']) || parts.first().is_some_and(|first| first.contains(':')) {
        format!("`{}` is not relative to this file", path.value)
    } else if parts.contains(&"..") {
        format!("`{}` leaves the site's folder", path.value)
    } else {
        return;
    };
    reading.report.error_at(path.at, problem, HELP);
}

/// TOML as JSON; dates become text. `Err` is a value that JSON does not have.
pub(super) fn json(item: &Item) -> Result<serde_json::Value, (usize, &'static str)> {
    match item {
        Item::None => Ok(serde_json::Value::Null),
        Item::Value(value) => json_value(value),
        Item::Table(table) => json_table(table),
        Item::ArrayOfTables(tables) => {
            let tables: Result<Vec<_>, _> = tables.iter().map(|table| json_table(table)).collect();
            tables.map(serde_json::Value::Array)
        }
    }
}

fn json_table(table: &dyn TableLike) -> Result<serde_json::Value, (usize, &'static str)> {
    let mut object = serde_json::Map::new();
    for (name, item) in table.iter() {
        object.insert(name.to_owned(), json(item)?);
    }
    Ok(serde_json::Value::Object(object))
}

fn json_value(value: &Value) -> Result<serde_json::Value, (usize, &'static str)> {
    Ok(match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Boolean(flag) => (*flag.value()).into(),
        Value::Datetime(when) => when.value().to_string().into(),
        Value::Float(number) => match serde_json::Number::from_f64(*number.value()) {
            Some(number) => number.into(),
            None => return Err((number.span().map_or(0, |span| span.start), "JSON has no infinity and no NaN")),
        },
        Value::Array(array) => serde_json::Value::Array(array.iter().map(json_value).collect::<Result<_, _>>()?),
        Value::InlineTable(table) => json_table(table)?,
    })
}

/// Longest pointer that is kept, bytes: pointers repeat the names of all tables around them.
const POINTER_BYTES_MAX: usize = 1024;

/// Where everything below an item stands, by its JSON pointer (RFC 6901): a key where its name
/// is, an element of a list where it begins. `at` is the item's own place. What lies deeper
/// than [`POINTER_BYTES_MAX`] has the place of what holds it.
pub(super) fn places(item: &Item, at: usize) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    note(item, at, &mut String::new(), &mut found);
    found
}

fn note(item: &Item, at: usize, pointer: &mut String, found: &mut BTreeMap<String, usize>) {
    found.insert(pointer.clone(), at);
    if let Some(table) = item.as_table_like() {
        note_table(table, at, pointer, found);
    } else if let Some(list) = item.as_array() {
        note_list(list, at, pointer, found);
    } else if let Some(tables) = item.as_array_of_tables() {
        for (number, table) in tables.iter().enumerate() {
            let at = table.span().map_or(at, |span| span.start);
            step(pointer, &number.to_string(), |pointer| {
                found.insert(pointer.clone(), at);
                note_table(table, at, pointer, found);
            });
        }
    }
}

fn note_table(table: &dyn TableLike, at: usize, pointer: &mut String, found: &mut BTreeMap<String, usize>) {
    for (name, item) in table.iter() {
        let key = table.get_key_value(name).and_then(|(key, _)| key.span());
        let at = key.or_else(|| item.span()).map_or(at, |span| span.start);
        step(pointer, name, |pointer| note(item, at, pointer, found));
    }
}

fn note_list(list: &Array, at: usize, pointer: &mut String, found: &mut BTreeMap<String, usize>) {
    for (number, value) in list.iter().enumerate() {
        let at = value.span().map_or(at, |span| span.start);
        step(pointer, &number.to_string(), |pointer| {
            found.insert(pointer.clone(), at);
            match value {
                Value::Array(inner) => note_list(inner, at, pointer, found),
                Value::InlineTable(table) => note_table(table, at, pointer, found),
                _ => {}
            }
        });
    }
}

fn step(pointer: &mut String, name: &str, act: impl FnOnce(&mut String)) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    if pointer.len() <= POINTER_BYTES_MAX {
        act(pointer);
    }
    pointer.truncate(length);
}

#[cfg(test)]
mod tests {
    use super::{POINTER_BYTES_MAX, byte_size, places};

    #[test]
    fn each_setting_has_its_place() {
        let text = "a = 1\n[b]\nc.d = [1, [2], {e = 3}]\n\"x/y~z\" = 1\n[[f]]\ng = 1\n[[f]]\n";
        let document = toml_edit::Document::parse(text).expect("TOML");
        let found = places(document.as_item(), 0);
        let at = |part: &str| text.find(part).expect("it is there");
        for (pointer, offset) in [
            ("", 0),
            ("/a", 0),
            ("/b/c/d", at("d =")),
            ("/b/c/d/0", at("1, ")),
            ("/b/c/d/1", at("[2]")),
            ("/b/c/d/1/0", at("2]")),
            ("/b/c/d/2/e", at("e =")),
            ("/b/x~1y~0z", at("\"x/y")),
            ("/f/0", at("[[f]]")),
            ("/f/0/g", at("g =")),
            ("/f/1", text.rfind("[[f]]").expect("it is there")),
        ] {
            assert_eq!(found.get(pointer), Some(&offset), "{pointer} in {found:?}");
        }
    }

    #[test]
    fn a_pointer_of_the_longest_length_is_kept_and_a_longer_one_is_not() {
        for (length, kept) in [(POINTER_BYTES_MAX - 1, true), (POINTER_BYTES_MAX, false)] {
            let document = toml_edit::Document::parse(format!("{} = 1", "k".repeat(length))).expect("TOML");
            assert_eq!(places(document.as_item(), 0).len() == 2, kept, "{length}");
        }
    }

    #[test]
    fn byte_sizes() {
        let table = [
            ("65536", Some(65_536)),
            ("64KiB", Some(65_536)),
            ("64 KiB", Some(65_536)),
            ("16MiB", Some(16 << 20)),
            ("10MB", Some(10_000_000)),
            ("64KB", Some(64_000)),
            ("1GiB", Some(1 << 30)),
            ("1_000", Some(1000)),
            ("7B", Some(7)),
            ("1.5MiB", None),
            ("MiB", None),
            ("-1", None),
            ("", None),
            ("10M", None),
            ("99999999999GiB", None),
        ];
        for (text, expected) in table {
            assert_eq!(byte_size(text), expected, "{text}");
        }
    }
}
