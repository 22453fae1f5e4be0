//! `aspNetCore` and `httpPlatform`: how the application is run.

use super::Context;
use super::values::{boolean, number, seconds};
use crate::source::{Position, Setting, Spanned};
use crate::xml::Element;
use serde::Serialize;
use std::collections::BTreeMap;

/// Which of the two sections runs the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Section {
    /// `aspNetCore`: paired, `ASPNETCORE_*` variables.
    #[serde(rename = "aspNetCore")]
    AspNetCore,
    /// `httpPlatform`: any program, `HTTP_PLATFORM_PORT`.
    #[serde(rename = "httpPlatform")]
    HttpPlatform,
}

impl Section {
    /// The element's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AspNetCore => "aspNetCore",
            Self::HttpPlatform => "httpPlatform",
        }
    }
}

/// The value of `hostingModel`. Both run out of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HostingModel {
    /// Asked for as such, or not said.
    OutOfProcess,
    /// Asked to be loaded into the server: runs as a process of its own all the same.
    InProcess,
}

/// One variable of the backend's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentVariable {
    /// Its name, as written; compared without case.
    pub name: String,
    /// Its value, `%NAME%` not expanded.
    pub value: String,
    /// Where it is written.
    #[serde(flatten)]
    pub at: Position,
}

/// One `handlerSetting`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandlerSetting {
    /// Its name, in the spelling of the documentation where it is a known one.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where it is written.
    #[serde(flatten)]
    pub at: Position,
}

/// How the application is run. Nothing in it is expanded.
#[derive(Clone, Debug, Serialize)]
pub struct Backend {
    /// Which section, and where.
    pub section: Spanned<Section>,
    /// The program. Never empty.
    pub process_path: Spanned<String>,
    /// Its arguments as one text. Default: empty.
    pub arguments: Setting<String>,
    /// How long one start may take, in seconds (0–3600). Default 120.
    pub startup_time_limit_s: Setting<u32>,
    /// `httpPlatform` v1: how often a failed start is repeated (0–100). Default 10.
    pub startup_retry_count: Setting<u32>,
    /// How long a graceful stop may take, in seconds (0–600). Default 10.
    pub shutdown_time_limit_s: Setting<u32>,
    /// Crashes within a minute after which starts stop for a while (0–100). Default 10.
    pub rapid_fails_per_minute: Setting<u32>,
    /// Longest wait for one read or write of the backend, in seconds; 0 = none. Default 120.
    pub request_timeout_s: Setting<u64>,
    /// Write the backend's output to files. Default false.
    pub stdout_log_enabled: Setting<bool>,
    /// Prefix of these files. Default `.\aspnetcore-stdout` or `.\httpplatform-stdout`.
    pub stdout_log_file: Setting<String>,
    /// Number of processes (1–100). Default 1.
    pub processes_per_application: Setting<u32>,
    /// Hand the caller's Windows identity over. Default true for `aspNetCore`, false for `httpPlatform`.
    pub forward_windows_auth_token: Setting<bool>,
    /// Answer a failed start with a bare 502. Default false.
    pub disable_start_up_error_page: Setting<bool>,
    /// What the file asked for. Default out of process.
    pub hosting_model: Setting<HostingModel>,
    /// Environment, names unique without case, the last one of a name.
    pub environment: Vec<EnvironmentVariable>,
    /// Settings of the handler, the first one of a name.
    pub handler_settings: Vec<HandlerSetting>,
    /// `processPath` or `arguments` hold `%LAUNCHER_PATH%` or `%LAUNCHER_ARGS%`.
    pub uses_launcher: bool,
}

const ASP_NET_CORE: [&str; 12] = [
    "processPath",
    "arguments",
    "startupTimeLimit",
    "shutdownTimeLimit",
    "rapidFailsPerMinute",
    "requestTimeout",
    "stdoutLogEnabled",
    "stdoutLogFile",
    "processesPerApplication",
    "forwardWindowsAuthToken",
    "disableStartUpErrorPage",
    "hostingModel",
];
const HTTP_PLATFORM: [&str; 10] = [
    "processPath",
    "arguments",
    "startupTimeLimit",
    "startupRetryCount",
    "rapidFailsPerMinute",
    "requestTimeout",
    "stdoutLogEnabled",
    "stdoutLogFile",
    "processesPerApplication",
    "forwardWindowsAuthToken",
];
const CHILDREN: [&str; 3] = ["environmentVariables", "handlerSettings", "recycleOnFileChange"];

