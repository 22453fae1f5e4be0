//! The settings, checked once.

use crate::field::Part;
use crate::redact::Secrets;
use gatelodge_sdk::{Config, Level};

/// Fields of a record where the settings name none.
pub const DEFAULT_FIELDS: [&str; 16] = [
    "time",
    "client_ip",
    "method",
    "path",
    "query",
    "status",
    "bytes_in",
    "bytes_out",
    "duration_us",
    "first_byte_us",
    "source",
    "ending",
    "subject",
    "request_id",
    "upstream",
    "detail",
];

/// Most fields of a record: the host takes no more.
pub const FIELDS_MAX: usize = 32;

/// What a record looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Named values.
    Fields {
        /// The record's message.
        message: String,
    },
    /// A line of text.
    Template(Vec<Piece>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The value of the part with this number.
    Value(usize),
}

/// Levels by class of status; `None` = no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// 1xx to 5xx.
    pub classes: [Option<Level>; 5],
    /// No response at all.
    pub none: Option<Level>,
}

impl Levels {
    /// The level of a response with this status.
    #[must_use]
    pub fn of(&self, status: Option<u16>) -> Option<Level> {
        let Some(status) = status else { return self.none };
        let class = usize::from(status / 100).saturating_sub(1);
        self.classes.get(class).copied().unwrap_or(self.none)
    }
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the host is asked for.
    pub parts: Vec<Part>,
    /// What becomes of it.
    pub form: Form,
    /// What is hidden besides the usual.
    pub secrets: Secrets,
    /// Levels by status.
    pub levels: Levels,
}

impl Settings {
    /// Reads and checks.
    ///
    /// # Errors
    /// Every problem, one a line.
    pub fn read(mut config: Config) -> Result<Self, String> {
        let template = config.string("template");
        let fields = config.strings("fields");
        if template.is_some() && fields.is_some() {
            config.problem("template", "cannot stand beside `fields`: choose one");
        }
        let message = config.string("message").unwrap_or_else(|| "request".to_owned());
        let (parts, form) = match template {
            Some(template) => {
                let (parts, pieces) = parse_template(&template).unwrap_or_else(|why| {
                    config.problem("template", &why);
                    (Vec::new(), Vec::new())
                });
                (parts, Form::Template(pieces))
            }
            None => (parse_fields(&mut config, fields), Form::Fields { message }),
        };
        let redact = config.strings("redact").unwrap_or_default();
        let secrets = Secrets(redact.iter().map(|name| name.to_lowercase()).collect());
        let levels = levels(&mut config);
        config.finish()?;
        Ok(Self { parts, form, secrets, levels })
    }
}

fn parse_fields(config: &mut Config, fields: Option<Vec<String>>) -> Vec<Part> {
    let fields = fields.unwrap_or_else(|| DEFAULT_FIELDS.map(str::to_owned).to_vec());
    if fields.is_empty() || fields.len() > FIELDS_MAX {
        config.problem("fields", &format!("has {} fields; 1 to {FIELDS_MAX} are possible", fields.len()));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(fields.len());
    for field in &fields {
        match Part::parse(field) {
            Ok(part) if parts.contains(&part) => config.problem("fields", &format!("`{field}` stands twice")),
            Ok(part) => parts.push(part),
            Err(why) => config.problem("fields", &why),
        }
    }
    parts
}

/// `{name}` is a field, `{{` and `}}` are braces.
fn parse_template(template: &str) -> Result<(Vec<Part>, Vec<Piece>), String> {
    let (mut parts, mut pieces, mut text) = (Vec::new(), Vec::new(), String::new());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(tail) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            text.push_str(from.get(..1).unwrap_or_default());
            rest = tail;
            continue;
        }
        let Some((name, tail)) = from.strip_prefix('{').and_then(|tail| tail.split_once('}')) else {
            return Err("has a brace without its partner; write {{ or }} for a brace".to_owned());
        };
        let part = Part::parse(name)?;
        let index = parts.iter().position(|known| *known == part).unwrap_or_else(|| {
            parts.push(part);
            parts.len() - 1
        });
        pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Value(index)]);
        rest = tail;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    match parts.len() {
        1..=FIELDS_MAX => Ok((parts, pieces)),
        count => Err(format!("names {count} fields; 1 to {FIELDS_MAX} are possible")),
    }
}

