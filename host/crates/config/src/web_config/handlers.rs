//! `handlers`: the ordered list that decides where a request goes.

use super::Context;
use super::values::{boolean, number, word};
use crate::source::{Position, Setting};
use crate::xml::Element;
use serde::Serialize;

/// Who answers what a mapping selects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// One of ours: the request goes to the application.
    Backend,
    /// `StaticFileModule` and its companions: files of the site, which are not served here.
    Static,
    /// IIS's answers to OPTIONS and TRACE.
    Protocol,
    /// Another module, by its name.
    Foreign(String),
}

/// What must lie on disk under the request's path (`resourceType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Resource {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// One of both.
    Either,
    /// Nobody looks.
    Unspecified,
}

/// The right that a mapping needs (`requireAccess`), each including the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Access {
    /// None.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Script.
    Script,
    /// Execute.
    Execute,
}

impl Access {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Script => "Script",
            Self::Execute => "Execute",
        }
    }
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handler {
    /// Its name, unique with case.
    pub name: String,
    /// Path pattern.
    pub path: String,
    /// Verbs; empty = all (`*`).
    pub verbs: Vec<String>,
    /// Who answers.
    pub module: Module,
    /// The value of `modules` as written.
    pub modules: String,
    /// What must lie on disk. Default unspecified.
    pub resource: Resource,
    /// The right it needs. Default script.
    pub access: Access,
    /// The file part may be followed by more path. Default false.
    pub allow_path_info: bool,
    /// False if its preCondition does not hold here: it is skipped.
    pub active: bool,
    /// Where it is written; `None` = inherited from the server.
    pub at: Option<Position>,
}

/// The effective list of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handlers {
    /// In order of matching.
    pub list: Vec<Handler>,
    /// `accessPolicy`: flags that are granted. Default Read, Script.
    pub access_policy: Setting<Vec<Access>>,
}

const ATTRIBUTES: [&str; 11] = [
    "name",
    "path",
    "verb",
    "modules",
    "type",
    "scriptProcessor",
    "preCondition",
    "resourceType",
    "requireAccess",
    "allowPathInfo",
    "responseBufferLimit",
];
const OURS: [&str; 3] = ["AspNetCoreModule", "AspNetCoreModuleV2", "httpPlatformHandler"];
const STATIC: [&str; 3] = ["StaticFileModule", "DefaultDocumentModule", "DirectoryListingModule"];
const POLICIES: [&str; 10] = [
    "None",
    "Read",
    "Write",
    "Execute",
    "Source",
    "Script",
    "NoRemoteWrite",
    "NoRemoteRead",
    "NoRemoteExecute",
    "NoRemoteScript",
];
/// Preconditions and whether they hold in a 64-bit host without managed modules.
const PRE_CONDITIONS: [(&str, bool); 11] = [
    ("integratedMode", true),
    ("classicMode", false),
    ("ISAPIMode", false),
    ("bitness64", true),
    ("bitness32", false),
    ("runtimeVersionv1.1", false),
    ("runtimeVersionv2.0", false),
    ("runtimeVersionv4.0", false),
    ("runtimeVersion", false),
    ("managedHandler", false),
    ("appPoolName", false),
];

impl Handlers {
    /// The stock mappings of a server that stay behind a file's own.
    pub(super) fn stock() -> Self {
        let stock =
            |name: &str, verbs: &[&str], module: Module, modules: &str, resource: Resource, access: Access| Handler {
                name: name.to_owned(),
                path: "*".to_owned(),
                verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
                module,
                modules: modules.to_owned(),
                resource,
                access,
                allow_path_info: false,
                active: true,
                at: None,
            };
        let protocol = "ProtocolSupportModule";
        let files = "StaticFileModule,DefaultDocumentModule,DirectoryListingModule";
        Self {
            list: vec![
                stock("TRACEVerbHandler", &["TRACE"], Module::Protocol, protocol, Resource::Unspecified, Access::None),
                stock(
                    "OPTIONSVerbHandler",
                    &["OPTIONS"],
                    Module::Protocol,
                    protocol,
                    Resource::Unspecified,
                    Access::None,
                ),
                stock("StaticFile", &[], Module::Static, files, Resource::Either, Access::Read),
            ],
            access_policy: Setting::default_value(vec![Access::Read, Access::Script]),
        }
    }

