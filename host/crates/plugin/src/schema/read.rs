//! A schema from the manifest's JSON.

use super::{Kind, Others, Schema};
use serde_json::{Map, Number, Value};

/// Keywords that say something to a reader and ask nothing of a value. `format` is one of
/// them: by JSON Schema itself it is not checked.
const WORDS: [&str; 11] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "format",
    "readOnly",
    "writeOnly",
];

const KINDS: [(&str, Kind); 7] = [
    ("null", Kind::Null),
    ("boolean", Kind::Boolean),
    ("integer", Kind::Integer),
    ("number", Kind::Number),
    ("string", Kind::String),
    ("array", Kind::Array),
    ("object", Kind::Object),
];

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A keyword has a value that it can't have, or is one that this host does not check:
    /// half a check would be taken for a whole one.
    pub(crate) fn read(json: &Value) -> Result<Self, String> {
        read(json, "#")
    }
}

fn read(json: &Value, at: &str) -> Result<Schema, String> {
    let keywords = match json {
        Value::Bool(true) => return Ok(Schema::default()),
        Value::Object(keywords) => keywords,
        _ => return Err(format!("{at} is no table of keywords")),
    };
    let mut schema = Schema::default();
    for (word, value) in keywords {
        let here = || format!("{at}/{}", super::shown(word));
        let wrong = || format!("{} has a value that it can't have", here());
        match word.as_str() {
            "type" => schema.kinds = kinds(value).ok_or_else(wrong)?,
            "enum" => schema.values = value.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?.clone(),
            "const" => schema.values = vec![value.clone()],
            "properties" => {
                for (name, inner) in value.as_object().ok_or_else(wrong)? {
                    let inner = read(inner, &format!("{}/{}", here(), super::shown(name)))?;
                    schema.properties.insert(name.clone(), inner);
                }
            }
            "required" => schema.required = names(value).ok_or_else(wrong)?,
            "additionalProperties" => {
                schema.others = match value {
                    Value::Bool(false) => Others::None,
                    inner => Others::Like(Box::new(read(inner, &here())?)),
                }
            }
            "items" => schema.items = Some(Box::new(read(value, &here())?)),
            "minimum" => schema.range[0] = Some(number(value).ok_or_else(wrong)?),
            "maximum" => schema.range[1] = Some(number(value).ok_or_else(wrong)?),
            "minLength" => schema.characters[0] = Some(value.as_u64().ok_or_else(wrong)?),
            "maxLength" => schema.characters[1] = Some(value.as_u64().ok_or_else(wrong)?),
            "minItems" => schema.count[0] = Some(value.as_u64().ok_or_else(wrong)?),
            "maxItems" => schema.count[1] = Some(value.as_u64().ok_or_else(wrong)?),
            word if WORDS.contains(&word) || word.starts_with("x-") => {}
            _ => return Err(format!("{} is a keyword that this host does not check", here())),
        }
    }
    close(&mut schema, keywords);
    Ok(schema)
}

/// A table whose keys are listed has no others, unless the schema says so.
fn close(schema: &mut Schema, keywords: &Map<String, Value>) {
    if keywords.contains_key("properties") && !keywords.contains_key("additionalProperties") {
        schema.others = Others::None;
    }
}

fn kinds(value: &Value) -> Option<Vec<Kind>> {
    let kind = |value: &Value| {
        let name = value.as_str()?;
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    };
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(kind).collect(),
        one => kind(one).map(|kind| vec![kind]),
    }
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        _ => None,
    }
}
