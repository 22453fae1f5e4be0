//! What process supervision and plugins say, as lines of the log.

use observe::event::Line;
use observe::{Level, Log};
use process::Event;

mod fleet;
mod output;

use output::last_output;

/// Writes the process room's events to the log.
pub(crate) fn process_event(log: &Log, event: &Event) {
    let id = event.id();
    let (level, name, message, mut fields) = describe(event);
    if id != 0 {
        fields.push(("ancm_event".to_owned(), id.to_string()));
    }
    log.tell(&Line { level, name, message, fields });
}

type Told = (Level, &'static str, String, Vec<(String, String)>);

fn describe(event: &Event) -> Told {
    let field = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
    match event {
        Event::Starting { start, attempt } => (
            Level::Debug,
            "backend-starting",
            "starting the application".into(),
            vec![field("start", start), field("attempt", attempt)],
        ),
        Event::AttemptFailed { start, attempt, failure, summary, command, port, ended, last_lines, retry } => {
            let mut fields = vec![field("start", start), field("attempt", attempt), field("reason", &failure.as_str())];
            fields.push(field("command", command));
            fields.extend(ended.map(|ended| field("ended", &ended)));
            fields.extend(port.map(|port| field("port", &port)));
            fields.push(field("retry", retry));
            fields.extend(last_output(last_lines));
            (Level::Warn, "backend-attempt-failed", summary.clone(), fields)
        }
        Event::Ready { start, pid, listening_pid, port, elapsed } => (
            Level::Info,
            "backend-ready",
            "the application listens".into(),
            vec![
                field("start", start),
                field("pid", pid),
                field("listening_pid", listening_pid),
                field("port", port),
                field("elapsed_ms", &elapsed.as_millis()),
            ],
        ),
        Event::TooManyCrashes { crashes, retry_after } => (
            Level::Error,
            "backend-too-many-crashes",
            "too many crashes within a minute: no start is tried for a while".into(),
            vec![field("crashes", crashes), field("retry_after_ms", &retry_after.as_millis())],
        ),
        Event::OutputLogFailed { path, reason } => (
            Level::Warn,
            "stdout-log-failed",
            "the stdout log can't be written; the application runs on".into(),
            vec![field("path", &path.display()), field("reason", reason)],
        ),
        Event::Killed { pid, limit } => (
            Level::Warn,
            "backend-killed",
            "the application did not end in time and was killed".into(),
            vec![field("pid", pid), field("limit_ms", &limit.as_millis())],
        ),
        Event::Replacing { .. }
        | Event::Replaced { .. }
        | Event::NotReplaced { .. }
        | Event::Draining { .. }
        | Event::DrainCut { .. }
        | Event::Unhealthy { .. }
        | Event::Healthy { .. }
        | Event::WarmUpFailed { .. }
        | Event::Offline
        | Event::Online
        | Event::IdleStop { .. }
        | Event::Limited { .. }
        | Event::OutputLine { .. } => fleet::describe(event),
        Event::StopRequested { pid, status } => {
            let mut fields = vec![field("pid", pid)];
            fields.extend(status.map(|status| field("status", &status)));
            (Level::Info, "backend-stop-requested", "asked the application to stop over HTTP".into(), fields)
        }
        Event::TerminationSent { pid } => (
            Level::Info,
            "backend-termination-sent",
            "sent SIGTERM to the application's group".into(),
            vec![field("pid", pid)],
        ),
        Event::StartFailed { report } => {
            let mut fields = vec![field("reason", &report.failure.as_str()), field("command", &report.command)];
            fields.push(field("directory", &report.directory));
            fields.extend(report.ended.as_ref().map(|ended| field("ended", ended)));
            fields.extend(report.port.map(|port| field("port", &port)));
            fields.push(field("attempts", &report.attempts));
            fields.push(field("elapsed_ms", &report.elapsed.as_millis()));
            fields.extend(last_output(&report.last_lines));
            (Level::Error, "backend-start-failed", report.summary.clone(), fields)
        }
        Event::Ended { pid, port, ended, asked } => {
            let mut fields = vec![field("pid", pid), field("port", port)];
            fields.extend(ended.map(|ended| field("ended", &ended)));
            if *asked {
                (Level::Info, "backend-stopped", "the application has stopped".into(), fields)
            } else {
                (
                    Level::Warn,
                    "backend-gone",
                    "the application ended by itself; the next request starts it".into(),
                    fields,
                )
            }
        }
    }
}

/// Where plugins' log lines go.
pub(crate) struct PluginLines(pub Log);

impl plugin::LogSink for PluginLines {
    fn enabled(&self, _: &str, level: plugin::Level) -> bool {
        self.0.enabled(level_of(level))
    }

    fn write(&self, plugin: &str, level: plugin::Level, message: &str, fields: &[(String, String)]) {
        let mut all = vec![("plugin".to_owned(), plugin.to_owned())];
        all.extend_from_slice(fields);
        self.0.tell(&Line { level: level_of(level), name: "plugin", message: message.to_owned(), fields: all });
    }

    fn store(&self, store: &str, level: plugin::Level, message: &str) {
        let fields = vec![("store".to_owned(), store.to_owned())];
        self.0.tell(&Line { level: level_of(level), name: "plugin-store", message: message.to_owned(), fields });
    }

    fn fault(&self, plugin: &str, kind: wire::PluginFault, text: &str) {
        let fields = vec![("plugin".to_owned(), plugin.to_owned()), ("fault".to_owned(), kind.as_str().to_owned())];
        self.0.tell(&Line { level: Level::Error, name: "plugin-fault", message: text.to_owned(), fields });
    }

    fn hold_back(&self, plugin: &str, change: &plugin::HoldBack) {
        let field = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
        let mut fields = vec![("plugin".to_owned(), plugin.to_owned())];
        let name = match change {
            plugin::HoldBack::Begun { pause, .. } => {
                fields.push(field("pause_ms", &pause.as_millis()));
                "plugin-held-back"
            }
            plugin::HoldBack::Probed => "plugin-probed",
            plugin::HoldBack::Ended { calls, .. } => {
                fields.push(field("calls_held_back", calls));
                "plugin-recovered"
            }
        };
        self.0.tell(&Line { level: level_of(change.level()), name, message: change.to_string(), fields });
    }
}

fn level_of(level: plugin::Level) -> Level {
    match level {
        plugin::Level::Trace => Level::Trace,
        plugin::Level::Debug => Level::Debug,
        plugin::Level::Info => Level::Info,
        plugin::Level::Warn => Level::Warn,
        plugin::Level::Error => Level::Error,
    }
}

#[cfg(test)]
mod tests;