    /// Applies one `handlers` section on top of what is inherited.
    pub(super) fn apply(&mut self, ctx: &mut Context<'_>, section: &Element) {
        ctx.check_attributes(section, &["accessPolicy"]);
        ctx.mappings_broken |= section.attribute("configSource").is_some();
        ctx.stray_text(section);
        self.policy(ctx, section);
        // A file's own entries come before the inherited ones, in their own order.
        let mut own: Vec<Handler> = Vec::new();
        for child in ctx.children(section) {
            match child.name.as_str() {
                "add" => {
                    let Some(handler) = add(ctx, child) else {
                        ctx.mappings_broken = true;
                        continue;
                    };
                    let same = own.iter().chain(&self.list).find(|other| other.name == handler.name);
                    if let Some(other) = same {
                        duplicate(ctx, child, &handler.name, other.at);
                    } else {
                        own.push(handler);
                    }
                }
                "remove" => {
                    ctx.check_attributes(child, &["name"]);
                    let Some(name) = child.value("name") else {
                        ctx.error(child.at, "`<remove>` has no name", "write <remove name=\"...\" />");
                        continue;
                    };
                    own.retain(|handler| handler.name != name);
                    self.list.retain(|handler| handler.name != name);
                }
                "clear" => {
                    ctx.check_attributes(child, &[]);
                    own.clear();
                    self.list.clear();
                }
                _ => ctx.unknown_child(child, "handlers", &["add", "remove", "clear"]),
            }
        }
        own.append(&mut self.list);
        self.list = own;
    }

    /// Flags; words that no mapping here can need are known and change nothing.
    fn policy(&mut self, ctx: &mut Context<'_>, section: &Element) {
        let Some(attribute) = section.attribute("accessPolicy") else { return };
        let mut granted = Vec::new();
        for flag in attribute.value.split(',').map(str::trim).filter(|flag| !flag.is_empty()) {
            match POLICIES.iter().find(|known| known.eq_ignore_ascii_case(flag)) {
                Some(&"Read") => granted.push(Access::Read),
                Some(&"Write") => granted.push(Access::Write),
                Some(&"Execute") => granted.push(Access::Execute),
                Some(&"Script") => granted.push(Access::Script),
                Some(known) if known.starts_with("NoRemote") => {
                    let what =
                        format!("accessPolicy flag `{known}` is not applied by Gatelodge: remote clients would get in");
                    ctx.error(attribute.value_at, what, "remove the flag");
                }
                Some(_) => {}
                None => {
                    let what = format!("accessPolicy flag `{flag}` is not known");
                    ctx.error(attribute.value_at, what, crate::error::did_you_mean(flag, &POLICIES));
                }
            }
        }
        self.access_policy = Setting::set(granted, ctx.position(attribute.at));
    }

    /// True if the policy grants what a mapping needs.
    #[must_use]
    pub fn grants(&self, access: Access) -> bool {
        access == Access::None
            || self.access_policy.value.contains(&access)
            || (access == Access::Script && self.access_policy.value.contains(&Access::Execute))
    }
}

fn duplicate(ctx: &mut Context<'_>, child: &Element, name: &str, other: Option<Position>) {
    let place = match other {
        Some(at) => format!("in line {} already", at.line),
        None => "among the server's own mappings already".to_owned(),
    };
    let what = format!("a handler named `{name}` is {place}");
    ctx.error(child.at, what, format!("write <remove name=\"{name}\" /> before it, or give it another name"));
}

