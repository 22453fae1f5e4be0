use super::{Schema, WRONGS_MAX, Wrong};
use serde_json::{Value, json};

fn schema() -> Schema {
    Schema::read(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["greeting"],
        "properties": {
            "greeting": { "type": "string", "minLength": 2, "maxLength": 4, "description": "for the reader" },
            "level": { "enum": ["quiet", "loud"] },
            "exact": { "const": 7 },
            "count": { "type": "integer", "minimum": 1, "maximum": 9007199254740993_i64 },
            "share": { "type": "number", "minimum": 0 },
            "names": { "type": ["string", "array"], "items": { "type": "string" }, "minItems": 1, "maxItems": 2 },
            "inner": { "type": "object", "properties": { "on": { "type": "boolean" } }, "required": ["on"] },
            "free": { "type": "object", "additionalProperties": { "type": "string" } },
            "any": true,
        },
    }))
    .expect("a schema")
}

/// What is wrong with good settings that were changed, one line each.
fn wrong(change: &Value) -> Vec<String> {
    let mut settings = json!({ "greeting": "hi" });
    let members = settings.as_object_mut().expect("a table");
    members.extend(change.as_object().expect("a table").clone());
    members.retain(|_, value| !value.is_null());
    schema().check(&settings).iter().map(line).collect()
}

fn line(wrong: &Wrong) -> String {
    format!("{}: {} | {}", wrong.pointer, wrong.what, wrong.help.as_deref().unwrap_or(""))
}

#[test]
fn settings_that_fit_have_nothing_wrong() {
    for change in [
        json!({}),
        json!({ "greeting": "four" }),
        json!({ "greeting": "ääää" }),
        json!({ "level": "loud", "exact": 7 }),
        json!({ "count": 1 }),
        json!({ "count": 9007199254740993_i64 }),
        json!({ "share": 0, "names": "one" }),
        json!({ "share": 0.5, "names": ["a", "b"] }),
        json!({ "inner": { "on": false }, "free": { "whatever": "x" }, "any": [1, "a", {}] }),
    ] {
        assert_eq!(wrong(&change), Vec::<String>::new(), "{change}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
    let table = [
        (
            json!({ "greeting": null }),
            ": [plugin.config] has no `greeting`, which this plugin needs | write `greeting = ...` below [plugin.config]",
        ),
        (json!({ "greting": "x" }), "/greting: setting `greting` is not known | did you mean `greeting`?"),
        (
            json!({ "zzz": 1 }),
            "/zzz: setting `zzz` is not known | known here: any, count, exact, free, greeting, inner, level, names, share",
        ),
        (json!({ "greeting": 1 }), "/greeting: setting `greeting` is a whole number, not a string | "),
        (json!({ "greeting": "h" }), "/greeting: setting `greeting` has 1 characters | write 2 to 4 characters"),
        (json!({ "greeting": "äääää" }), "/greeting: setting `greeting` has 5 characters | write 2 to 4 characters"),
        (
            json!({ "level": "loudd" }),
            "/level: setting `level` is none of the values that are known for it | did you mean `loud`?",
        ),
        (
            json!({ "level": 3 }),
            "/level: setting `level` is none of the values that are known for it | known here: \"quiet\", \"loud\"",
        ),
        (json!({ "exact": 8 }), "/exact: setting `exact` is none of the values that are known for it | known here: 7"),
        (json!({ "count": 0 }), "/count: setting `count` is out of range | write 1 to 9007199254740993"),
        (
            json!({ "count": 9007199254740994_i64 }),
            "/count: setting `count` is out of range | write 1 to 9007199254740993",
        ),
        (json!({ "count": 1.0 }), "/count: setting `count` is a number with a point, not a whole number | "),
        (json!({ "share": -0.1 }), "/share: setting `share` is out of range | write at least 0"),
        (json!({ "names": [] }), "/names: setting `names` has 0 items | write 1 to 2 items"),
        (json!({ "names": ["a", "b", "c"] }), "/names: setting `names` has 3 items | write 1 to 2 items"),
        (json!({ "names": ["a", 2] }), "/names/1: setting `names.1` is a whole number, not a string | "),
        (json!({ "names": true }), "/names: setting `names` is true or false, not a string or a list | "),
        (
            json!({ "inner": {} }),
            "/inner: setting `inner` has no `on`, which this plugin needs | write `on = ...` in it",
        ),
        (json!({ "inner": { "on": "yes" } }), "/inner/on: setting `inner.on` is a string, not true or false | "),
        (json!({ "inner": { "on": true, "no": 1 } }), "/inner/no: setting `inner.no` is not known | known here: on"),
        (json!({ "free": { "a/b~c": 1 } }), "/free/a~1b~0c: setting `free.a/b~c` is a whole number, not a string | "),
    ];
    for (change, expected) in table {
        assert_eq!(wrong(&change), [expected], "{change}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once_up_to_a_limit() {
    let told = schema().check(&json!({ "level": 1, "count": "x" }));
    assert_eq!(told.len(), 3, "{told:?}");
    let flood = |count: usize| {
        let mut settings = json!({ "greeting": "hi" });
        (0..count).for_each(|n| settings[format!("k{n}")] = json!(1));
        schema().check(&settings)
    };
    assert_eq!(flood(WRONGS_MAX).len(), WRONGS_MAX);
    let told = flood(WRONGS_MAX + 3);
    assert_eq!(told.len(), WRONGS_MAX + 1);
    assert_eq!(told[WRONGS_MAX].what, "3 more of its settings are wrong");
}

/// A value may be a secret, and names may be made to confuse.
#[test]
fn messages_show_no_value_and_no_control_character() {
    for change in [json!({ "greeting": "hunter2" }), json!({ "level": "hunter2" }), json!({ "count": "hunter2" })] {
        let told = wrong(&change).join("\n");
        assert!(!told.is_empty() && !told.contains("hunter2"), "{told}");
    }
    let told = wrong(&json!({ "\u{1b}[2J": 1 })).join("\n");
    assert!(told.contains("setting `\\u{1b}[2J`"), "{told}");
}

#[test]
fn a_schema_that_is_not_checked_whole_is_refused() {
    for (json, part) in [
        (json!([]), "# is no table of keywords"),
        (json!({ "oneOf": [] }), "#/oneOf is a keyword that this host does not check"),
        (json!({ "properties": { "a": { "pattern": "x" } } }), "#/properties/a/pattern is a keyword"),
        (json!({ "type": "text" }), "#/type has a value that it can't have"),
        (json!({ "type": [] }), "#/type has a value that it can't have"),
        (json!({ "enum": [] }), "#/enum has a value"),
        (json!({ "properties": [] }), "#/properties has a value"),
        (json!({ "required": [1] }), "#/required has a value"),
        (json!({ "items": 1 }), "#/items is no table of keywords"),
        (json!({ "additionalProperties": { "minLength": -1 } }), "#/additionalProperties/minLength has a value"),
        (json!({ "minimum": "1" }), "#/minimum has a value"),
    ] {
        let refused = Schema::read(&json).expect_err("it is refused");
        assert!(refused.starts_with(part), "{json}: {refused}");
    }
    let own = json!({ "x-form": "wide", "additionalProperties": true });
    assert!(Schema::read(&own).expect("fine").check(&json!({ "a": 1 })).is_empty());
}