/// Known handler settings and what is said about each; an empty text: it is applied.
const HANDLER_SETTINGS: [(&str, &str); 16] = [
    ("forwardResponseConnectionHeader", "not yet: the backend's `Connection` field is always removed"),
    ("enableOutOfProcessConsoleRedirection", ""),
    ("disallowRotationOnConfigChange", "not yet: a change of configuration is taken up by starting Gatelodge again"),
    ("shutdownDelay", "not yet: a stop begins at once"),
    ("debugFile", "a debug log of ANCM; Gatelodge's log is set in plugins.toml: [host.log] level = \"debug\""),
    ("debugLevel", "a debug log of ANCM; Gatelodge's log is set in plugins.toml: [host.log] level = \"debug\""),
    ("handlerVersion", "it picks a library of ANCM; Gatelodge has none"),
    ("enableShadowCopy", "not yet: the app's files are used in place"),
    ("experimentalEnableShadowCopy", "not yet: the app's files are used in place"),
    ("shadowCopyDirectory", "not yet: the app's files are used in place"),
    ("cleanShadowCopyDirectory", "not yet: the app's files are used in place"),
    ("stackSize", "it has an effect in-process only, and the app runs out of process"),
    ("callStartupHook", "it has an effect in-process only, and the app runs out of process"),
    ("setCurrentDirectory", "it has an effect in-process only; the working directory is always the app's folder"),
    ("suppressRecycleOnStartupTimeout", "it has an effect in-process only, and the app runs out of process"),
    ("enableFileWatcherLogging", "it belongs to ANCM's own log"),
];

/// Variables that the host computes itself: a value in the file never arrives.
const OVERWRITTEN: [&str; 4] = [
    "ASPNETCORE_APPL_PATH",
    "ASPNETCORE_IIS_HTTPAUTH",
    "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED",
    "ASPNETCORE_IIS_PHYSICAL_PATH",
];

/// Ports that `ASPNETCORE_PORT` may name (ANCM's MIN_PORT and MAX_PORT).
const PORTS: std::ops::RangeInclusive<u16> = 1025..=48000;

/// Reads the section. `None` if there is no program to run; then that is a problem.
pub(super) fn read(ctx: &mut Context<'_>, section: Section, element: &Element) -> Option<Backend> {
    let core = section == Section::AspNetCore;
    let known: &[&str] = if core { &ASP_NET_CORE } else { &HTTP_PLATFORM };
    ctx.check_attributes(element, known);
    let process_path = process_path(ctx, element);
    let (environment, handler_settings) = children(ctx, section, element);
    let stdout_default = if core { r".\aspnetcore-stdout" } else { r".\httpplatform-stdout" };
    let request_timeout_max = if core { 1_296_000 } else { 2_592_000 };
    let startup_retry_count = number(ctx, element, ("startupRetryCount", "repetitions"), &(0..=100), 10);
    if let Some(at) = startup_retry_count.at.filter(|_| !core) {
        let what = "not yet: startupRetryCount; a failed start is repeated once, then the request gets its answer";
        ctx.report.warn_at(at, what, "");
    }
    let processes_per_application = number(ctx, element, ("processesPerApplication", "processes"), &(1..=100), 1);
    if let Some(at) = processes_per_application.at.filter(|_| processes_per_application.value > 1) {
        let what =
            format!("not yet: processesPerApplication=\"{}\"; one process is started", processes_per_application.value);
        ctx.report.warn_at(at, what, "");
    }
    let forward_windows_auth_token = boolean(ctx, element, "forwardWindowsAuthToken", core);
    if let Some(at) = forward_windows_auth_token.at.filter(|_| forward_windows_auth_token.value) {
        ctx.report.warn_at(at, "not yet: forwardWindowsAuthToken; the app gets no Windows identity", "");
    }
    let uses_launcher = launcher(ctx, element);
    let backend = Backend {
        section: Spanned::new(section, ctx.position(element.at)),
        process_path: process_path.clone().unwrap_or_else(|| Spanned::new(String::new(), ctx.position(element.at))),
        arguments: text(ctx, element, "arguments", ""),
        startup_time_limit_s: number(ctx, element, ("startupTimeLimit", "seconds"), &(0..=3600), 120),
        startup_retry_count,
        shutdown_time_limit_s: number(ctx, element, ("shutdownTimeLimit", "seconds"), &(0..=600), 10),
        rapid_fails_per_minute: number(ctx, element, ("rapidFailsPerMinute", "crashes"), &(0..=100), 10),
        request_timeout_s: seconds(ctx, element, "requestTimeout", request_timeout_max, 120),
        stdout_log_enabled: boolean(ctx, element, "stdoutLogEnabled", false),
        stdout_log_file: text(ctx, element, "stdoutLogFile", stdout_default),
        processes_per_application,
        forward_windows_auth_token,
        disable_start_up_error_page: boolean(ctx, element, "disableStartUpErrorPage", false),
        hosting_model: hosting_model(ctx, element),
        environment,
        handler_settings,
        uses_launcher,
    };
    process_path.map(|_| backend)
}

