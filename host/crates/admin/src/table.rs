//! The status page for a terminal.

use crate::status::{AppPart, HostPart, InstancePart, PluginPart, SlotsPart, StatusPage};
use std::fmt::Write as _;

/// Longest line of the application's output that is shown, in characters; the rest is `…`.
const LINE_CHARS_MAX: usize = 400;

/// The columns of instances, and whether each stands to the right.
const INSTANCES: [(&str, bool); 10] = [
    ("INSTANCE", true),
    ("START", true),
    ("STATE", false),
    ("PID", true),
    ("PORT", true),
    ("UPTIME", true),
    ("REQUESTS", true),
    ("RUNNING", true),
    ("MEMORY", true),
    ("NOTES", false),
];

/// The columns of plugins.
const PLUGINS: [(&str, bool); 8] = [
    ("PLUGIN", false),
    ("HOOKS", false),
    ("ISOLATION", false),
    ("CALLS", true),
    ("FAULTS", true),
    ("INSTANCES", true),
    ("MEMORY", true),
    ("NOTES", false),
];

/// One line of state, the host, the counts, a table of instances, and what
/// explains a bad state. Ends with a line end. Control characters of whatever
/// source are escaped, so nothing can steer the terminal.
#[must_use]
pub fn render(page: &StatusPage) -> String {
    let mut lines = Vec::new();
    state(&page.app, &page.host, &mut lines);
    host(&page.host, &mut lines);
    counts(&page.app, &mut lines);
    if !page.instances.is_empty() {
        lines.push(String::new());
        let rows: Vec<_> = page.instances.iter().map(cells).collect();
        aligned(&INSTANCES, &rows, &mut lines);
    }
    plugins(page, &mut lines);
    explanation(&page.app, &mut lines);
    let mut text = String::new();
    for line in lines {
        text.push_str(escape(&line).trim_end());
        text.push('\n');
    }
    text
}

fn state(app: &AppPart, host: &HostPart, lines: &mut Vec<String>) {
    let mut line = format!("{} for {}: {}", or_unknown(&app.state), age(app.since_s), or_unknown(&host.app_dir));
    if let Some(wait) = app.next_start_in_s {
        append(&mut line, format_args!(", next start in {}", age(wait.ceil())));
    }
    lines.push(line);
}

fn host(host: &HostPart, lines: &mut Vec<String>) {
    let mut line = format!("host {}, process {}, up {}", or_unknown(&host.version), host.pid, age(host.uptime_s));
    append(
        &mut line,
        format_args!(", {}, configuration {}", count(u64::from(host.workers), "worker"), host.generation),
    );
    for url in &host.listen {
        append(&mut line, format_args!(", {url}"));
    }
    lines.push(line);
    if let Some(reload) = &host.last_reload {
        let outcome = if reload.ok { "done" } else { "refused" };
        lines.push(format!("last reload {outcome} {} ago", age(reload.ago_s)));
        lines.extend(reload.problems.iter().map(|problem| format!("  {problem}")));
    }
}

fn counts(app: &AppPart, lines: &mut Vec<String>) {
    lines.push(format!(
        "starts {} ({} failed), crashes {} ({} of {} allowed within a minute), replacements {} ({} failed)",
        app.starts,
        app.start_failures,
        app.crashes,
        app.crashes_in_window,
        app.crashes_allowed,
        app.replacements,
        app.replacement_failures,
    ));
    if app.kills + app.health_failures > 0 {
        lines.push(format!("stops by force {}, bad answers about health {}", app.kills, app.health_failures));
    }
}

fn aligned<const N: usize>(columns: &[(&str, bool); N], rows: &[[String; N]], lines: &mut Vec<String>) {
    let width =
        |column: usize, title: &str| rows.iter().map(|row| row[column].chars().count()).fold(title.len(), usize::max);
    let widths: Vec<usize> = columns.iter().enumerate().map(|(column, (title, _))| width(column, title)).collect();
    let aligned = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), (_, right)) in cells.zip(&widths).zip(columns) {
            if *right {
                append(&mut line, format_args!("{cell:>width$}  "));
            } else {
                append(&mut line, format_args!("{cell:<width$}  "));
            }
        }
        line
    };
    lines.push(aligned(&mut columns.iter().map(|(title, _)| *title)));
    lines.extend(rows.iter().map(|row| aligned(&mut row.iter().map(String::as_str))));
}

