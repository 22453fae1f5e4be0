//! The plugin's settings, read key by key.
//!
//! Every key that is asked for becomes a known one; [`Config::finish`] then tells all
//! that was wrong at once: wrong types, and keys that nobody asked for, each with the
//! nearest known name. So a misspelt key is never a setting silently left at its default.

use serde_json::{Map, Value};

/// A table of settings.
#[derive(Debug)]
pub struct Config {
    /// Where the table is: empty for the settings themselves, else `outer.inner.`.
    at: String,
    table: Map<String, Value>,
    known: Vec<String>,
    problems: Vec<String>,
}

impl Config {
    /// Reads the host's document. None, `null` and an empty one are settings without keys.
    ///
    /// # Errors
    /// Not one JSON object.
    pub fn parse(json: &str) -> Result<Self, String> {
        let value = match json.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).map_err(|error| format!("the settings are not JSON: {error}"))?,
        };
        match value {
            Value::Null => Ok(Self::new(String::new(), Map::new())),
            Value::Object(table) => Ok(Self::new(String::new(), table)),
            other => Err(format!("the settings must be a table, not {}", kind(&other))),
        }
    }

    fn new(at: String, table: Map<String, Value>) -> Self {
        Self { at, table, known: Vec::new(), problems: Vec::new() }
    }

    /// A text.
    pub fn string(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.wrong(key, "a text", &other),
        }
    }

    /// `true` or `false`; `default` where it is absent.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Bool(flag)) => flag,
            Some(other) => self.wrong(key, "true or false", &other).unwrap_or(default),
        }
    }

    /// A whole number from 0 to `max`; `default` where it is absent.
    pub fn number(&mut self, key: &str, default: u64, max: u64) -> u64 {
        let Some(value) = self.take(key) else { return default };
        match value.as_u64() {
            Some(number) if number <= max => number,
            Some(number) => {
                self.problem(key, &format!("{number} is above {max}"));
                default
            }
            None => self.wrong(key, "a whole number", &value).unwrap_or(default),
        }
    }

    /// A list of texts.
    pub fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        let Value::Array(list) = self.take(key)?.or_wrong(self, key, "a list of texts")? else { return None };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            match value {
                Value::String(text) => texts.push(text),
                other => return self.wrong(key, "a list of texts", &other),
            }
        }
        Some(texts)
    }

    /// One of these words.
    pub fn choice(&mut self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.string(key)?;
        let found = words.iter().copied().find(|word| *word == text);
        if found.is_none() {
            let hint = nearest(&text, words.iter().copied())
                .map_or(String::new(), |word| format!(" (did you mean `{word}`?)"));
            self.problem(key, &format!("`{text}` is not one of {}{hint}", words.join(", ")));
        }
        found
    }

    /// A table inside this one. Its problems are told by giving it back to [`Config::close`].
    pub fn table(&mut self, key: &str) -> Option<Config> {
        match self.take(key)? {
            Value::Object(table) => Some(Self::new(format!("{}{key}.", self.at), table)),
            other => self.wrong(key, "a table", &other),
        }
    }

    /// All keys and values of this table that are texts: for tables whose keys the operator chooses.
    pub fn pairs(&mut self) -> Vec<(String, String)> {
        let mut pairs = Vec::with_capacity(self.table.len());
        for (key, value) in std::mem::take(&mut self.table) {
            match value {
                Value::String(text) => pairs.push((key, text)),
                other => {
                    let _: Option<()> = self.wrong(&key, "a text", &other);
                }
            }
        }
        pairs
    }

    /// Ends an inner table: its problems become this one's.
    pub fn close(&mut self, inner: Config) {
        self.problems.extend(inner.all_problems());
    }

    /// Notes that the value of `key` will not do.
    pub fn problem(&mut self, key: &str, text: &str) {
        self.problems.push(format!("`{}{key}`: {text}", self.at));
    }

    /// Ends the settings.
    ///
    /// # Errors
    /// Everything that was wrong, one problem a line; keys that were never asked for are.
    pub fn finish(self) -> Result<(), String> {
        let problems = self.all_problems();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }

    fn all_problems(self) -> Vec<String> {
        let Self { at, table, known, mut problems } = self;
        for key in table.keys() {
            let hint = nearest(key, known.iter().map(String::as_str))
                .map_or_else(|| format!("known are {}", known.join(", ")), |name| format!("did you mean `{name}`?"));
            problems.push(format!("`{at}{key}`: unknown key; {hint}"));
        }
        problems
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.known.push(key.to_owned());
        self.table.remove(key)
    }

    fn wrong<T>(&mut self, key: &str, wanted: &str, found: &Value) -> Option<T> {
        self.problem(key, &format!("must be {wanted}, not {}", kind(found)));
        None
    }
}

trait OrWrong: Sized {
    fn or_wrong(self, config: &mut Config, key: &str, wanted: &str) -> Option<Self>;
}

impl OrWrong for Value {
    fn or_wrong(self, config: &mut Config, key: &str, wanted: &str) -> Option<Self> {
        if self.is_array() { Some(self) } else { config.wrong(key, wanted, &self) }
    }
}

/// The known name that `name` was probably meant to be, if one is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .map(|(_, candidate)| candidate)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_type() {
        let json = r#"{"name":"a","on":true,"max":7,"list":["x","y"],"word":"two","inner":{"k":"v"}}"#;
        let mut config = Config::parse(json).unwrap();
        assert_eq!(config.string("name").as_deref(), Some("a"));
        assert_eq!(config.string("absent"), None);
        assert!(config.flag("on", false) && config.flag("off", true));
        assert_eq!((config.number("max", 1, 7), config.number("min", 1, 7)), (7, 1));
        assert_eq!(config.strings("list"), Some(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(config.choice("word", &["one", "two"]), Some("two"));
        let mut inner = config.table("inner").unwrap();
        assert_eq!(inner.pairs(), [("k".to_owned(), "v".to_owned())]);
        config.close(inner);
        config.finish().unwrap();
    }

    #[test]
    fn nothing_is_a_table_without_keys() {
        for json in ["", " ", "null", "{}"] {
            Config::parse(json).unwrap().finish().unwrap();
        }
        for (json, part) in [("[]", "not a list"), ("3", "not a number"), ("{", "not JSON")] {
            assert!(Config::parse(json).unwrap_err().contains(part), "{json}");
        }
    }

    #[test]
    fn tells_all_problems_at_once() {
        let json = r#"{"nmae":"a","on":1,"max":8,"list":["x",2],"list2":"x","word":"tow","inner":{"kye":1},"zzz":0}"#;
        let mut config = Config::parse(json).unwrap();
        let _ = config.string("name");
        let _ = (config.flag("on", false), config.number("max", 1, 7));
        let _ = (config.strings("list"), config.strings("list2"), config.choice("word", &["one", "two"]));
        let mut inner = config.table("inner").unwrap();
        let _ = inner.string("key");
        config.close(inner);
        let text = config.finish().unwrap_err();
        let expected = [
            "`on`: must be true or false, not a number",
            "`max`: 8 is above 7",
            "`list`: must be a list of texts, not a number",
            "`list2`: must be a list of texts, not a text",
            "`word`: `tow` is not one of one, two (did you mean `two`?)",
            "`inner.kye`: unknown key; did you mean `key`?",
            "`nmae`: unknown key; did you mean `name`?",
            "`zzz`: unknown key; known are name, on, max, list, list2, word, inner",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