fn text(ctx: &Context<'_>, element: &Element, name: &str, default: &str) -> Setting<String> {
    match element.attribute(name) {
        Some(attribute) => Setting::set(attribute.value.clone(), ctx.position(attribute.at)),
        None => Setting::default_value(default.to_owned()),
    }
}

fn process_path(ctx: &mut Context<'_>, element: &Element) -> Option<Spanned<String>> {
    let help =
        "write the program to start: processPath=\"dotnet\" arguments=\".\\App.dll\", or processPath=\".\\App.exe\"";
    match element.attribute("processPath") {
        Some(attribute) if !attribute.value.trim().is_empty() => {
            Some(Spanned::new(attribute.value.clone(), ctx.position(attribute.at)))
        }
        Some(attribute) => {
            ctx.error(attribute.value_at, "processPath is empty: there is no program to start", help);
            None
        }
        // The refusal of `configSource` tells why.
        None if element.attribute("configSource").is_some() => None,
        None => {
            let what = format!("`<{}>` has no processPath: there is no program to start", element.name);
            ctx.error(element.at, what, help);
            None
        }
    }
}

fn hosting_model(ctx: &mut Context<'_>, element: &Element) -> Setting<HostingModel> {
    let Some(attribute) = element.attribute("hostingModel") else {
        return Setting::default_value(HostingModel::OutOfProcess);
    };
    let at = ctx.position(attribute.at);
    match attribute.value.to_ascii_lowercase().as_str() {
        "" | "outofprocess" => Setting::set(HostingModel::OutOfProcess, at),
        "inprocess" => {
            let what = format!(
                "hostingModel=\"{}\": the app runs as a process of its own, with the same command line",
                attribute.value
            );
            ctx.warn(attribute.at, what, "");
            Setting::set(HostingModel::InProcess, at)
        }
        _ => {
            let what = format!("hostingModel=\"{}\" is not known", attribute.value);
            ctx.error(
                attribute.value_at,
                what,
                "write \"inprocess\" or \"outofprocess\"; both run out of process here",
            );
            Setting::set(HostingModel::OutOfProcess, at)
        }
    }
}

