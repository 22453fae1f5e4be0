//! What became of a request, for an asker with the key: in a field of its response, and in
//! one line of the log.

use crate::generation::Rules;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use observe::Log;
use observe::event::RequestTraced;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::trace::{Came, Part, Step};
use wire::{Exchange, RequestId, Trace};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// Longest value of the field, bytes. At the edge: the parts that fit, and `cut` with how many did not.
const FIELD_BYTES_MAX: usize = 4 * 1024;
/// The same in the log, whose values are cut there anyway.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Room for `, cut;desc="4294967295 more"`.
const CUT_BYTES_MAX: usize = 32;

/// A trace, if the client asks for one and has the key.
pub(crate) fn begin(rules: &Rules, asked: Option<HeaderValue>) -> Option<Arc<Trace>> {
    let (asked, key) = asked.zip(rules.trace_key.as_ref())?;
    key.matches(asked.as_bytes()).then(Arc::default)
}

/// Tells the asker, and keeps caches from telling others.
pub(crate) fn answer(trace: &Trace, took: Duration, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&server_timing(trace, took, FIELD_BYTES_MAX)) {
        headers.append(SERVER_TIMING, value);
    }
    // Beside what the backend says: the strictest word holds (RFC 9111 §5.2.2.5).
    if !headers.get_all(header::CACHE_CONTROL).iter().any(|value| value == "no-store") {
        headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// A traced exchange that has not ended yet.
pub(crate) struct Traced {
    trace: Arc<Trace>,
    started: Instant,
}

/// A traced exchange whose last hooks run, which take the exchange itself.
pub(crate) struct Last {
    traced: Traced,
    id: RequestId,
    method: http::Method,
    path: String,
    client: std::net::SocketAddr,
}

impl Traced {
    pub(crate) fn new(exchange: &Exchange, started: Option<Instant>) -> Option<Self> {
        let (trace, started) = exchange.trace.as_ref().zip(started)?;
        Some(Self { trace: Arc::clone(trace), started })
    }

    /// Notes whose trace it is.
    pub(crate) fn last(self, exchange: &Exchange) -> Last {
        Last {
            traced: self,
            id: RequestId(exchange.id),
            method: exchange.request.method.clone(),
            path: exchange.request.path().to_owned(),
            client: exchange.conn.client,
        }
    }
}

impl Last {
    /// Tells the operator.
    pub(crate) fn tell(&self, log: &Log, status: http::StatusCode, ending: &'static str) {
        let Traced { trace, started } = &self.traced;
        log.tell(&RequestTraced {
            id: self.id.to_string(),
            method: self.method.as_str(),
            path: &self.path,
            client: self.client,
            status: status.as_u16(),
            ending,
            timing: server_timing(trace, started.elapsed(), LINE_BYTES_MAX),
        });
    }
}

/// Metrics as of Server Timing (W3C): `dur` in milliseconds with microseconds behind the point.
fn server_timing(trace: &Trace, total: Duration, bytes_max: usize) -> String {
    let mut text = format!("total;dur={}", milliseconds(total));
    let steps = trace.steps();
    for (told, step) in steps.iter().enumerate() {
        let metric = metric(step);
        if text.len() + 2 + metric.len() + CUT_BYTES_MAX > bytes_max {
            // Writing to text does not fail.
            let _ = write!(text, ", cut;desc=\"{} more\"", steps.len() - told);
            break;
        }
        text.push_str(", ");
        text.push_str(&metric);
    }
    text
}

/// One part: `auth.request-head;dur=0.012;desc="edit"`. Names of plugins are tokens.
fn metric(step: &Step) -> String {
    let took = milliseconds(step.took);
    let words: Vec<_> = step.came.iter().filter_map(|came| word(*came)).collect();
    let mut text = match &step.part {
        Part::Wake => format!("wake;dur={took}"),
        Part::Backend => format!("backend;dur={took}"),
        Part::Hook { plugin, hook } => format!("{plugin}.{hook};dur={took}"),
    };
    if !words.is_empty() {
        let _ = write!(text, ";desc=\"{}\"", words.join(" "));
    }
    text
}

fn word((came, count): (Came, u32)) -> Option<String> {
    let word = match came {
        Came::Well => return None,
        Came::Said(word) => word.to_owned(),
        Came::Fault(kind) => format!("fault:{}", kind.as_str()),
        Came::Failed => "failed".to_owned(),
        Came::Dropped => "dropped".to_owned(),
    };
    Some(if count == 1 { word } else { format!("{word}*{count}") })
}

fn milliseconds(time: Duration) -> String {
    let us = time.as_micros();
    format!("{}.{:03}", us / 1000, us % 1000)
}

#[cfg(test)]
mod tests;
