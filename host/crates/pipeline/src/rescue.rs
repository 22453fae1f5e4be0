//! The only way from a fault to a status.

use crate::page::{self, Page, Status};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use observe::Log;
use observe::event::RequestFailed;
use observe::metrics::{Counter, Shard};
use std::time::Duration;
use wire::ports::Ending;
use wire::{ConnFacts, Exchange, Fault, Kind, PluginFault, RequestId, ResponseHead, Side, StartFailure, StartReport};

/// Which status a fault gets. Differences from ANCM: timeouts are 504 where it
/// has 502.3, and a start that backs off is 503 where it tries again at once.
pub(crate) fn status(kind: &Kind) -> Status {
    match kind {
        Kind::BadRequest(_) | Kind::ClientGone => Status(400, 0),
        Kind::NotFound(why) => Status(404, why.sub_status()),
        Kind::MethodNotAllowed(_) => Status(405, 0),
        Kind::AccessDenied(sub) => Status(403, *sub),
        Kind::RequestTimeout => Status(408, 0),
        Kind::BodyTooLarge(_) => Status(413, 1),
        Kind::TargetTooLong => Status(414, 0),
        Kind::ExpectationFailed => Status(417, 0),
        Kind::HeadTooLarge => Status(431, 0),
        Kind::NotImplemented(_) => Status(501, 0),
        Kind::VersionNotSupported => Status(505, 0),
        Kind::StartFailed(report) => match report.failure {
            StartFailure::BackingOff => Status(503, 0),
            // ANCM: 502.5 with its page, 502.3 where the page is turned off.
            _ => Status(502, if report.show_page { 5 } else { 3 }),
        },
        Kind::ConnectFailed | Kind::BackendGone | Kind::BadResponse(_) | Kind::Truncated => Status(502, 3),
        Kind::BackendTimeout(..) => Status(504, 0),
        Kind::Plugin(_, PluginFault::Configure | PluginFault::HeldBack) => Status(503, 0),
        Kind::Aborted(answer) => Status(answer.status.as_u16(), 0),
        Kind::Plugin(..) | Kind::Internal(_) => Status(500, 0),
        Kind::QueueFull => Status(503, 2),
        Kind::Stopping | Kind::Offline(_) => Status(503, 0),
    }
}

/// How an exchange with this fault ended.
pub(crate) fn ending(fault: &Fault) -> Ending {
    match (&fault.kind, fault.side) {
        (Kind::ClientGone, _) => Ending::ClientGone,
        (Kind::RequestTimeout | Kind::BackendTimeout(..), _) => Ending::TimedOut,
        (Kind::QueueFull | Kind::Stopping | Kind::Offline(_) | Kind::Aborted(_), _) | (_, Side::Client) => {
            Ending::Refused
        }
        (Kind::StartFailed(report), _) if report.failure == StartFailure::BackingOff => Ending::Refused,
        (_, Side::Backend) => Ending::BackendGone,
        (_, Side::Plugin | Side::Host) => Ending::Fault,
    }
}

/// Tells the operator of a fault and counts it.
pub(crate) fn tell(
    log: &Log,
    counters: &Shard,
    exchange: Option<&Exchange>,
    request: RequestId,
    conn: &ConnFacts,
    fault: &Fault,
    answered: Option<Status>,
) {
    if matches!(fault.kind, Kind::Offline(_)) {
        // Told once when the page appeared; forwarding counts each.
        return;
    }
    match fault.side {
        Side::Client if exchange.is_none() => counters.count(Counter::Refusals),
        Side::Client => {}
        // It did what it is for.
        Side::Plugin if matches!(fault.kind, Kind::Aborted(_)) => {}
        // The plane counts what it did not call.
        Side::Plugin if matches!(fault.kind, Kind::Plugin(_, PluginFault::HeldBack)) => {}
        Side::Backend => counters.count(Counter::BackendFaults),
        Side::Plugin => counters.count(Counter::PluginFaults),
        Side::Host => counters.count(Counter::HostFaults),
    }
    log.tell(&RequestFailed {
        id: request.to_string(),
        method: exchange.map_or("", |exchange| exchange.request.method.as_str()),
        path: exchange.map_or("", |exchange| exchange.request.path()),
        client: conn.client,
        status: answered.map(|status| status.0),
        sub_status: answered.map_or(0, |status| status.1),
        guilty: side(fault.side),
        what: fault.to_string(),
        detail: fault.detail.as_deref(),
    });
}

/// The side of a fault in a word for logs.
fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Backend => "backend",
        Side::Plugin => "plugin",
        Side::Host => "host",
    }
}

/// True where there is nobody left to answer.
pub(crate) fn is_gone(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::ClientGone)
}