/// Finds what only Visual Studio fills in, and refuses it where nobody did.
fn launcher(ctx: &mut Context<'_>, element: &Element) -> bool {
    const PUBLISH: &str = "publish the app first (dotnet publish -o out) and run Gatelodge on its output,\nor set LAUNCHER_PATH and LAUNCHER_ARGS in the environment";
    let (mut uses, mut told) = (false, false);
    for name in ["processPath", "arguments"] {
        let Some(attribute) = element.attribute(name) else { continue };
        let upper = attribute.value.to_ascii_uppercase();
        let found = ["%LAUNCHER_PATH%", "%LAUNCHER_ARGS%"].into_iter().find(|variable| upper.contains(variable));
        let studio = ["VSIISEXELAUNCHER", "IISEXELAUNCHERARGS.TXT"].into_iter().any(|part| upper.contains(part));
        // One refusal tells all: the cure is the same.
        uses |= found.is_some();
        if told || ctx.facts.launcher_path.is_some() {
            continue;
        }
        if let Some(variable) = found {
            let what = format!("`{variable}` in {name}: this is the file of a source folder, not of a published app");
            ctx.error(attribute.value_at, what, PUBLISH);
            told = true;
        } else if studio {
            let what = format!(
                "{name} names the launcher of Visual Studio: this is the file of a source folder, not of a published app"
            );
            ctx.error(attribute.value_at, what, PUBLISH);
            told = true;
        }
    }
    uses
}

fn children(
    ctx: &mut Context<'_>,
    section: Section,
    element: &Element,
) -> (Vec<EnvironmentVariable>, Vec<HandlerSetting>) {
    let mut environment = BTreeMap::new();
    let mut settings: Vec<HandlerSetting> = Vec::new();
    for child in ctx.children(element) {
        match child.name.as_str() {
            "environmentVariables" => variables(ctx, section, child, &mut environment),
            "handlerSettings" => handler_settings(ctx, child, &mut settings),
            "recycleOnFileChange" => recycle(ctx, child),
            _ => ctx.unknown_child(child, &element.name, &CHILDREN),
        }
    }
    ctx.stray_text(element);
    let mut environment: Vec<EnvironmentVariable> = environment.into_values().collect();
    environment.sort_by_key(|variable: &EnvironmentVariable| variable.at);
    (environment, settings)
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

fn pair(ctx: &mut Context<'_>, child: &Element) -> Option<(String, String)> {
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

fn handler_settings(ctx: &mut Context<'_>, list: &Element, into: &mut Vec<HandlerSetting>) {
    ctx.check_attributes(list, &[]);
    for child in ctx.children(list) {
        match child.name.as_str() {
            "handlerSetting" => {
                if let Some((name, value)) = pair(ctx, child) {
                    let name = judge_setting(ctx, child, name);
                    let at = ctx.position(child.at);
                    // The first one of a name counts, as in ANCM.
                    if !into.iter().any(|other| other.name == name) {
                        into.push(HandlerSetting { name, value, at });
                    }
                }
            }
            "clear" => into.clear(),
            _ => ctx.unknown_child(child, "handlerSettings", &["handlerSetting", "clear"]),
        }
    }
}

fn judge_setting(ctx: &mut Context<'_>, child: &Element, name: String) -> String {
    let known = HANDLER_SETTINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
    let Some((known, note)) = known else {
        let names: Vec<&str> = HANDLER_SETTINGS.iter().map(|(known, _)| *known).collect();
        let what = format!("handlerSetting `{name}` is not known and has no effect");
        let near = crate::error::nearest(&name, names).map(|near| format!("did you mean `{near}`?"));
        ctx.warn(child.at, what, near);
        return name;
    };
    if !note.is_empty() {
        ctx.warn(child.at, format!("handlerSetting `{known}` has no effect: {note}"), "");
    }
    (*known).to_owned()
}

fn recycle(ctx: &mut Context<'_>, list: &Element) {
    ctx.check_attributes(list, &[]);
    for child in ctx.children(list) {
        match child.name.as_str() {
            "file" => {
                ctx.check_attributes(child, &["path"]);
                if child.value("path").is_none_or(str::is_empty) {
                    ctx.error(child.at, "`<file>` has no path", "write <file path=\".\\app.jar\" />");
                }
            }
            "clear" => {}
            _ => ctx.unknown_child(child, "recycleOnFileChange", &["file", "clear"]),
        }
    }
    if !list.children.is_empty() {
        ctx.warn(list.at, "not yet: recycleOnFileChange; a change of these files does not restart the app", "");
    }
}
