//! `web.config` -> what it says about our backend, handler mappings and
//! request filtering; everything else in it is warned about or refused.

mod backend;
mod filtering;
mod handlers;
mod locations;
mod sections;
mod values;

pub use backend::{Backend, EnvironmentVariable, HandlerSetting, HostingModel, Section};
pub use filtering::{Filtering, HiddenSegment, RequestLimits, VerbRule};
pub use handlers::{Access, Handler, Handlers, Module, Resource};
pub use sections::HTTP_AUTH;

use crate::error::{Help, Problem, Report, did_you_mean, nearest};
use crate::source::{Position, Source, Spanned};
use crate::xml::{self, Element};
use serde::Serialize;
use std::collections::BTreeSet;

/// What the reader of a `web.config` needs to know of the world.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `ANCM_LAUNCHER_PATH` or `LAUNCHER_PATH` of the host's environment: what
    /// `%LAUNCHER_PATH%` in an unpublished file stands for.
    pub launcher_path: Option<String>,
    /// `ANCM_LAUNCHER_ARGS` or `LAUNCHER_ARGS`, likewise.
    pub launcher_args: Option<String>,
}

/// A `web.config`, understood.
#[derive(Clone, Debug, Serialize)]
pub struct WebConfig {
    /// The path as messages show it.
    pub path: String,
    /// How the application is run.
    pub backend: Backend,
    /// What holds where no `location` says otherwise.
    pub root: Scope,
    /// `location` elements with a path, inheritance resolved, shortest path first.
    pub locations: Vec<Location>,
}

/// One `location` with everything that it inherits.
#[derive(Clone, Debug, Serialize)]
pub struct Location {
    /// Path below the application, without slashes at its ends: `api/v1`.
    pub path: Spanned<String>,
    /// What holds there and below.
    pub scope: Scope,
}

/// Settings that may differ from one path to another.
#[derive(Clone, Debug, Serialize)]
pub struct Scope {
    /// Which requests go where, first match wins.
    pub handlers: Handlers,
    /// Which requests are refused before that.
    pub filtering: Filtering,
}

impl Scope {
    fn stock() -> Self {
        Self { handlers: Handlers::stock(), filtering: Filtering::stock() }
    }
}

/// What stays of a file after reading: the document if there is one, and all problems.
#[derive(Debug)]
pub struct Outcome {
    /// The document; `None` if something in it was refused.
    pub document: Option<WebConfig>,
    /// Refusals and warnings, unsorted.
    pub problems: Vec<Problem>,
    /// Entries of `accept_unapplied` that the file made use of.
    pub accepted: BTreeSet<String>,
}

/// Reads a `web.config`.
///
/// `accept_unapplied`: names of sections whose absence the operator accepts,
/// as `[host] accept_unapplied` of plugins.toml lists them.
#[must_use]
pub fn read(source: &Source, facts: &Facts, accept_unapplied: &[String]) -> Outcome {
    let mut ctx = Context {
        report: Report::new(source),
        facts,
        accept: accept_unapplied,
        accepted: BTreeSet::new(),
        mappings_broken: false,
    };
    let document = xml::read(source, &mut ctx.report)
        .and_then(|root| document(&mut ctx, source, &root))
        .filter(|_| !ctx.report.has_errors());
    Outcome { document, problems: ctx.report.finish(), accepted: ctx.accepted }
}

/// The smallest file that works, for messages that must show one.
pub const SMALLEST: &str = r#"<configuration>
  <system.webServer>
    <handlers>
      <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" />
    </handlers>
    <aspNetCore processPath="dotnet" arguments=".\App.dll" />
  </system.webServer>
</configuration>
"#;

/// Most entries of one collection that is applied: handlers, variables, segments.
pub const ENTRIES_MAX: usize = 1000;

/// What all readers of sections share.
struct Context<'a> {
    report: Report<'a>,
    facts: &'a Facts,
    accept: &'a [String],
    accepted: BTreeSet<String>,
    /// A mapping was refused: what the list then lacks needs no second refusal.
    mappings_broken: bool,
}