fn plugins(page: &StatusPage, lines: &mut Vec<String>) {
    if page.plugins.is_empty() {
        return;
    }
    let rows: Vec<[String; 8]> = page.plugins.iter().map(plugin_cells).collect();
    lines.push(String::new());
    aligned(&PLUGINS, &rows, lines);
    let Some(engine) = &page.engine else { return };
    let mut line = format!("plugins run in {}", slots(&engine.small_slots, "slots"));
    if let Some(large) = &engine.large_slots {
        append(&mut line, format_args!(" and {}", slots(large, "large slots")));
    }
    let reset = match engine.reset.as_str() {
        "pagemap-scan" => "reset by PAGEMAP_SCAN",
        "give-back" => "reset page by page: this kernel has no PAGEMAP_SCAN, new instances cost more",
        "unmap" => "mapped anew for each instance: this system has too little address space, new instances cost more",
        other => other,
    };
    append(&mut line, format_args!(", {reset}"));
    lines.push(line);
    let kept = match (&engine.code_cache, &engine.code_cache_off) {
        (Some(path), _) => format!("is kept in {path}"),
        (None, Some(why)) => format!("is not kept: {why}"),
        (None, None) => "is not kept".to_owned(),
    };
    let mut line = format!("compiled code {kept}; {} compiled, {} from there", engine.compiled, engine.from_cache);
    if engine.cache_rejected > 0 {
        append(&mut line, format_args!(", {} refused", count(engine.cache_rejected, "file")));
    }
    lines.push(line);
}

fn slots(slots: &SlotsPart, noun: &str) -> String {
    match (slots.reserved, slots.in_use) {
        (Some(reserved), Some(in_use)) => format!("{reserved} {noun}, {in_use} in use"),
        (Some(reserved), None) => format!("{reserved} {noun}"),
        (None, _) => format!("no {noun}"),
    }
}

fn plugin_cells(plugin: &PluginPart) -> [String; 8] {
    let mut notes = Vec::new();
    if plugin.pauses > 0 {
        notes.push(format!("{}, {} held back", count(plugin.pauses, "pause"), count(plugin.held_back, "call")));
    }
    if plugin.waits {
        notes.push("may wait".to_owned());
    }
    [
        // A cell is escaped before it is measured.
        escape(or_unknown(&plugin.name)),
        escape(&plugin.hooks.join(" ")),
        escape(or_unknown(&plugin.isolation)),
        plugin.calls.to_string(),
        plugin.faults.to_string(),
        plugin.instances.to_string(),
        size(plugin.memory_bytes),
        notes.join(", "),
    ]
}

fn cells(instance: &InstancePart) -> [String; 10] {
    let mut notes = Vec::new();
    if instance.ejected {
        notes.push("ejected".to_owned());
    }
    if instance.health_failures > 0 {
        notes.push(format!("{} in a row", count(u64::from(instance.health_failures), "bad health answer")));
    }
    if let Some(listening) = instance.listening_pid.filter(|listening| Some(*listening) != instance.pid) {
        notes.push(format!("process {listening} listens"));
    }
    [
        instance.number.to_string(),
        instance.start.to_string(),
        // A cell is escaped before it is measured.
        escape(or_unknown(&instance.state)),
        or_dash(instance.pid),
        or_dash(instance.port),
        if instance.listening_pid.is_some() { age(instance.uptime_s) } else { "-".to_owned() },
        instance.requests.to_string(),
        instance.outstanding.to_string(),
        instance.memory_bytes.map_or_else(|| "-".to_owned(), size),
        notes.join(", "),
    ]
}

fn explanation(app: &AppPart, lines: &mut Vec<String>) {
    if let Some(exit) = &app.last_exit {
        let how = exit.how.as_deref().unwrap_or("nobody knows how");
        let asked = if exit.asked { "asked for" } else { "not asked for" };
        lines.push(String::new());
        lines.push(format!("last exit: start {}, {how}, {asked}, {} ago", exit.start, age(exit.ago_s)));
    }
    if let Some(report) = &app.report {
        lines.push(String::new());
        lines.push(format!("last failed start ({}): {}", report.reason, report.summary));
        lines.push(format!("  command: {}", report.command));
        let ended = report.ended.as_deref().unwrap_or("it did not end by itself");
        lines.push(format!("  {}, {ended}", count(u64::from(report.attempts), "attempt")));
    }
    if !app.last_lines.is_empty() {
        lines.push(String::new());
        lines.push("last lines of output:".to_owned());
        lines.extend(app.last_lines.iter().map(|line| format!("  {}", cut(line))));
    }
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Two units at most: `5s`, `2m 5s`, `3h 2m`, `4d 3h`. Cut, not rounded.
fn age(seconds: f64) -> String {
    // Ages are never negative; what is no number counts as nothing.
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, _) => format!("{minutes}m {}s", whole % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// One decimal from KiB up, cut.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn or_dash(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn append(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = line.write_fmt(text);
}

/// Control characters and what turns the reading direction, as `\n`, `\u{1b}`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        if c.is_control() || steers { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::sample;
