//! `location` and inheritance: which settings hold at which path, and which
//! section runs the application.

use super::backend::{self, Section};
use super::handlers::Module;
use super::sections::{self, APPLIED};
use super::{Context, Location, SMALLEST, Scope, WebConfig};
use crate::source::{Source, Spanned};
use crate::xml::Element;

/// Most different paths of `location` elements.
pub(super) const LOCATIONS_MAX: usize = 256;

/// What to write for an app that iisnode ran.
const SMALLEST_NODE: &str = r#"<add name="app" path="*" verb="*" modules="httpPlatformHandler" />
<httpPlatform processPath="node" arguments="server.js">
  <environmentVariables>
    <environmentVariable name="PORT" value="%HTTP_PLATFORM_PORT%" />
  </environmentVariables>
</httpPlatform>"#;

/// One `system.webServer` and the path it speaks about.
struct Part<'e> {
    /// Path segments, lower case; none = the application itself.
    segments: Vec<String>,
    /// The path as written, and the place of its `location`.
    shown: String,
    at: usize,
    web_server: &'e Element,
}

/// Reads all of `configuration`.
pub(super) fn resolve(ctx: &mut Context<'_>, source: &Source, root: &Element) -> Option<WebConfig> {
    ctx.check_attributes(root, &[]);
    ctx.stray_text(root);
    let parts = parts(ctx, root);
    let mut top = Scope::stock();
    let mut runners: Vec<(Section, &Element)> = Vec::new();
    for part in parts.iter().filter(|part| part.segments.is_empty()) {
        apply(ctx, &mut top, part.web_server);
        runners.extend(runners_of(part.web_server));
    }
    let locations = below(ctx, &parts, &top);
    let elsewhere = parts.iter().any(|part| !part.segments.is_empty() && runners_of(part.web_server).next().is_some());
    let chosen = choose(ctx, &runners, &top);
    if runners.is_empty() && !elsewhere {
        nothing_to_run(ctx, root, &top);
    }
    let backend = chosen.and_then(|(section, element)| backend::read(ctx, section, element));
    if let Some((_, element)) = chosen.filter(|_| !ctx.mappings_broken) {
        reachable(ctx, element, &top, &locations);
    }
    Some(WebConfig { path: source.path().to_owned(), backend: backend?, root: top, locations })
}

fn parts<'e>(ctx: &mut Context<'_>, root: &'e Element) -> Vec<Part<'e>> {
    let mut parts = Vec::new();
    for child in &root.children {
        match child.name.as_str() {
            "system.webServer" => {
                parts.push(Part { segments: Vec::new(), shown: String::new(), at: child.at, web_server: child });
            }
            "location" => location(ctx, child, &mut parts),
            _ => sections::outside(ctx, child),
        }
    }
    parts
}

fn location<'e>(ctx: &mut Context<'_>, element: &'e Element, parts: &mut Vec<Part<'e>>) {
    ctx.check_attributes(element, &["path", "inheritInChildApplications", "allowOverride", "overrideMode"]);
    // There are no child applications and no files below that could override: both are read and change nothing.
    for name in ["inheritInChildApplications", "allowOverride"] {
        let _checked = super::values::boolean(ctx, element, name, true);
    }
    let _checked = super::values::word(ctx, element, "overrideMode", &["Allow", "Deny", "Inherit"]);
    let path = element.value("path").unwrap_or_default();
    let segments: Vec<String> = path
        .split(['/', '\\'])
        .filter(|segment| !segment.is_empty() && *segment != ".")
        .map(str::to_lowercase)
        .collect();
    if segments.iter().any(|segment| segment == "..") {
        ctx.error(
            element.at,
            format!("location path `{path}` leaves the application"),
            "name a path below it, such as path=\"api\"",
        );
        return;
    }
    if path.contains(['*', '?']) {
        let what = format!("location path `{path}` holds a wildcard, which has no meaning there");
        ctx.error(element.at, what, "name a folder or a file; patterns belong into <handlers>");
        return;
    }
    let shown = path.trim_matches(['/', '\\']).replace('\\', "/");
    for child in &element.children {
        match child.name.as_str() {
            "system.webServer" => {
                parts.push(Part {
                    segments: segments.clone(),
                    shown: shown.clone(),
                    at: element.at,
                    web_server: child,
                });
            }
            "location" => ctx.error(
                child.at,
                "a `<location>` can't stand inside another",
                "give it the whole path and put it beside the other one",
            ),
            _ => sections::outside(ctx, child),
        }
    }
}

/// Applies one `system.webServer` to a scope.
fn apply(ctx: &mut Context<'_>, scope: &mut Scope, web_server: &Element) {
    ctx.check_attributes(web_server, &[]);
    ctx.stray_text(web_server);
    for section in &web_server.children {
        match section.name.as_str() {
            "handlers" => scope.handlers.apply(ctx, section),
            "security" => sections::security(ctx, scope, section),
            name if APPLIED.contains(&name) => {}
            _ => sections::beside(ctx, section),
        }
    }
}

