//! Events of replacement, health and rest.

use super::{Told, last_output};
use observe::Level;
use process::{Event, Why};

type Fields = Vec<(String, String)>;

fn field(name: &str, value: &dyn std::fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn of(start: u64, pid: u32) -> Fields {
    vec![field("start", &start), field("pid", &pid)]
}

fn because(why: &Why) -> Fields {
    let mut fields = vec![field("why", &why.as_str())];
    if let Why::FileChanged(file) = why {
        fields.push(field("file", file));
    }
    fields
}

/// Level, name, message and fields of the events that [`super::describe`] hands on.
pub(super) fn describe(event: &Event) -> Told {
    match event {
        Event::Replacing { why } => {
            (Level::Info, "backend-replacing", "starting new instances of the application".into(), because(why))
        }
        Event::Replaced { why, instances, elapsed } => {
            let mut fields = because(why);
            fields.push(field("instances", instances));
            fields.push(field("elapsed_ms", &elapsed.as_millis()));
            (Level::Info, "backend-replaced", "new instances take the requests; the old ones drain".into(), fields)
        }
        Event::NotReplaced { why, report } => {
            let mut fields = because(why);
            fields.push(field("reason", &report.failure.as_str()));
            fields.extend(last_output(&report.last_lines));
            let message = format!("no replacement, what ran before goes on: {}", report.summary);
            (Level::Error, "backend-not-replaced", message, fields)
        }
        Event::Draining { start, pid, outstanding } => {
            let mut fields = of(*start, *pid);
            fields.push(field("requests_running", outstanding));
            (Level::Info, "backend-draining", "an instance gets no new request".into(), fields)
        }
        Event::DrainCut { start, pid, outstanding } => {
            let mut fields = of(*start, *pid);
            fields.push(field("requests_running", outstanding));
            (Level::Warn, "backend-drain-cut", "the drain limit passed while requests still ran".into(), fields)
        }
        Event::Unhealthy { start, pid, failures, detail } => {
            let mut fields = of(*start, *pid);
            fields.push(field("failures", failures));
            fields.push(field("detail", detail));
            (Level::Warn, "backend-unhealthy", "an instance gave no good answer about its health".into(), fields)
        }
        Event::Healthy { start, pid } => {
            (Level::Info, "backend-healthy", "an instance answers well again".into(), of(*start, *pid))
        }
        Event::WarmUpFailed { start, path, detail } => (
            Level::Warn,
            "backend-warm-up-failed",
            "a warm-up request got no answer; the instance serves all the same".into(),
            vec![field("start", start), field("path", path), field("detail", detail)],
        ),
        Event::Offline => {
            let message = "app_offline.htm is there: every request gets its page".into();
            (Level::Info, "backend-offline", message, Vec::new())
        }
        Event::Online => {
            let message = "app_offline.htm is gone: the next request starts the application".into();
            (Level::Info, "backend-online", message, Vec::new())
        }
        Event::IdleStop { limit } => (
            Level::Info,
            "backend-idle-stop",
            "nobody asked for a while: the application is stopped until the next request".into(),
            vec![field("limit_ms", &limit.as_millis())],
        ),
        Event::Limited { what } => (Level::Warn, "backend-limited", what.clone(), Vec::new()),
        Event::OutputLine { start, instance, line } => {
            (Level::Info, "backend-output", line.clone(), vec![field("instance", instance), field("start", start)])
        }
        // Told by the caller.
        _ => (Level::Debug, "backend", String::new(), Vec::new()),
    }
}
