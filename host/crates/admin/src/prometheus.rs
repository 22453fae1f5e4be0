//! The metrics page: Prometheus' text format 0.0.4.
//!
//! Names are `gatelodge_NOUN_UNIT`, with `_total` for counters. A name that can't
//! be one, or whose kind changed, is left out: a scraper would throw the whole
//! page away for it.

use crate::status::{AppPart, InstancePart, StatusPage};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the host's start; its name ends with `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A part of a histogram: its name ends with `_bucket` (with the label `le`, cumulative),
    /// `_sum` or `_count`.
    Histogram,
}

/// One value with its labels.
#[derive(Clone, Debug)]
pub struct Metric<'a> {
    /// `gatelodge_` and so on.
    pub name: &'a str,
    /// One sentence.
    pub help: &'a str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The value; not a number is left out.
    pub value: f64,
    /// Names and values.
    pub labels: &'a [(&'a str, &'a str)],
}

/// Collects values and writes the page, the values of one name together.
#[derive(Debug, Default)]
pub struct Writer {
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    help: String,
    kind: Kind,
    // By part and labels, so that no sample is there twice.
    samples: BTreeMap<String, f64>,
}

/// The whole page: host, application, instances, the host's counters, and `more`.
#[must_use]
pub fn render(page: &StatusPage, more: &[Metric<'_>]) -> String {
    let mut writer = Writer::default();
    writer.host(page);
    writer.app(&page.app);
    for instance in &page.instances {
        writer.instance(instance);
    }
    for (name, value) in &page.counters {
        writer.host_counter(name, *value);
    }
    for metric in more {
        writer.add(metric);
    }
    writer.finish()
}

impl Writer {
    /// Adds a value; a second one with the same name and labels takes the first one's place.
    /// False if it can't be on the page: a bad name, a name that does not fit
    /// its kind, a kind that changed, or not a number.
    pub fn add(&mut self, metric: &Metric<'_>) -> bool {
        let Some((family, part)) = parts(metric) else { return false };
        let labels_are_good = metric.labels.iter().all(|(name, _)| is_label(name));
        if !is_name(metric.name) || !labels_are_good || metric.value.is_nan() {
            return false;
        }
        let family = self.families.entry(family.to_owned()).or_insert_with(|| Family {
            help: metric.help.to_owned(),
            kind: metric.kind,
            samples: BTreeMap::new(),
        });
        if family.kind != metric.kind {
            return false;
        }
        family.samples.insert(format!("{part}{}", labels(metric.labels)), metric.value);
        true
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> String {
        let mut text = String::new();
        for (name, family) in self.families {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            // Writing to a string can't fail.
            let _ = writeln!(text, "# HELP {name} {}", escape(&family.help, false));
            let _ = writeln!(text, "# TYPE {name} {kind}");
            for (labels, value) in family.samples {
                let _ = match value {
                    f64::INFINITY => writeln!(text, "{name}{labels} +Inf"),
                    f64::NEG_INFINITY => writeln!(text, "{name}{labels} -Inf"),
                    value => writeln!(text, "{name}{labels} {value}"),
                };
            }
        }
        text
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64, labels: &[(&str, &str)]) {
        self.add(&Metric { name, help, kind: Kind::Gauge, value, labels });
    }

    fn counter(&mut self, name: &str, help: &str, value: u64, labels: &[(&str, &str)]) {
        self.add(&Metric { name, help, kind: Kind::Counter, value: number(value), labels });
    }

    fn host(&mut self, page: &StatusPage) {
        let host = &page.host;
        self.gauge("gatelodge_build_info", "1, with the version of the host.", 1.0, &[("version", &host.version)]);
        self.gauge("gatelodge_uptime_seconds", "Time since the host serves.", host.uptime_s, &[]);
        self.gauge("gatelodge_workers", "Worker threads.", f64::from(host.workers), &[]);
        let help = "Number of the configuration in use; a reload makes the next.";
        self.gauge("gatelodge_generation", help, number(host.generation), &[]);
        if let Some(reload) = &host.last_reload {
            let help = "Whether the last reload took over (1) or was refused (0).";
            self.gauge("gatelodge_last_reload_successful", help, one_if(reload.ok), &[]);
            self.gauge("gatelodge_last_reload_age_seconds", "Time since the last reload.", reload.ago_s, &[]);
        }
    }

    fn app(&mut self, app: &AppPart) {
        const STATES: [&str; 6] = ["idle", "starting", "ready", "down", "offline", "stopping"];
        let help = "1 for the state that the application is in.";
        for state in STATES {
            self.gauge("gatelodge_app_state", help, one_if(app.state == state), &[("state", state)]);
        }
        self.gauge("gatelodge_app_state_age_seconds", "Time since the state changed.", app.since_s, &[]);
        let help = "Time until a start that is held back may be made; 0 if none is.";
        self.gauge("gatelodge_app_next_start_seconds", help, app.next_start_in_s.unwrap_or_default(), &[]);
        let help = "Crashes within the last minute.";
        self.gauge("gatelodge_app_crashes_in_window", help, f64::from(app.crashes_in_window), &[]);
        let help = "Crashes within a minute that rapidFailsPerMinute allows.";
        self.gauge("gatelodge_app_crashes_allowed", help, f64::from(app.crashes_allowed), &[]);
        for (name, help, value) in [
            ("gatelodge_app_starts_total", "Starts made.", app.starts),
            ("gatelodge_app_start_failures_total", "Starts that failed.", app.start_failures),
            ("gatelodge_app_crashes_total", "Instances that ended by themselves.", app.crashes),
            ("gatelodge_app_replacements_total", "Replacements done, recycling included.", app.replacements),
            ("gatelodge_app_replacement_failures_total", "Replacements that failed.", app.replacement_failures),
            ("gatelodge_app_kills_total", "Stops that needed force.", app.kills),
            ("gatelodge_app_health_failures_total", "Answers about health that were not good.", app.health_failures),
        ] {
            self.counter(name, help, value, &[]);
        }
    }

    fn instance(&mut self, instance: &InstancePart) {
        let (number_text, start) = (instance.number.to_string(), instance.start.to_string());
        let labels = [("instance", number_text.as_str()), ("start", start.as_str())];
        let with_state = [labels[0], labels[1], ("state", instance.state.as_str())];
        self.gauge("gatelodge_instance_state", "1 for the state that the instance is in.", 1.0, &with_state);
        let help = "Time since the instance listened.";
        self.gauge("gatelodge_instance_uptime_seconds", help, instance.uptime_s, &labels);
        let help = "Requests that the instance took on.";
        self.counter("gatelodge_instance_requests_total", help, instance.requests, &labels);
        let help = "Requests that run on the instance.";
        self.gauge("gatelodge_instance_requests_running", help, number(instance.outstanding), &labels);
        let help = "1 while the instance is out of the choice because it failed requests.";
        self.gauge("gatelodge_instance_ejected", help, one_if(instance.ejected), &labels);
        let help = "Bad answers about health in a row.";
        let failures = f64::from(instance.health_failures);
        self.gauge("gatelodge_instance_health_failures_in_a_row", help, failures, &labels);
        if let Some(bytes) = instance.memory_bytes {
            let help = "Resident memory of the instance's processes.";
            self.gauge("gatelodge_instance_memory_bytes", help, number(bytes), &labels);
        }
    }

    /// A counter of the host: `host_heads_parsed_total` is told as `gatelodge_heads_parsed_total`.
    fn host_counter(&mut self, name: &str, value: u64) {
        let noun = name.strip_prefix("host_").or_else(|| name.strip_prefix("gatelodge_")).unwrap_or(name);
        let noun = noun.strip_suffix("_total").unwrap_or(noun);
        let help = format!("{} since the host's start.", noun.replace('_', " "));
        self.counter(&format!("gatelodge_{noun}_total"), &help, value, &[]);
    }
}

/// The family's name and what follows it; none if the name does not fit the kind.
fn parts<'a>(metric: &Metric<'a>) -> Option<(&'a str, &'a str)> {
    let name = metric.name;
    match metric.kind {
        Kind::Counter => name.ends_with("_total").then_some((name, "")),
        Kind::Gauge => (!name.ends_with("_total")).then_some((name, "")),
        Kind::Histogram => {
            ["_bucket", "_sum", "_count"].into_iter().find_map(|part| Some((name.strip_suffix(part)?, part)))
        }
    }
}

fn labels(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let each: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value, true))).collect();
    format!("{{{}}}", each.join(","))
}

/// Backslash and line end; in a label's value the quote too.
fn escape(text: &str, quote: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quote => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

fn is_name(name: &str) -> bool {
    name.starts_with("gatelodge_") && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are 64-bit floats")]
fn number(value: u64) -> f64 {
    value as f64
}

fn one_if(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
