//! `security/requestFiltering`: what is refused before a handler is looked for.

use super::Context;
use super::values::{boolean, number};
use crate::source::{Position, Setting};
use crate::xml::Element;
use serde::Serialize;

/// Segments that are hidden without being named: the list of a server with ASP.NET.
pub(super) const HIDDEN_SEGMENTS: [&str; 8] = [
    "web.config",
    "bin",
    "App_code",
    "App_GlobalResources",
    "App_LocalResources",
    "App_WebReferences",
    "App_Data",
    "App_Browsers",
];

/// Sizes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestLimits {
    /// `maxAllowedContentLength`: most body bytes; more is 413. Default 30,000,000.
    pub body_bytes_max: Setting<u64>,
    /// `maxUrl`: longest path in bytes; longer is 404.14. Default 4096.
    pub path_bytes_max: Setting<u32>,
    /// `maxQueryString`: longest query in bytes; longer is 404.15. Default 2048.
    pub query_bytes_max: Setting<u32>,
}

/// One verb of `verbs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerbRule {
    /// The verb, with its case.
    pub verb: String,
    /// Let in, or refused with 404.6.
    pub allowed: bool,
    /// Where it is written.
    #[serde(flatten)]
    pub at: Position,
}

/// A path segment that is not served, under any spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HiddenSegment {
    /// The segment; compared without case.
    pub segment: String,
    /// Where it is written; `None` = by default.
    pub at: Option<Position>,
}

/// Request filtering of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filtering {
    /// Sizes.
    pub limits: RequestLimits,
    /// Refused with 404.8.
    pub hidden_segments: Vec<HiddenSegment>,
    /// Verbs not listed are let in. Default true.
    pub verbs_allow_unlisted: Setting<bool>,
    /// Verbs that are listed.
    pub verbs: Vec<VerbRule>,
    /// Paths that change when they are decoded twice are let in. Default false: 404.11.
    pub allow_double_escaping: Setting<bool>,
    /// Drop the backend's `Server` field. Default false.
    pub remove_server_header: Setting<bool>,
}

const CHILDREN: [&str; 9] = [
    "requestLimits",
    "hiddenSegments",
    "verbs",
    "fileExtensions",
    "denyUrlSequences",
    "denyQueryStringSequences",
    "alwaysAllowedUrls",
    "alwaysAllowedQueryStrings",
    "filteringRules",
];
const PATH: &str = "system.webServer/security/requestFiltering";

impl Filtering {
    pub(super) fn stock() -> Self {
        let hidden = |segment: &&str| HiddenSegment { segment: (*segment).to_owned(), at: None };
        Self {
            limits: RequestLimits {
                body_bytes_max: Setting::default_value(30_000_000),
                path_bytes_max: Setting::default_value(4096),
                query_bytes_max: Setting::default_value(2048),
            },
            hidden_segments: HIDDEN_SEGMENTS.iter().map(hidden).collect(),
            verbs_allow_unlisted: Setting::default_value(true),
            verbs: Vec::new(),
            allow_double_escaping: Setting::default_value(false),
            remove_server_header: Setting::default_value(false),
        }
    }

    /// Applies one `requestFiltering` section on top of what is inherited.
    pub(super) fn apply(&mut self, ctx: &mut Context<'_>, section: &Element) {
        ctx.check_attributes(
            section,
            &["allowDoubleEscaping", "allowHighBitCharacters", "removeServerHeader", "unescapeQueryString"],
        );
        ctx.stray_text(section);
        keep(&mut self.allow_double_escaping, boolean(ctx, section, "allowDoubleEscaping", false));
        keep(&mut self.remove_server_header, boolean(ctx, section, "removeServerHeader", false));
        let high = boolean(ctx, section, "allowHighBitCharacters", true);
        if !high.value {
            ctx.refuse_unapplied(
                section.at,
                &format!("{PATH}/allowHighBitCharacters"),
                "paths with other than ASCII characters would get in",
            );
        }
        let _checked = boolean(ctx, section, "unescapeQueryString", true);
        for child in &section.children {
            match child.name.as_str() {
                "requestLimits" => self.limits(ctx, child),
                "hiddenSegments" => self.hidden(ctx, child),
                "verbs" => self.verbs(ctx, child),
                "fileExtensions" => extensions(ctx, child),
                "denyUrlSequences" | "denyQueryStringSequences" | "filteringRules" => {
                    if child.children.iter().any(|entry| !matches!(entry.name.as_str(), "clear" | "remove")) {
                        ctx.refuse_unapplied(
                            child.at,
                            &format!("{PATH}/{}", child.name),
                            "what it denies would get in",
                        );
                    }
                }
                // They only make exceptions from rules that are not applied.
                "alwaysAllowedUrls" | "alwaysAllowedQueryStrings" => {
                    if !child.children.is_empty() {
                        ctx.warn(
                            child.at,
                            format!(
                                "`{PATH}/{}` has no effect: the rules it makes exceptions from are not applied",
                                child.name
                            ),
                            "",
                        );
                    }
                }
                _ => ctx.unknown_child(child, "requestFiltering", &CHILDREN),
            }
        }
    }

