//! The sections beside ours: harmless ones get a warning, those that decide
//! about access are refused, and none is skipped in silence.

use super::values::boolean;
use super::{Context, Scope};
use crate::error::nearest;
use crate::xml::Element;

/// Value of `ASPNETCORE_IIS_HTTPAUTH`: Gatelodge lets everyone in anonymously,
/// whatever a file that was accepted all the same asks for.
pub const HTTP_AUTH: &str = "anonymous;";

/// Sections of `system.webServer` that are read elsewhere in this room.
pub(super) const APPLIED: [&str; 4] = ["aspNetCore", "httpPlatform", "handlers", "security"];

/// Sections that can be left out without opening anything, and what happens instead.
const HARMLESS: [(&str, &str); 24] = [
    ("applicationInitialization", "not yet: the app starts with the first request"),
    ("asp", "there is no classic ASP"),
    ("caching", "responses are not cached"),
    ("cgi", "there is no CGI"),
    ("defaultDocument", "the app answers every path itself"),
    ("directoryBrowse", "directories are not listed"),
    ("diagnostics", "there is no such log"),
    ("fastCgi", "there is no FastCGI"),
    ("globalModules", "there are no IIS modules"),
    ("httpCompression", "responses go out as the app sends them"),
    ("httpErrors", "the app's error responses go out as they are"),
    ("httpLogging", "logs are set in plugins.toml: [host.log]"),
    ("httpTracing", "there is no such trace"),
    ("iisnode", "there is no iisnode; a Node app runs under <httpPlatform>"),
    ("management", "there is no remote management"),
    ("modules", "there are no IIS modules; plugins are listed in plugins.toml"),
    ("odbcLogging", "there is no such log"),
    ("proxy", "there is no request routing to other servers"),
    ("serverRuntime", "limits are set in plugins.toml: [host.limits]"),
    ("serverSideInclude", "there are no server-side includes"),
    ("staticContent", "no files are served; the app serves its own"),
    ("tracing", "there is no such trace"),
    ("urlCompression", "responses go out as the app sends them"),
    ("validation", "it concerns settings of ASP.NET"),
];

/// Sections with a judgement of their own.
const JUDGED: [&str; 6] = ["cors", "httpProtocol", "httpRedirect", "isapiFilters", "rewrite", "webSocket"];
/// `webdav` and its like: without them WebDAV does not exist, and nothing is opened.
const WEB_DAV: &str = "webdav";

const SECURITY: [&str; 8] = [
    "requestFiltering",
    "access",
    "applicationDependencies",
    "authentication",
    "authorization",
    "dynamicIpSecurity",
    "ipSecurity",
    "isapiCgiRestriction",
];

/// Sections of `configuration` that .NET and its tools read.
const OUTSIDE: [&str; 20] = [
    "appSettings",
    "configSections",
    "configProtectedData",
    "connectionStrings",
    "entityFramework",
    "runtime",
    "startup",
    "system.applicationHost",
    "system.codedom",
    "system.data",
    "system.diagnostics",
    "system.ftpServer",
    "system.identityModel",
    "system.net",
    "system.runtime.serialization",
    "system.serviceModel",
    "system.transactions",
    "system.web",
    "system.web.extensions",
    "system.xml",
];

/// Judges one child of `system.webServer` that [`APPLIED`] does not name.
pub(super) fn beside(ctx: &mut Context<'_>, element: &Element) {
    let name = element.name.as_str();
    if let Some(attribute) = element.attribute("configSource") {
        ctx.config_source(attribute.at, name);
        return;
    }
    if JUDGED.contains(&name) {
        judged(ctx, element);
        return;
    }
    if let Some((_, instead)) = HARMLESS.iter().find(|(known, _)| *known == name) {
        if !element.is_empty() && !switched_off(element) {
            ctx.warn(element.at, format!("`system.webServer/{name}` is not applied: {instead}"), "");
        }
        return;
    }
    if name == WEB_DAV {
        ctx.warn(element.at, "`system.webServer/webdav` is not applied: there is no WebDAV", "");
        return;
    }
    let path = format!("system.webServer/{name}");
    if ctx.accept.contains(&path) {
        ctx.refuse_unapplied(element.at, &path, "nobody here knows what it does");
        return;
    }
    let known = APPLIED.into_iter().chain(JUDGED).chain(HARMLESS.map(|(name, _)| name));
    let help = match nearest(name, known) {
        Some(near) => format!("did you mean `<{near}>`? Element names are case-sensitive"),
        None => format!("remove it, or accept it knowingly in plugins.toml:\n[host] accept_unapplied = [\"{path}\"]"),
    };
    ctx.error(element.at, format!("section `{path}` is not known"), help);
}