fn add(ctx: &mut Context<'_>, element: &Element) -> Option<Handler> {
    ctx.check_attributes(element, &ATTRIBUTES);
    for child in &element.children {
        ctx.unknown_child(child, "add", &[]);
    }
    let mut required = |name: &str| {
        let value = element.value(name).filter(|value| !value.trim().is_empty());
        if value.is_none() {
            let what = format!("a handler needs {name}=\"...\"");
            let help = "write <add name=\"aspNetCore\" path=\"*\" verb=\"*\" modules=\"AspNetCoreModuleV2\" />";
            ctx.error(element.at, what, help);
        }
        value.map(str::to_owned)
    };
    let (name, path, verb) = (required("name"), required("path"), required("verb"));
    let resource = match word(ctx, element, "resourceType", &["File", "Directory", "Either", "Unspecified"]) {
        Some(0) => Resource::File,
        Some(1) => Resource::Directory,
        Some(2) => Resource::Either,
        _ => Resource::Unspecified,
    };
    let access = match word(ctx, element, "requireAccess", &["None", "Read", "Write", "Script", "Execute"]) {
        Some(0) => Access::None,
        Some(1) => Access::Read,
        Some(2) => Access::Write,
        Some(4) => Access::Execute,
        _ => Access::Script,
    };
    let allow_path_info = boolean(ctx, element, "allowPathInfo", false).value;
    let buffer = number(ctx, element, ("responseBufferLimit", "bytes"), &(0..=u32::MAX), 4_194_304);
    if let Some(at) = buffer.at {
        ctx.report.warn_at(at, "responseBufferLimit has no effect: responses are streamed", "");
    }
    let modules = element.value("modules").unwrap_or("ManagedPipelineHandler").to_owned();
    let active = pre_condition(ctx, element);
    let verb = verb?;
    let verbs = verb_list(&verb);
    let handler = Handler {
        name: name?,
        path: path?,
        verbs,
        module: module(ctx, element, &modules),
        modules,
        resource,
        access,
        allow_path_info,
        active,
        at: Some(ctx.position(element.at)),
    };
    let what = if !handler.active {
        format!("handler `{}` is skipped: its preCondition does not hold here", handler.name)
    } else if handler.module != Module::Backend {
        format!(
            "handler `{}` hands `{}` to {}, which Gatelodge does not have: such requests get 404",
            handler.name, handler.path, handler.modules
        )
    } else {
        return Some(handler);
    };
    ctx.warn(element.at, what, "");
    Some(handler)
}

/// Verbs of a comma list; empty for all.
fn verb_list(verb: &str) -> Vec<String> {
    let verbs: Vec<String> =
        verb.split(',').map(str::trim).filter(|verb| !verb.is_empty()).map(str::to_owned).collect();
    match verbs.as_slice() {
        // A list of nothing must not turn into "all".
        [] => vec![verb.to_owned()],
        list if list.iter().any(|verb| verb == "*") => Vec::new(),
        _ => verbs,
    }
}

fn module(ctx: &mut Context<'_>, element: &Element, modules: &str) -> Module {
    let names: Vec<&str> = modules.split(',').map(str::trim).collect();
    let among = |known: &[&str]| names.iter().any(|name| known.iter().any(|known| known.eq_ignore_ascii_case(name)));
    if among(&OURS) {
        return Module::Backend;
    }
    if among(&STATIC) {
        return Module::Static;
    }
    if among(&["ProtocolSupportModule"]) {
        return Module::Protocol;
    }
    // A slip in one of our names would turn the whole app into 404s.
    let near = crate::error::nearest(modules, OURS)
        .filter(|near| strsim::levenshtein(&near.to_ascii_lowercase(), &modules.to_ascii_lowercase()) <= 3);
    if let (Some(near), Some(attribute)) = (near, element.attribute("modules")) {
        let what = format!("module `{modules}` is not known");
        ctx.error(attribute.value_at, what, format!("did you mean `{near}`?"));
        ctx.mappings_broken = true;
    }
    Module::Foreign(modules.to_owned())
}

fn pre_condition(ctx: &mut Context<'_>, element: &Element) -> bool {
    let Some(attribute) = element.attribute("preCondition") else { return true };
    let mut active = true;
    for condition in attribute.value.split(',').map(str::trim).filter(|condition| !condition.is_empty()) {
        // `runtimeVersionv4.0` and `appPoolName=...` are open sets.
        let known = PRE_CONDITIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(condition)).or_else(|| {
            PRE_CONDITIONS
                .iter()
                .find(|(known, _)| matches!(*known, "runtimeVersion" | "appPoolName") && condition.starts_with(known))
        });
        match known {
            Some((_, met)) => active &= met,
            None => {
                let names: Vec<&str> = PRE_CONDITIONS.iter().map(|(known, _)| *known).collect();
                let what = format!("preCondition `{condition}` is not known");
                ctx.error(attribute.value_at, what, crate::error::did_you_mean(condition, &names));
            }
        }
    }
    active
}
