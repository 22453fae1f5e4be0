//! `aspNetCore` and `httpPlatform`: how the application is run.

mod children;
mod settings;

use super::Context;
use super::values::{boolean, number, seconds};
use crate::source::{Position, Setting, Spanned};
use crate::xml::Element;
use children::Children;
use serde::Serialize;

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
    /// `httpPlatform`: how often a failed start is repeated (0–100). Default 1, which is
    /// what ANCM does for `aspNetCore`, where this can't be written; Microsoft's own
    /// httpPlatformHandler has 10. See [`Backend::attempts_max`].
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
    /// Number of processes (1–100). Default 1. `[host.backend] instances` goes before it,
    /// see [`crate::Document::instances`].
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
    /// Handler setting `enableOutOfProcessConsoleRedirection`: false = the app's output
    /// goes nowhere. Default true.
    pub console_redirection: Setting<bool>,
    /// Handler setting `disallowRotationOnConfigChange`: a changed configuration does not
    /// replace the app. Default false.
    pub disallow_rotation_on_config_change: Setting<bool>,
    /// Handler setting `shutdownDelay`: how long before a stop requests are still taken, in
    /// ms (0–600,000). Default 0, ANCM's is 1000: it bridges the time in which IIS still
    /// sends requests to a worker that ends. Here nothing comes after the listeners are
    /// closed, and what runs has `drain_ms_max` in any case.
    pub shutdown_delay_ms: Setting<u64>,
    /// `recycleOnFileChange`: files whose change replaces the app, as written: relative to
    /// the app's folder, `%NAME%` not expanded, backslashes as they stand. Default none.
    pub recycle_files: Vec<Spanned<String>>,
    /// `processPath` or `arguments` hold `%LAUNCHER_PATH%` or `%LAUNCHER_ARGS%`.
    pub uses_launcher: bool,
}

impl Backend {
    /// How often a start is tried for one request, at least once.
    #[must_use]
    pub fn attempts_max(&self) -> u32 {
        self.startup_retry_count.value.saturating_add(1)
    }

    /// The variable that fixes the port, if one does. A value with `%` counts: whatever
    /// it stands for is the same for every process.
    #[must_use]
    pub fn fixed_port(&self) -> Option<&EnvironmentVariable> {
        let name = match self.section.value {
            Section::AspNetCore => "ASPNETCORE_PORT",
            Section::HttpPlatform => "HTTP_PLATFORM_PORT",
        };
        self.environment.iter().find(|variable| variable.name.eq_ignore_ascii_case(name) && !variable.value.is_empty())
    }
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

/// Reads the section. `None` if there is no program to run; then that is a problem.
pub(super) fn read(ctx: &mut Context<'_>, section: Section, element: &Element) -> Option<Backend> {
    let core = section == Section::AspNetCore;
    let known: &[&str] = if core { &ASP_NET_CORE } else { &HTTP_PLATFORM };
    ctx.check_attributes(element, known);
    let process_path = process_path(ctx, element);
    let Children { environment, handler_settings, recycle_files } = children::read(ctx, section, element);
    let stdout_default = if core { r".\aspnetcore-stdout" } else { r".\httpplatform-stdout" };
    let request_timeout_max = if core { 1_296_000 } else { 2_592_000 };
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
        startup_retry_count: number(ctx, element, ("startupRetryCount", "repetitions"), &(0..=100), 1),
        shutdown_time_limit_s: number(ctx, element, ("shutdownTimeLimit", "seconds"), &(0..=600), 10),
        rapid_fails_per_minute: number(ctx, element, ("rapidFailsPerMinute", "crashes"), &(0..=100), 10),
        request_timeout_s: seconds(ctx, element, "requestTimeout", request_timeout_max, 120),
        stdout_log_enabled: boolean(ctx, element, "stdoutLogEnabled", false),
        stdout_log_file: text(ctx, element, "stdoutLogFile", stdout_default),
        processes_per_application: number(ctx, element, ("processesPerApplication", "processes"), &(1..=100), 1),
        forward_windows_auth_token,
        disable_start_up_error_page: boolean(ctx, element, "disableStartUpErrorPage", false),
        hosting_model: hosting_model(ctx, element),
        environment,
        console_redirection: settings::flag(&handler_settings, "enableOutOfProcessConsoleRedirection", true),
        disallow_rotation_on_config_change: settings::flag(&handler_settings, "disallowRotationOnConfigChange", false),
        shutdown_delay_ms: settings::shutdown_delay(&handler_settings),
        handler_settings,
        recycle_files,
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