/// The answer to a fault.
pub(crate) struct Rescued {
    pub(crate) head: ResponseHead,
    pub(crate) body: Bytes,
    pub(crate) status: Status,
    /// The client's connection has lost its framing, or it misbehaved: close it.
    pub(crate) close: bool,
}

/// Makes the answer: `accept` is the client's `Accept`, `request` the number
/// that the page and the log share. Details are for loopback clients, and where
/// the backend's environment says Development.
pub(crate) fn answer(fault: &Fault, conn: &ConnFacts, accept: Option<&HeaderValue>, request: RequestId) -> Rescued {
    let status = status(&fault.kind);
    let code = StatusCode::from_u16(status.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut head = ResponseHead::new(code);
    fields(&fault.kind, &mut head.headers);
    let body = match &fault.kind {
        Kind::Offline(page) => {
            head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            page.clone()
        }
        Kind::StartFailed(report) if !report.show_page && report.failure != StartFailure::BackingOff => Bytes::new(),
        kind => {
            let page = page_of(fault, kind, status, conn.is_loopback(), request);
            let style = page::Style::wanted(accept);
            head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(style.content_type()));
            page.render(style)
        }
    };
    let close = matches!(
        fault.kind,
        Kind::BadRequest(_)
            | Kind::RequestTimeout
            | Kind::BodyTooLarge(_)
            | Kind::TargetTooLong
            | Kind::ExpectationFailed
            | Kind::HeadTooLarge
            | Kind::NotImplemented(_)
            | Kind::VersionNotSupported
            | Kind::ClientGone
            | Kind::Stopping
    );
    Rescued { head, body, status, close }
}

fn fields(kind: &Kind, headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match kind {
        Kind::MethodNotAllowed(allow) => {
            // Verbs of web.config are tokens; what is not one has no place in a field.
            if let Ok(value) = HeaderValue::from_str(allow) {
                headers.insert(header::ALLOW, value);
            }
        }
        Kind::StartFailed(report) => {
            if let Some(wait) = report.retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds_up(wait)));
            }
        }
        Kind::QueueFull | Kind::Plugin(_, PluginFault::Configure | PluginFault::HeldBack) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

fn page_of(fault: &Fault, kind: &Kind, status: Status, local: bool, request: RequestId) -> Page {
    let mut page = Page::new(status, request);
    match kind {
        Kind::StartFailed(report) => start_page(&mut page, report, local),
        Kind::BodyTooLarge(limit) => {
            page.says(format!("The request body is larger than the {limit} bytes that this site accepts."));
            page.hints(
                "The limit is maxAllowedContentLength of security/requestFiltering/requestLimits in web.config.",
            );
        }
        Kind::Plugin(name, fault) => {
            page.says("A plugin of this site failed, and its policy is to refuse the request.".into());
            if local {
                page.fact("plugin", name.to_string());
                page.fact("fault", fault.as_str().to_owned());
            }
        }
        Kind::QueueFull => {
            page.says("Too many requests wait for the application already. Please try again shortly.".into())
        }
        Kind::Stopping => page.says("The site is stopping.".into()),
        Kind::Internal(_) => page.says("Something went wrong inside the host.".into()),
        Kind::ConnectFailed | Kind::BackendGone | Kind::BadResponse(_) | Kind::Truncated | Kind::BackendTimeout(..) => {
            page.says("The application behind this host did not give a usable answer.".into());
            if local {
                page.fact("reason", fault.to_string());
            }
        }
        Kind::NotFound(_) => page.says("There is nothing at this address.".into()),
        _ => page.says(sentence(&fault.to_string())),
    }
    if local && let Some(detail) = &fault.detail {
        page.fact("detail", detail.to_string());
    }
    page
}

/// The page of a start that failed: what a person needs to mend it.
fn start_page(page: &mut Page, report: &StartReport, local: bool) {
    if report.failure == StartFailure::BackingOff {
        page.says("The application failed to start a moment ago; the next attempt is being held back.".into());
    } else {
        page.says("The application behind this host could not be started.".into());
    }
    if !(local || report.development) {
        page.hints("The reason is in the host's log, under the request number below.");
        return;
    }
    page.says(report.summary.clone());
    page.fact("reason", report.failure.as_str().to_owned());
    page.fact("command", report.command.clone());
    page.fact("directory", report.directory.clone());
    if let Some(ended) = &report.ended {
        page.fact("ended with", ended.clone());
    }
    if let Some(port) = report.port {
        page.fact("port", port.to_string());
    }
    page.fact("attempts", report.attempts.to_string());
    page.fact("time spent", format!("{} ms", report.elapsed.as_millis()));
    page.output(report.last_lines.clone());
    page.hints("This detail is shown to loopback clients and where the environment says Development.");
}

/// First letter large, full stop at the end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