    fn limits(&mut self, ctx: &mut Context<'_>, element: &Element) {
        ctx.check_attributes(element, &["maxAllowedContentLength", "maxUrl", "maxQueryString"]);
        let limits = &mut self.limits;
        keep(
            &mut limits.body_bytes_max,
            number(ctx, element, ("maxAllowedContentLength", "bytes"), &(0..=u64::MAX), 30_000_000),
        );
        keep(&mut limits.path_bytes_max, number(ctx, element, ("maxUrl", "bytes"), &(0..=u32::MAX), 4096));
        keep(&mut limits.query_bytes_max, number(ctx, element, ("maxQueryString", "bytes"), &(0..=u32::MAX), 2048));
        for child in &element.children {
            if child.name != "headerLimits" {
                ctx.unknown_child(child, "requestLimits", &["headerLimits"]);
            } else if child.children.iter().any(|entry| entry.name == "add") {
                ctx.refuse_unapplied(
                    child.at,
                    &format!("{PATH}/requestLimits/headerLimits"),
                    "longer fields would get in",
                );
            }
        }
    }

    fn hidden(&mut self, ctx: &mut Context<'_>, list: &Element) {
        ctx.check_attributes(list, &["applyToWebDAV"]);
        for child in ctx.children(list) {
            if child.name == "clear" {
                self.hidden_segments.clear();
                continue;
            }
            if !matches!(child.name.as_str(), "add" | "remove") {
                ctx.unknown_child(child, "hiddenSegments", &["add", "remove", "clear"]);
                continue;
            }
            ctx.check_attributes(child, &["segment"]);
            let Some(segment) = child.value("segment").filter(|segment| !segment.is_empty()) else {
                let what = format!("`<{}>` has no segment", child.name);
                ctx.error(child.at, what, format!("write <{} segment=\"...\" />", child.name));
                continue;
            };
            if let Some(slash) = segment.find(['/', '\\']) {
                let what = format!("a hidden segment is one part of a path; `{segment}` has a slash at {}", slash + 1);
                ctx.error(child.at, what, "name a single folder or file");
                continue;
            }
            // The stock list differs from server to server: naming a segment of it again is no mistake.
            self.hidden_segments.retain(|other| other.segment.to_lowercase() != segment.to_lowercase());
            if child.name == "add" {
                let at = Some(ctx.position(child.at));
                self.hidden_segments.push(HiddenSegment { segment: segment.to_owned(), at });
            }
        }
    }

    fn verbs(&mut self, ctx: &mut Context<'_>, list: &Element) {
        ctx.check_attributes(list, &["allowUnlisted", "applyToWebDAV"]);
        keep(&mut self.verbs_allow_unlisted, boolean(ctx, list, "allowUnlisted", true));
        for child in ctx.children(list) {
            let known: &[&str] = match child.name.as_str() {
                "clear" => {
                    self.verbs.clear();
                    continue;
                }
                "add" => &["verb", "allowed"],
                "remove" => &["verb"],
                _ => {
                    ctx.unknown_child(child, "verbs", &["add", "remove", "clear"]);
                    continue;
                }
            };
            ctx.check_attributes(child, known);
            let Some(verb) = child.value("verb").filter(|verb| !verb.is_empty()) else {
                let what = format!("`<{}>` has no verb", child.name);
                ctx.error(child.at, what, format!("write <{} verb=\"TRACE\" ... />", child.name));
                continue;
            };
            if child.name == "remove" {
                self.verbs.retain(|rule| rule.verb != verb);
                continue;
            }
            if child.value("allowed").is_none() {
                ctx.error(
                    child.at,
                    "`<add>` does not say whether the verb is allowed",
                    "write allowed=\"true\" or allowed=\"false\"",
                );
            }
            let allowed = boolean(ctx, child, "allowed", false).value;
            if let Some(other) = self.verbs.iter().find(|rule| rule.verb == verb) {
                let what = format!("verb `{verb}` is listed in line {} already", other.at.line);
                ctx.error(child.at, what, "keep one of them");
                continue;
            }
            let at = ctx.position(child.at);
            self.verbs.push(VerbRule { verb: verb.to_owned(), allowed, at });
        }
    }
}

/// What a section sets replaces what was inherited; what it leaves out stays.
fn keep<T>(setting: &mut Setting<T>, read: Setting<T>) {
    if read.at.is_some() {
        *setting = read;
    }
}

fn extensions(ctx: &mut Context<'_>, list: &Element) {
    ctx.check_attributes(list, &["allowUnlisted", "applyToWebDAV"]);
    let unlisted = boolean(ctx, list, "allowUnlisted", true).value;
    let mut denies = !unlisted;
    for child in ctx.children(list) {
        match child.name.as_str() {
            "add" => {
                ctx.check_attributes(child, &["fileExtension", "allowed"]);
                denies |= !boolean(ctx, child, "allowed", false).value;
            }
            "remove" => ctx.check_attributes(child, &["fileExtension"]),
            "clear" => {}
            _ => ctx.unknown_child(child, "fileExtensions", &["add", "remove", "clear"]),
        }
    }
    if denies {
        ctx.refuse_unapplied(list.at, &format!("{PATH}/fileExtensions"), "the extensions it denies would get in");
    }
}
