//! What the admin door asks of the host.

use crate::status::StatusPage;
use serde::{Deserialize, Serialize};
use std::future::Future;

/// The host as the admin door sees it; `host/src` implements it.
///
/// # Cancel safety
/// Each future is dropped when whoever asked goes away. An order that must be
/// carried out all the same belongs to a task of the host.
pub trait House: Send + Sync + 'static {
    /// `GET /status`. Takes at most 10 s, else 504.
    fn status(&self) -> impl Future<Output = StatusPage> + Send;

    /// `GET /metrics`: Prometheus' text format. Takes at most 10 s, else 504.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// `GET /health`. Must not block.
    fn health(&self) -> Health;

    /// `POST /reload`: returns once the new world serves, with a sentence for
    /// people. No deadline: it takes as long as a start.
    ///
    /// # Errors
    /// Why the old world goes on.
    fn reload(&self) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// `POST /stop`: gives the order and returns. Takes at most 10 s, else 504.
    fn stop(&self) -> impl Future<Output = ()> + Send;
}

/// Whether requests would be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// 200 if true, 503 if false.
    pub ok: bool,
    /// The application's state, one word.
    pub state: String,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence.
    pub summary: String,
    /// Each problem, with its place where it has one.
    pub problems: Vec<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.summary)?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