fn levels(config: &mut Config) -> Levels {
    const WORDS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
    const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    let info = Some(Level::Info);
    let mut levels = Levels { classes: [info, info, info, info, Some(Level::Warn)], none: Some(Level::Warn) };
    let Some(mut table) = config.table("levels") else { return levels };
    for (key, level) in CLASSES.into_iter().zip(&mut levels.classes).chain([("none", &mut levels.none)]) {
        *level = match table.choice(key, &WORDS) {
            None => *level,
            Some("trace") => Some(Level::Trace),
            Some("debug") => Some(Level::Debug),
            Some("info") => Some(Level::Info),
            Some("warn") => Some(Level::Warn),
            Some("error") => Some(Level::Error),
            Some(_) => None,
        };
    }
    config.close(table);
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Settings, String> {
        Settings::read(Config::parse(json).expect("JSON"))
    }

    #[test]
    fn has_a_useful_default() {
        let settings = read("{}").unwrap();
        assert_eq!(settings.parts.iter().map(Part::key).collect::<Vec<_>>(), DEFAULT_FIELDS);
        assert_eq!(settings.form, Form::Fields { message: "request".into() });
        for (status, level) in [
            (Some(101), Level::Info),
            (Some(200), Level::Info),
            (Some(404), Level::Info),
            (Some(500), Level::Warn),
            (Some(599), Level::Warn),
            (Some(600), Level::Warn),
            (Some(0), Level::Info),
            (None, Level::Warn),
        ] {
            assert_eq!(settings.levels.of(status), Some(level), "{status:?}");
        }
    }

    #[test]
    fn levels_follow_the_settings() {
        let levels = read(r#"{"levels":{"2xx":"off","4xx":"debug","none":"error"}}"#).unwrap().levels;
        assert_eq!(levels.of(Some(204)), None);
        assert_eq!(levels.of(Some(404)), Some(Level::Debug));
        assert_eq!(levels.of(Some(502)), Some(Level::Warn));
        assert_eq!(levels.of(None), Some(Level::Error));
    }

    #[test]
    fn reads_templates() {
        let settings = read(r#"{"template":"{{{method}}} {path} {method}"}"#).unwrap();
        assert_eq!(settings.parts.iter().map(Part::key).collect::<Vec<_>>(), ["method", "path"]);
        let text = |text: &str| Piece::Text(text.into());
        let pieces = vec![text("{"), Piece::Value(0), text("} "), Piece::Value(1), text(" "), Piece::Value(0)];
        assert_eq!(settings.form, Form::Template(pieces));
    }

    #[test]
    fn refuses_with_all_problems() {
        let many: Vec<String> = (0..=FIELDS_MAX).map(|n| format!("\"claim:{n}\"")).collect();
        let most = format!("{{\"fields\":[{}]}}", many[..FIELDS_MAX].join(","));
        assert!(read(&most).is_ok());
        let over = format!("{{\"fields\":[{}]}}", many.join(","));
        for (json, part) in [
            (r#"{"feilds":[]}"#, "`feilds`: unknown key; did you mean `fields`?"),
            (r#"{"fields":"status"}"#, "must be a list of texts"),
            (r#"{"fields":[]}"#, "has 0 fields"),
            (&over, "has 33 fields"),
            (r#"{"fields":["staus"]}"#, "`fields`: unknown field `staus`; did you mean `status`?"),
            (r#"{"fields":["status","status"]}"#, "`status` stands twice"),
            (r#"{"fields":["status"],"template":"{status}"}"#, "choose one"),
            (r#"{"template":"{status"}"#, "brace without its partner"),
            (r#"{"template":"status}"}"#, "brace without its partner"),
            (r#"{"template":"nothing"}"#, "names 0 fields"),
            (r#"{"template":"{pth}"}"#, "did you mean `path`?"),
            (r#"{"redact":"a"}"#, "`redact`: must be a list"),
            (r#"{"levels":{"5xx":"loud"}}"#, "`levels.5xx`: `loud` is not one of"),
            (r#"{"levels":{"6xx":"info"}}"#, "`levels.6xx`: unknown key"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
