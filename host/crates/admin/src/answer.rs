//! Answers: JSON for everything but the metrics.

use crate::house::Refusal;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Prometheus' text format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What an order, or a request that failed, is answered with.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    /// One sentence, if all went well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    /// One sentence, if not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
    /// Each problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
    /// What can be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<String>,
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    match serde_json::to_vec(document) {
        Ok(text) => answer(status, JSON, Bytes::from(text)),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written as JSON"),
    }
}

/// The metrics page.
pub(crate) fn metrics(text: String) -> Answer {
    answer(StatusCode::OK, METRICS, Bytes::from(text))
}

/// An order was carried out, or taken on.
pub(crate) fn message(status: StatusCode, message: String) -> Answer {
    json(status, &Said { message, ..Said::default() })
}

/// A failure in one sentence.
pub(crate) fn error(status: StatusCode, error: &str) -> Answer {
    let mut answer = said(status, &Said { error: error.to_owned(), ..Said::default() });
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// An order was not carried out.
pub(crate) fn refusal(refusal: Refusal) -> Answer {
    said(StatusCode::CONFLICT, &Said { error: refusal.summary, problems: refusal.problems, ..Said::default() })
}

/// No such path.
pub(crate) fn lost(paths: Vec<String>) -> Answer {
    said(StatusCode::NOT_FOUND, &Said { error: "there is nothing at this path".to_owned(), paths, ..Said::default() })
}

/// A wrong method.
pub(crate) fn wrong_method(allow: &'static str) -> Answer {
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &format!("this path takes {allow} only"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

/// Strings and lists of strings can always be written.
fn said(status: StatusCode, said: &Said) -> Answer {
    answer(status, JSON, Bytes::from(serde_json::to_vec(said).unwrap_or_default()))
}

fn answer(status: StatusCode, kind: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
