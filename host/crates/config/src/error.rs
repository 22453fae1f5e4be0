//! What is wrong with a file, where, and what to write instead.

use crate::source::{Position, Source};
use serde::Serialize;
use std::fmt;

/// Most problems that are kept; the rest is counted. A broken file says enough with these.
pub const PROBLEMS_MAX: usize = 200;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// Told, and served all the same.
    Warning,
}

/// One problem with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Refusal or warning.
    pub severity: Severity,
    /// The path as it was given.
    pub file: String,
    /// Line, from 1; 0 for what has no lines, such as a flag: then `null` in JSON.
    #[serde(serialize_with = "or_null")]
    pub line: u32,
    /// Column in characters, from 1; 0 for what has no lines: then `null` in JSON.
    #[serde(serialize_with = "or_null")]
    pub column: u32,
    /// What is wrong, in plain words.
    pub what: String,
    /// What to write instead.
    pub help: Option<String>,
}

fn or_null<S: serde::Serializer>(place: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    if *place == 0 { serializer.serialize_none() } else { serializer.serialize_u32(*place) }
}

impl Problem {
    /// Where it is: `web.config:6:30`, or the file's or flag's name alone.
    /// Control characters are escaped.
    #[must_use]
    pub fn place(&self) -> String {
        match self.line {
            0 => Shown(&self.file).to_string(),
            line => format!("{}:{line}:{}", Shown(&self.file), self.column),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}", self.place())?;
        write!(f, ": {severity}: {}", Shown(&self.what))?;
        for line in self.help.iter().flat_map(|help| help.lines()) {
            write!(f, "\n    {}", Shown(line))?;
        }
        Ok(())
    }
}

/// Text from a file on its way to a terminal: control characters are escaped.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

/// Problems of one or more files, sorted by file and position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Takes problems in any order; the files keep the order they came in.
    #[must_use]
    pub fn new(mut problems: Vec<Problem>) -> Self {
        let mut files: Vec<String> = Vec::new();
        for problem in &problems {
            if !files.contains(&problem.file) {
                files.push(problem.file.clone());
            }
        }
        let rank = |problem: &Problem| files.iter().position(|file| *file == problem.file);
        problems.sort_by_key(|problem| (rank(problem), problem.line, problem.column, problem.severity));
        Self(problems)
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// Refusals only.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// Warnings only.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().filter(|problem| problem.severity == Severity::Warning)
    }

    /// True if something must be refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Gives the problems away.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects the problems of one file.
#[derive(Debug)]
pub(crate) struct Report<'s> {
    source: &'s Source,
    problems: Vec<Problem>,
    beyond: usize,
}

impl<'s> Report<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self { source, problems: Vec::new(), beyond: 0 }
    }

    pub(crate) fn at(&self, offset: usize) -> Position {
        self.source.position(offset)
    }

    pub(crate) fn error(&mut self, offset: usize, what: impl Into<String>, help: impl Into<Help>) {
        self.push(Severity::Error, self.source.position(offset), what.into(), help.into());
    }

    pub(crate) fn warn(&mut self, offset: usize, what: impl Into<String>, help: impl Into<Help>) {
        self.push(Severity::Warning, self.source.position(offset), what.into(), help.into());
    }

    pub(crate) fn error_at(&mut self, at: Position, what: impl Into<String>, help: impl Into<Help>) {
        self.push(Severity::Error, at, what.into(), help.into());
    }

    pub(crate) fn warn_at(&mut self, at: Position, what: impl Into<String>, help: impl Into<Help>) {
        self.push(Severity::Warning, at, what.into(), help.into());
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(crate) fn finish(mut self) -> Vec<Problem> {
        if self.beyond > 0 {
            let what = format!("{} more problems are not shown", self.beyond);
            let severity = Severity::Error;
            let end = self.source.position(usize::MAX);
            self.problems.push(Problem {
                severity,
                file: self.source.path().to_owned(),
                line: end.line,
                column: end.column,
                what,
                help: None,
            });
        }
        self.problems
    }

    fn push(&mut self, severity: Severity, at: Position, what: String, help: Help) {
        // A refusal is never crowded out by warnings: only its own kind counts.
        let same = self.problems.iter().filter(|problem| problem.severity == severity).count();
        if same >= PROBLEMS_MAX {
            self.beyond += usize::from(severity == Severity::Error);
            return;
        }
        let file = self.source.path().to_owned();
        self.problems.push(Problem { severity, file, line: at.line, column: at.column, what, help: help.0 });
    }
}

/// The second line of a problem; nothing, or what to write instead.
pub(crate) struct Help(Option<String>);

impl From<&str> for Help {
    fn from(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.to_owned()))
    }
}

impl From<String> for Help {
    fn from(text: String) -> Self {
        Self((!text.is_empty()).then_some(text))
    }
}

impl From<Option<String>> for Help {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

/// The known name nearest to a wrong one, if one is near enough to be meant.
pub(crate) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const NAME_BYTES_MAX: usize = 64;
    if wrong.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = wrong.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_ascii_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.87)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The help line for an unknown name: the nearest one, or all of them.
pub(crate) fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => format!("known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;