/// `enabled="false"` and nothing else: asks for what is the case anyway.
fn switched_off(element: &Element) -> bool {
    element.children.is_empty()
        && element.own_attributes().all(|attribute| attribute.name == "enabled" && is(&attribute.value, false))
}

fn is(value: &str, expected: bool) -> bool {
    value.eq_ignore_ascii_case(if expected { "true" } else { "false" })
}

/// A boolean; what is neither true nor false is refused and counts as the default.
fn flag(ctx: &mut Context<'_>, element: &Element, name: &str, default: bool) -> bool {
    boolean(ctx, element, name, default).value
}

fn child<'e>(element: &'e Element, name: &str) -> Option<&'e Element> {
    element.children.iter().find(|child| child.name == name)
}

fn judged(ctx: &mut Context<'_>, element: &Element) {
    match element.name.as_str() {
        "rewrite" => rewrite(ctx, element),
        "httpRedirect" if flag(ctx, element, "enabled", false) => {
            ctx.refuse_unapplied(
                element.at,
                "system.webServer/httpRedirect",
                "requests would reach the app instead of being redirected",
            );
        }
        "isapiFilters" if child(element, "filter").is_some() => {
            ctx.refuse_unapplied(element.at, "system.webServer/isapiFilters", "a filter may decide who gets in");
        }
        "cors" if flag(ctx, element, "enabled", false) && flag(ctx, element, "failUnlistedOrigins", false) => {
            ctx.refuse_unapplied(element.at, "system.webServer/cors", "requests of unlisted origins would get in");
        }
        "cors" if !element.is_empty() => {
            ctx.warn(
                element.at,
                "`system.webServer/cors` is not applied: browsers get the CORS fields that the app sends",
                "",
            );
        }
        "httpProtocol" => http_protocol(ctx, element),
        "webSocket" if flag(ctx, element, "enabled", true) && !element.is_empty() => {
            ctx.warn(element.at, "not yet: `system.webServer/webSocket`; upgrades are not passed on", "");
        }
        _ => {}
    }
}

/// Rules decide; maps, allowed variables and conditions without a rule do nothing.
fn rewrite(ctx: &mut Context<'_>, element: &Element) {
    const CHILDREN: [&str; 6] =
        ["rules", "globalRules", "outboundRules", "rewriteMaps", "allowedServerVariables", "providers"];
    let mut active = false;
    for list in &element.children {
        if !CHILDREN.contains(&list.name.as_str()) {
            ctx.unknown_child(list, "rewrite", &CHILDREN);
        }
        if let Some(attribute) = list.attribute("configSource") {
            ctx.config_source(attribute.at, &list.name);
        }
        for rule in list.children.iter().filter(|rule| rule.name == "rule") {
            active |= flag(ctx, rule, "enabled", true);
        }
    }
    if active {
        let effect = "its rules (redirects, blocks, rewritten paths) do nothing";
        ctx.refuse_unapplied(element.at, "system.webServer/rewrite", effect);
    } else if !element.is_empty() {
        ctx.warn(element.at, "`system.webServer/rewrite` is not applied; it holds no active rule", "");
    }
}

/// We add no fields of our own, so `remove` and `clear` have nothing left to do.
fn http_protocol(ctx: &mut Context<'_>, element: &Element) {
    for list in &element.children {
        match list.name.as_str() {
            "customHeaders" | "redirectHeaders" => {
                let added: Vec<&str> = list
                    .children
                    .iter()
                    .filter(|entry| entry.name == "add")
                    .filter_map(|entry| entry.value("name"))
                    .collect();
                if !added.is_empty() {
                    let what = format!(
                        "not yet: `system.webServer/httpProtocol/{}`; responses go out without {}",
                        list.name,
                        added.join(", ")
                    );
                    ctx.warn(list.at, what, "let the app send them");
                }
                for entry in &list.children {
                    if !matches!(entry.name.as_str(), "add" | "remove" | "clear") {
                        ctx.unknown_child(entry, &list.name, &["add", "remove", "clear"]);
                    }
                }
            }
            _ => ctx.unknown_child(list, "httpProtocol", &["customHeaders", "redirectHeaders"]),
        }
    }
    if !flag(ctx, element, "allowKeepAlive", true) {
        ctx.warn(element.at, "allowKeepAlive=\"false\" is not applied: connections stay open", "");
    }
}

