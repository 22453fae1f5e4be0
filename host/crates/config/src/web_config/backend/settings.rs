//! `handlerSettings`: free pairs, of which each known one is applied or named for what it is.

use super::super::Context;
use super::HandlerSetting;
use super::children::pair;
use crate::source::{Position, Setting};
use crate::xml::Element;

/// What becomes of a known setting.
enum Fate {
    /// It is applied.
    Applied,
    /// It has no effect, for this reason.
    Without(&'static str),
}

use Fate::{Applied, Without};

const DEBUG_LOG: Fate =
    Without("a debug log of ANCM; Gatelodge's log is set in plugins.toml: [host.log] level = \"debug\"");
const SHADOW_COPY: Fate = Without(
    "files of a running app aren't locked on Linux, so they are used in place; to take up changed ones: [host.backend] watch = [\"*.dll\"] in plugins.toml",
);
const IN_PROCESS: Fate = Without("it has an effect in-process only, and the app runs out of process");

/// All that ANCM knows.
const KNOWN: [(&str, Fate); 16] = [
    ("enableOutOfProcessConsoleRedirection", Applied),
    ("disallowRotationOnConfigChange", Applied),
    ("shutdownDelay", Applied),
    (
        "forwardResponseConnectionHeader",
        Without("`Connection` concerns one hop only (RFC 9110 §7.6.1) and is never handed on"),
    ),
    ("debugFile", DEBUG_LOG),
    ("debugLevel", DEBUG_LOG),
    ("handlerVersion", Without("it picks a library of ANCM; Gatelodge has none")),
    ("enableShadowCopy", SHADOW_COPY),
    ("experimentalEnableShadowCopy", SHADOW_COPY),
    ("shadowCopyDirectory", SHADOW_COPY),
    ("cleanShadowCopyDirectory", SHADOW_COPY),
    ("stackSize", IN_PROCESS),
    ("callStartupHook", IN_PROCESS),
    (
        "setCurrentDirectory",
        Without("it has an effect in-process only; the working directory is always the app's folder"),
    ),
    ("suppressRecycleOnStartupTimeout", IN_PROCESS),
    ("enableFileWatcherLogging", Without("it belongs to ANCM's own log")),
];

/// Longest `shutdownDelay`, in ms: as the longest `shutdownTimeLimit`.
const SHUTDOWN_DELAY_MS_MAX: u64 = 600_000;

pub(super) fn handler_settings(ctx: &mut Context<'_>, list: &Element, into: &mut Vec<HandlerSetting>) {
    ctx.check_attributes(list, &[]);
    ctx.stray_text(list);
    for child in ctx.children(list) {
        match child.name.as_str() {
            "handlerSetting" => {
                let Some((name, value)) = pair(ctx, child) else { continue };
                let setting = HandlerSetting { name: known_name(&name), value, at: ctx.position(child.at) };
                // The first one of a name counts, as in ANCM.
                if !into.iter().any(|other| other.name.eq_ignore_ascii_case(&setting.name)) {
                    judge(ctx, child, &setting);
                    into.push(setting);
                }
            }
            "clear" => into.clear(),
            _ => ctx.unknown_child(child, "handlerSettings", &["handlerSetting", "clear"]),
        }
    }
}

/// The spelling of the documentation, where it is one of its names.
fn known_name(name: &str) -> String {
    let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map_or_else(|| name.to_owned(), |(known, _)| (*known).to_owned())
}

fn judge(ctx: &mut Context<'_>, child: &Element, HandlerSetting { name, value, .. }: &HandlerSetting) {
    let Some((_, fate)) = KNOWN.iter().find(|(known, _)| known == name) else {
        let what = format!("handlerSetting `{name}` is not known and has no effect");
        let near = crate::error::nearest(name, KNOWN.iter().map(|(known, _)| *known));
        ctx.warn(child.at, what, near.map(|near| format!("did you mean `{near}`?")));
        return;
    };
    match fate {
        Without(why) => ctx.warn(child.at, format!("handlerSetting `{name}` has no effect: {why}"), ""),
        Applied if name == "shutdownDelay" => {
            if delay_ms(value).is_none() {
                let what = format!("shutdownDelay=\"{value}\" is not a number of milliseconds");
                let help = format!("write a whole number from 0 to {SHUTDOWN_DELAY_MS_MAX}, or remove the setting");
                ctx.error(child.at, what, help);
            }
        }
        Applied => {
            if boolean(value).is_none() {
                let what = format!("handlerSetting `{name}` is neither true nor false: it counts as not written");
                ctx.warn(child.at, what, "write value=\"true\" or value=\"false\"");
            }
        }
    }
}

fn delay_ms(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|ms| digits && *ms <= SHUTDOWN_DELAY_MS_MAX)
}

fn boolean(value: &str) -> Option<bool> {
    [("true", true), ("false", false)].into_iter().find(|(word, _)| word.eq_ignore_ascii_case(value)).map(|(_, is)| is)
}

fn find<'s>(settings: &'s [HandlerSetting], name: &str) -> Option<(&'s str, Position)> {
    settings.iter().find(|setting| setting.name == name).map(|setting| (setting.value.as_str(), setting.at))
}

/// A setting that is true or false.
pub(super) fn flag(settings: &[HandlerSetting], name: &str, default: bool) -> Setting<bool> {
    let written = find(settings, name).and_then(|(value, at)| Some(Setting::set(boolean(value)?, at)));
    written.unwrap_or_else(|| Setting::default_value(default))
}

/// `shutdownDelay` in ms.
pub(super) fn shutdown_delay(settings: &[HandlerSetting]) -> Setting<u64> {
    let written = find(settings, "shutdownDelay").and_then(|(value, at)| Some(Setting::set(delay_ms(value)?, at)));
    written.unwrap_or_else(|| Setting::default_value(0))
}