fn runners_of(web_server: &Element) -> impl Iterator<Item = (Section, &Element)> {
    web_server.children.iter().filter_map(|child| match child.name.as_str() {
        "aspNetCore" => Some((Section::AspNetCore, child)),
        "httpPlatform" => Some((Section::HttpPlatform, child)),
        _ => None,
    })
}

/// Locations with a path: each starts from the nearest one above it.
fn below(ctx: &mut Context<'_>, parts: &[Part<'_>], top: &Scope) -> Vec<Location> {
    let mut below: Vec<&Part<'_>> = parts.iter().filter(|part| !part.segments.is_empty()).collect();
    below.sort_by_key(|part| part.segments.len());
    let mut done: Vec<(Vec<String>, Location)> = Vec::new();
    for part in below {
        for (section, element) in runners_of(part.web_server) {
            let what =
                format!("`<{}>` below location `{}`: one host runs one application", section.as_str(), part.shown);
            let help = format!("put it at the top, or run a second host for it with --path-base /{}", part.shown);
            ctx.error(element.at, what, help);
        }
        let known = done.iter_mut().find(|(segments, _)| *segments == part.segments);
        if let Some((_, location)) = known {
            apply(ctx, &mut location.scope, part.web_server);
            continue;
        }
        if done.len() >= LOCATIONS_MAX {
            ctx.error(part.at, format!("more than {LOCATIONS_MAX} locations"), "");
            break;
        }
        let above = done
            .iter()
            .filter(|(segments, _)| part.segments.starts_with(segments))
            .max_by_key(|(segments, _)| segments.len());
        let mut scope = above.map_or(top, |(_, location)| &location.scope).clone();
        apply(ctx, &mut scope, part.web_server);
        let path = Spanned::new(part.shown.clone(), ctx.position(part.at));
        done.push((part.segments.clone(), Location { path, scope }));
    }
    done.into_iter().map(|(_, location)| location).collect()
}

/// The section that runs the application: the one that exists, or of two the
/// one that the first mapping names.
fn choose<'e>(
    ctx: &mut Context<'_>,
    runners: &[(Section, &'e Element)],
    top: &Scope,
) -> Option<(Section, &'e Element)> {
    let first = *runners.first()?;
    let mut other = None;
    for (section, element) in runners.iter().skip(1) {
        let twin = runners.iter().find(|(earlier, _)| earlier == section);
        match twin {
            Some((_, earlier)) if earlier.at != element.at => {
                let line = ctx.position(earlier.at).line;
                let what = format!("`<{}>` is in line {line} already", section.as_str());
                ctx.error(element.at, what, "keep one of them");
            }
            _ => other = Some((*section, *element)),
        }
    }
    let Some(other) = other else { return Some(first) };
    let mapped = top.handlers.list.iter().find(|handler| handler.module == Module::Backend);
    // Without any mapping the file is refused as one of 404s.
    let Some(mapped) = mapped else { return Some(first) };
    let platform = mapped.modules.to_ascii_lowercase().contains("httpplatformhandler");
    let wanted = if platform { Section::HttpPlatform } else { Section::AspNetCore };
    let (chosen, left) = if first.0 == wanted { (first, other) } else { (other, first) };
    let what = format!("`<{}>` is not used: handler `{}` names {}", left.0.as_str(), mapped.name, mapped.modules);
    ctx.warn(left.1.at, what, "");
    Some(chosen)
}

fn nothing_to_run(ctx: &mut Context<'_>, root: &Element, top: &Scope) {
    let mapped = top.handlers.list.iter().find(|handler| handler.module == Module::Backend);
    let what = match mapped {
        Some(handler) => {
            format!("handler `{}` needs an `<aspNetCore>` or `<httpPlatform>` section, and there is none", handler.name)
        }
        None => "nothing to run: there is no `<aspNetCore>` and no `<httpPlatform>` section".to_owned(),
    };
    let at = mapped.and_then(|handler| handler.at).unwrap_or_else(|| ctx.position(root.at));
    let node = top.handlers.list.iter().any(|handler| handler.modules.eq_ignore_ascii_case("iisnode"));
    let help = if node {
        format!("a Node app runs without iisnode:\n{SMALLEST_NODE}")
    } else {
        format!("the smallest web.config is:\n{SMALLEST}")
    };
    ctx.report.error_at(at, what, help);
}

/// A backend that no mapping selects would be a site of 404s.
fn reachable(ctx: &mut Context<'_>, element: &Element, top: &Scope, locations: &[Location]) {
    let mut scopes = std::iter::once(top).chain(locations.iter().map(|location| &location.scope));
    if !scopes
        .any(|scope| scope.handlers.list.iter().any(|handler| handler.active && handler.module == Module::Backend))
    {
        let module = if element.name == "httpPlatform" { "httpPlatformHandler" } else { "AspNetCoreModuleV2" };
        let what = "no handler mapping selects the app: every request would get 404";
        let help = format!("write into <handlers>: <add name=\"app\" path=\"*\" verb=\"*\" modules=\"{module}\" />");
        ctx.error(element.at, what, help);
    }
}
