//! What a plugin's manifest says about its settings: the part of JSON Schema that
//! settings need, read whole, so that nothing of a schema is silently left out.
//!
//! One thing is stricter than in JSON Schema: where `properties` are listed and
//! `additionalProperties` is not written, other keys are refused. A misspelt key would
//! otherwise be a setting left at its default.

mod read;

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Most problems that are told of the settings of one plugin; the rest is counted.
pub(crate) const WRONGS_MAX: usize = 50;
/// Longest piece of a name that a message shows, bytes.
const NAME_BYTES_MAX: usize = 64;
/// How alike two names are, from 0 to 1, if one was meant to be the other.
const LIKENESS_MIN: f64 = 0.87;

/// What a value must be.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Empty: any.
    kinds: Vec<Kind>,
    /// `enum` and `const`; empty: any value.
    values: Vec<Value>,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    others: Others,
    items: Option<Box<Schema>>,
    /// Smallest and largest number.
    range: [Option<Number>; 2],
    /// Fewest and most characters of a string.
    characters: [Option<u64>; 2],
    /// Fewest and most items of a list.
    count: [Option<u64>; 2],
}

/// Keys of a table that `properties` does not list.
#[derive(Debug, Default)]
enum Others {
    #[default]
    Any,
    None,
    Like(Box<Schema>),
}

/// What a value is, in the words of the file that it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// One thing that is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The setting, as a JSON pointer (RFC 6901); for what is missing, the table that lacks it.
    pub(crate) pointer: String,
    /// What is wrong. No value is shown: it may be a secret.
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
}

/// Collects what is wrong, and knows where it is.
#[derive(Default)]
struct Check {
    pointer: String,
    wrongs: Vec<Wrong>,
    beyond: usize,
}

impl Schema {
    /// All that is wrong with settings, up to [`WRONGS_MAX`].
    pub(crate) fn check(&self, settings: &Value) -> Vec<Wrong> {
        let mut check = Check::default();
        self.look(settings, &mut check);
        let Check { mut wrongs, beyond, .. } = check;
        if beyond > 0 {
            let what = format!("{beyond} more of its settings are wrong");
            wrongs.push(Wrong { pointer: String::new(), what, help: None });
        }
        wrongs
    }

    fn look(&self, value: &Value, check: &mut Check) {
        if !self.kinds.is_empty() && !self.kinds.iter().any(|kind| kind.holds(value)) {
            let wanted: Vec<&str> = self.kinds.iter().map(|kind| kind.wanted()).collect();
            let what = format!("{} is {}, not {}", check.called(), found(value), wanted.join(" or "));
            return check.wrong(what, None);
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let help = one_of(value, &self.values);
            return check.wrong(format!("{} is none of the values that are known for it", check.called()), Some(help));
        }
        match value {
            Value::Object(table) => self.table(table, check),
            Value::Array(list) => {
                check.within(list.len(), self.count, "items");
                for (at, item) in list.iter().enumerate() {
                    if let Some(schema) = &self.items {
                        check.inside(&at.to_string(), |check| schema.look(item, check));
                    }
                }
            }
            Value::String(text) => check.within(text.chars().count(), self.characters, "characters"),
            Value::Number(number) => {
                let [least, most] = &self.range;
                if least.as_ref().is_some_and(|least| order(number, least) == Ordering::Less)
                    || most.as_ref().is_some_and(|most| order(number, most) == Ordering::Greater)
                {
                    let help = bounds(least.as_ref(), most.as_ref(), "");
                    check.wrong(format!("{} is out of range", check.called()), help);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn table(&self, table: &Map<String, Value>, check: &mut Check) {
        for name in self.required.iter().filter(|name| !table.contains_key(*name)) {
            let what = format!("{} has no `{}`, which this plugin needs", check.called(), shown(name));
            let help = match check.pointer.as_str() {
                "" => format!("write `{} = ...` below [plugin.config]", shown(name)),
                _ => format!("write `{} = ...` in it", shown(name)),
            };
            check.wrong(what, Some(help));
        }
        for (name, value) in table {
            match (self.properties.get(name), &self.others) {
                (Some(schema), _) => check.inside(name, |check| schema.look(value, check)),
                (None, Others::Any) => {}
                (None, Others::Like(schema)) => check.inside(name, |check| schema.look(value, check)),
                (None, Others::None) => check.inside(name, |check| {
                    let known = self.properties.keys().map(String::as_str);
                    check.wrong(format!("{} is not known", check.called()), Some(meant(name, known)));
                }),
            }
        }
    }
}

impl Check {
    fn wrong(&mut self, what: String, help: Option<String>) {
        match self.wrongs.len() < WRONGS_MAX {
            true => self.wrongs.push(Wrong { pointer: self.pointer.clone(), what, help }),
            false => self.beyond += 1,
        }
    }

    /// Looks at what stands under a name, or at a place of a list.
    fn inside(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        look(self);
        self.pointer.truncate(length);
    }

    /// How the value here is called: `levels.server`.
    fn called(&self) -> String {
        let path = self.pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        if path.is_empty() { "[plugin.config]".to_owned() } else { format!("setting `{}`", shown(&path)) }
    }

    fn within(&mut self, length: usize, [least, most]: [Option<u64>; 2], of: &str) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if least.is_some_and(|least| length < least) || most.is_some_and(|most| length > most) {
            let what = format!("{} has {length} {of}", self.called());
            self.wrong(what, bounds(least, most, &format!(" {of}")));
        }
    }
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::String, Value::String(_))
            | (Self::Array, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            _ => false,
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "a table",
        }
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => Kind::Null.wanted(),
        Value::Bool(_) => Kind::Boolean.wanted(),
        Value::Number(number) if number.is_f64() => "a number with a point",
        Value::Number(_) => Kind::Integer.wanted(),
        Value::String(_) => Kind::String.wanted(),
        Value::Array(_) => Kind::Array.wanted(),
        Value::Object(_) => Kind::Object.wanted(),
    }
}

/// Whole numbers exactly, others as they are kept.
fn order(one: &Number, other: &Number) -> Ordering {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// What to write: `1 to 4 characters`, `at most 9`.
fn bounds<T: std::fmt::Display>(least: Option<T>, most: Option<T>, of: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("write {least} to {most}{of}")),
        (Some(least), None) => Some(format!("write at least {least}{of}")),
        (None, Some(most)) => Some(format!("write at most {most}{of}")),
        (None, None) => None,
    }
}

/// The word that was probably meant, or all that there are.
fn one_of(value: &Value, values: &[Value]) -> String {
    let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    if let (Some(text), true) = (value.as_str(), words.len() == values.len()) {
        return meant(text, words.into_iter());
    }
    let all: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("known here: {}", crate::text::escape(&all.join(", "), 1024))
}

fn meant<'n>(wrong: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    let near = (wrong.len() <= NAME_BYTES_MAX).then(|| nearest(wrong, known.clone())).flatten();
    if let Some(name) = near {
        return format!("did you mean `{}`?", shown(name));
    }
    let all: Vec<&str> = known.collect();
    match all.is_empty() {
        true => "this plugin has no settings here: remove it".to_owned(),
        false => format!("known here: {}", crate::text::escape(&all.join(", "), 1024)),
    }
}

fn nearest<'n>(wrong: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = wrong.to_ascii_lowercase();
    known
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

fn shown(name: &str) -> String {
    crate::text::escape(name, NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests;
