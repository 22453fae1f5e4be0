//! Children of `aspNetCore` and `httpPlatform`: variables, settings of the handler, watched files.

use super::super::Context;
use super::settings::handler_settings;
use super::{CHILDREN, EnvironmentVariable, HandlerSetting, Section};
use crate::source::Spanned;
use crate::xml::Element;
use std::collections::BTreeMap;

/// Variables that the host computes itself: a value in the file never arrives.
const OVERWRITTEN: [&str; 4] = [
    "ASPNETCORE_APPL_PATH",
    "ASPNETCORE_IIS_HTTPAUTH",
    "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED",
    "ASPNETCORE_IIS_PHYSICAL_PATH",
];

/// Ports that `ASPNETCORE_PORT` may name (ANCM's MIN_PORT and MAX_PORT).
const PORTS: std::ops::RangeInclusive<u16> = 1025..=48000;

/// What stands inside the section.
pub(super) struct Children {
    /// In the order of the file, the last one of a name.
    pub(super) environment: Vec<EnvironmentVariable>,
    /// The first one of a name.
    pub(super) handler_settings: Vec<HandlerSetting>,
    /// Paths as written, each once.
    pub(super) recycle_files: Vec<Spanned<String>>,
}

pub(super) fn read(ctx: &mut Context<'_>, section: Section, element: &Element) -> Children {
    let mut environment = BTreeMap::new();
    let mut children = Children { environment: Vec::new(), handler_settings: Vec::new(), recycle_files: Vec::new() };
    for child in ctx.children(element) {
        match child.name.as_str() {
            "environmentVariables" => variables(ctx, section, child, &mut environment),
            "handlerSettings" => handler_settings(ctx, child, &mut children.handler_settings),
            "recycleOnFileChange" => recycle(ctx, child, &mut children.recycle_files),
            _ => ctx.unknown_child(child, &element.name, &CHILDREN),
        }
    }
    ctx.stray_text(element);
    children.environment = environment.into_values().collect();
    children.environment.sort_by_key(|variable: &EnvironmentVariable| variable.at);
    children
}

fn variables(
    ctx: &mut Context<'_>,
    section: Section,
    list: &Element,
    into: &mut BTreeMap<String, EnvironmentVariable>,
) {
    ctx.check_attributes(list, &[]);
    ctx.stray_text(list);
    for child in ctx.children(list) {
        match child.name.as_str() {
            "environmentVariable" => {
                if let Some((name, value)) = pair(ctx, child) {
                    judge_variable(ctx, section, child, &name, &value);
                    let at = ctx.position(child.at);
                    // Names compare without case; the last one wins and stands where it stands.
                    into.insert(name.to_uppercase(), EnvironmentVariable { name, value, at });
                }
            }
            "clear" => into.clear(),
            "add" => {
                let what = "`<add>` is not known in `<environmentVariables>`";
                ctx.error(child.at, what, "write <environmentVariable name=\"NAME\" value=\"VALUE\" />");
            }
            _ => ctx.unknown_child(child, "environmentVariables", &["environmentVariable", "clear"]),
        }
    }
}

fn judge_variable(ctx: &mut Context<'_>, section: Section, child: &Element, name: &str, value: &str) {
    if let Some(bad) = name.chars().find(|character| matches!(character, '=' | '\0')) {
        let what = format!("a variable's name can't hold `{}`", bad.escape_debug());
        ctx.error(child.at, what, "write the name alone; the value goes into value=\"...\"");
    }
    if section == Section::HttpPlatform {
        return;
    }
    let upper = name.to_ascii_uppercase();
    if upper == "ASPNETCORE_TOKEN" {
        judge_token(ctx, child, value);
    }
    if OVERWRITTEN.contains(&upper.as_str()) {
        let what = format!("the value of {name} never arrives: the host computes this variable");
        ctx.warn(child.at, what, "remove it");
    }
    // A value with `%` is known only after expansion.
    if upper == "ASPNETCORE_PORT" && !value.is_empty() && !value.contains('%') {
        let fits = value.bytes().all(|byte| byte.is_ascii_digit())
            && value.parse::<u16>().is_ok_and(|port| PORTS.contains(&port));
        if !fits {
            let what = format!("ASPNETCORE_PORT=\"{value}\" is not a port from {} to {}", PORTS.start(), PORTS.end());
            ctx.error(child.at, what, "remove it: the host chooses a free port");
        }
    }
}

/// The token goes into a header field (RFC 9110 §5.5), and an empty one would pair with anyone.
fn judge_token(ctx: &mut Context<'_>, child: &Element, value: &str) {
    const HELP: &str = "remove it: the host makes a new one for each start";
    let expanded_later = value.contains('%');
    let fits = value.trim() == value && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if value.is_empty() || (!fits && !expanded_later) {
        ctx.error(child.at, "this ASPNETCORE_TOKEN can't be a token: it must be visible ASCII and not empty", HELP);
        return;
    }
    let what = "a fixed ASPNETCORE_TOKEN is honoured, but everyone who can read this file can speak for the host";
    ctx.warn(child.at, what, HELP);
}

pub(super) fn pair(ctx: &mut Context<'_>, child: &Element) -> Option<(String, String)> {
    ctx.check_attributes(child, &["name", "value"]);
    for nested in &child.children {
        ctx.unknown_child(nested, &child.name, &[]);
    }
    ctx.stray_text(child);
    let (name, value) = (child.value("name"), child.value("value"));
    match (name, value) {
        (Some(name), Some(value)) if !name.is_empty() => Some((name.to_owned(), value.to_owned())),
        _ => {
            let missing = if name.is_none_or(str::is_empty) { "name" } else { "value" };
            let what = format!("`<{}>` has no {missing}", child.name);
            ctx.error(child.at, what, format!("write <{} name=\"NAME\" value=\"VALUE\" />", child.name));
            None
        }
    }
}

fn recycle(ctx: &mut Context<'_>, list: &Element, into: &mut Vec<Spanned<String>>) {
    ctx.check_attributes(list, &[]);
    ctx.stray_text(list);
    for child in ctx.children(list) {
        match child.name.as_str() {
            "file" => {
                ctx.check_attributes(child, &["path"]);
                if let Some(path) = watched(ctx, child)
                    && !into.iter().any(|other| other.value == path.value)
                {
                    into.push(path);
                }
            }
            "clear" => into.clear(),
            _ => ctx.unknown_child(child, "recycleOnFileChange", &["file", "clear"]),
        }
    }
}

/// A path that is watched: it may hold `%NAME%`, and may be outside the app's folder.
fn watched(ctx: &mut Context<'_>, child: &Element) -> Option<Spanned<String>> {
    let at = ctx.position(child.at);
    let Some(path) = child.value("path").filter(|path| !path.trim().is_empty()) else {
        ctx.error(child.at, "`<file>` has no path", "write <file path=\".\\app.jar\" />");
        return None;
    };
    if path.contains(['*', '?']) {
        let what = format!("<file path=\"{path}\">: recycleOnFileChange names single files, without wildcards");
        ctx.error(
            child.at,
            what,
            "name the file, or write the pattern into plugins.toml:\n[host.backend] watch = [\"*.dll\"]",
        );
        return None;
    }
    Some(Spanned::new(path.to_owned(), at))
}