impl Context<'_> {
    fn position(&self, offset: usize) -> Position {
        self.report.at(offset)
    }

    fn error(&mut self, at: usize, what: impl Into<String>, help: impl Into<Help>) {
        self.report.error(at, what, help);
    }

    fn warn(&mut self, at: usize, what: impl Into<String>, help: impl Into<Help>) {
        self.report.warn(at, what, help);
    }

    /// Refuses a section that is not applied and whose absence changes who may
    /// do what, unless the operator accepted that by name.
    fn refuse_unapplied(&mut self, at: usize, path: &str, effect: &str) {
        let accepted = self.accept.iter().find(|accepted| {
            path.strip_prefix(accepted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some(accepted) = accepted {
            self.accepted.insert(accepted.clone());
            let what = format!("`{path}` is not applied, as accept_unapplied says: {effect}");
            self.warn(at, what, "");
            return;
        }
        let what = format!("`{path}` is not applied by Gatelodge: {effect}");
        let help = format!(
            "remove it and let the app or a plugin do this, or accept it knowingly in plugins.toml:\n[host] accept_unapplied = [\"{path}\"]"
        );
        self.error(at, what, help);
    }

    /// The entries of a collection, up to [`ENTRIES_MAX`].
    fn children<'e>(&mut self, element: &'e Element) -> &'e [Element] {
        match element.children.get(..ENTRIES_MAX) {
            Some(first) if element.children.len() > ENTRIES_MAX => {
                let what = format!("`<{}>` has more than {ENTRIES_MAX} entries", element.name);
                self.error(element.at, what, "");
                first
            }
            _ => &element.children,
        }
    }

    /// An element that its parent does not know.
    fn unknown_child(&mut self, child: &Element, parent: &str, known: &[&str]) {
        let what = format!("`<{}>` is not known in `<{parent}>`", child.name);
        self.error(child.at, what, did_you_mean(&child.name, known));
    }

    /// Refuses attributes that are not in `known`.
    fn check_attributes(&mut self, element: &Element, known: &[&str]) {
        const LOCKS: [&str; 6] = [
            "lockItem",
            "lockAttributes",
            "lockElements",
            "lockAllAttributesExcept",
            "lockAllElementsExcept",
            "overrideMode",
        ];
        for attribute in element.own_attributes() {
            let name = attribute.name.as_str();
            if known.contains(&name) || LOCKS.contains(&name) {
                continue;
            }
            if name == "configSource" {
                self.config_source(attribute.at, &element.name);
                continue;
            }
            let what = format!("attribute `{name}` is not known in `<{}>`", element.name);
            self.error(attribute.at, what, did_you_mean(name, known));
        }
    }

    /// Text between elements: a broken comment, or something that was meant to be an element.
    fn stray_text(&mut self, element: &Element) {
        if let Some(at) = element.text_at {
            let what = format!("text inside `<{}>` has no meaning", element.name);
            self.error(at, what, "remove it, or put it into a comment: <!-- ... -->");
        }
    }

    fn config_source(&mut self, at: usize, element: &str) {
        let what = format!("`configSource` is not supported: `<{element}>` is read from this file only");
        self.error(at, what, "put the content of the other file here");
    }
}

fn document(ctx: &mut Context<'_>, source: &Source, root: &Element) -> Option<WebConfig> {
    if let Some(at) = transform(root) {
        let what = "this is an XDT transform (it carries `xdt:` attributes), not a web.config that can be served";
        ctx.error(at, what, "publish the app: that applies the transform and writes the web.config to use here");
        return None;
    }
    if root.name != "configuration" {
        let what = format!("the root element is `<{}>`; a web.config has `<configuration>`", root.name);
        let near = nearest(&root.name, ["configuration"]).is_some();
        let help = if near {
            "element names are case-sensitive: write `<configuration>`".to_owned()
        } else if root.name == "system.webServer" {
            "put it into <configuration>".to_owned()
        } else if ["aspNetCore", "httpPlatform", "handlers"].contains(&root.name.as_str()) {
            "put it into <configuration><system.webServer>, beside <handlers>".to_owned()
        } else {
            format!("wrap it; the smallest web.config is:\n{SMALLEST}")
        };
        ctx.error(root.at, what, help);
        return None;
    }
    locations::resolve(ctx, source, root)
}

/// The first attribute of an XML document transform, wherever it is.
fn transform(element: &Element) -> Option<usize> {
    let own =
        element.attributes.iter().find(|attribute| attribute.name.starts_with("xdt:")).map(|attribute| attribute.at);
    own.or_else(|| element.children.iter().find_map(transform))
}

#[cfg(test)]
mod tests;