/// Reads `security`: request filtering is applied, the rest is judged.
pub(super) fn security(ctx: &mut Context<'_>, scope: &mut Scope, security: &Element) {
    ctx.check_attributes(security, &[]);
    ctx.stray_text(security);
    for element in &security.children {
        let path = format!("system.webServer/security/{}", element.name);
        if let Some(attribute) = element.attribute("configSource") {
            ctx.config_source(attribute.at, &element.name);
            continue;
        }
        match element.name.as_str() {
            "requestFiltering" => scope.filtering.apply(ctx, element),
            "access" => {
                let flags = element.value("sslFlags").unwrap_or_default().trim();
                if !flags.is_empty() && !flags.eq_ignore_ascii_case("None") {
                    let effect = "plain connections and clients without a certificate would get in";
                    ctx.refuse_unapplied(element.at, &path, effect);
                }
            }
            "authentication" => authentication(ctx, element),
            "authorization" => {
                if !element.children.iter().all(lets_everyone_in) {
                    ctx.refuse_unapplied(element.at, &path, "everyone would get in");
                }
            }
            "ipSecurity" => ip_security(ctx, element, &path),
            "dynamicIpSecurity" => dynamic_ip_security(ctx, element, &path),
            "applicationDependencies" | "isapiCgiRestriction" => {
                if !element.is_empty() {
                    let what = format!("`{path}` is not applied: there are no ISAPI and CGI programs");
                    ctx.warn(element.at, what, "");
                }
            }
            _ => {
                let help = crate::error::did_you_mean(&element.name, &SECURITY);
                ctx.error(element.at, format!("section `{path}` is not known"), help);
            }
        }
    }
}

/// `<add accessType="Allow" users="*" />`: what holds without the section.
fn lets_everyone_in(entry: &Element) -> bool {
    entry.name == "add"
        && entry.value("accessType") == Some("Allow")
        && entry.value("users") == Some("*")
        && entry.value("verbs").is_none_or(str::is_empty)
}

fn ip_security(ctx: &mut Context<'_>, element: &Element, path: &str) {
    let mut denies = !flag(ctx, element, "allowUnlisted", true);
    for entry in ctx.children(element) {
        match entry.name.as_str() {
            "add" => denies |= !flag(ctx, entry, "allowed", false),
            "remove" | "clear" => {}
            _ => ctx.unknown_child(entry, "ipSecurity", &["add", "remove", "clear"]),
        }
    }
    if denies {
        ctx.refuse_unapplied(element.at, path, "the addresses it denies would get in");
    }
}

fn dynamic_ip_security(ctx: &mut Context<'_>, element: &Element, path: &str) {
    const CHILDREN: [&str; 2] = ["denyByConcurrentRequests", "denyByRequestRate"];
    let mut limits = false;
    for limit in &element.children {
        if !CHILDREN.contains(&limit.name.as_str()) {
            ctx.unknown_child(limit, "dynamicIpSecurity", &CHILDREN);
        }
        limits |= flag(ctx, limit, "enabled", false);
    }
    if !limits {
        return;
    }
    if flag(ctx, element, "enableLoggingOnlyMode", false) {
        ctx.warn(element.at, format!("`{path}` is not applied; it only writes a log"), "");
    } else {
        ctx.refuse_unapplied(element.at, path, "clients that ask too often would get in");
    }
}

fn authentication(ctx: &mut Context<'_>, section: &Element) {
    for element in &section.children {
        let path = format!("system.webServer/security/authentication/{}", element.name);
        let anonymous = element.name == "anonymousAuthentication";
        let enabled = flag(ctx, element, "enabled", anonymous);
        if anonymous && !enabled {
            ctx.refuse_unapplied(element.at, &path, "everyone would get in without a name");
        } else if !anonymous && enabled {
            ctx.refuse_unapplied(element.at, &path, "nobody is asked who they are");
        }
    }
}

/// Judges a child of `configuration` that is not `system.webServer` or `location`.
pub(super) fn outside(ctx: &mut Context<'_>, element: &Element) {
    let name = element.name.as_str();
    let lists = element.children.iter().filter(|list| name == "system.web" && list.name == "authorization");
    for list in lists.filter(|list| child(list, "deny").is_some()) {
        ctx.refuse_unapplied(list.at, "system.web/authorization", "everyone would get in");
    }
    if OUTSIDE.contains(&name) {
        if !element.is_empty() {
            ctx.warn(element.at, format!("`{name}` is not read by Gatelodge: it is for .NET itself"), "");
        }
        return;
    }
    // A slip in the one name that matters must not hide the whole file.
    let ours = ["system.webServer", "location"];
    let slip = |known: &&str| strsim::levenshtein(&known.to_ascii_lowercase(), &name.to_ascii_lowercase()) <= 2;
    if let Some(known) = ours.iter().find(|known| slip(known)) {
        let what = format!("`<{name}>` is not known in `<configuration>`");
        ctx.error(element.at, what, format!("did you mean `<{known}>`? Element names are case-sensitive"));
        return;
    }
    if APPLIED.contains(&name) {
        let what = format!("`<{name}>` stands directly in `<configuration>`");
        ctx.error(element.at, what, "put it into <system.webServer>");
        return;
    }
    ctx.warn(element.at, format!("section `{name}` is not known and not read"), "");
}
