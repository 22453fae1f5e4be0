//! What an operator may choose about forwarding.

use http::HeaderName;
use std::time::Duration;

/// Settings of one worker's forwarding.
#[derive(Clone, Debug)]
pub struct ForwardSettings {
    /// Milliseconds for a connect to the backend; default 5,000. At the limit the
    /// request ends in a timeout fault and the backend is reported as suspect.
    pub connect_ms_max: u64,
    /// Milliseconds without progress of one operation (sending, first byte, next
    /// byte), as `requestTimeout` of ANCM; default 120,000. 0 = no limit.
    pub idle_ms_max: u64,
    /// Milliseconds from the request's last byte to the response's first, in the
    /// place of `idle_ms_max` there; default 0 = no limit of its own. At the
    /// limit: a timeout fault.
    pub first_byte_ms_max: u64,
    /// Milliseconds that a request waits for a start of the backend: the start
    /// limit and a margin; default 125,000.
    pub waiting_ms_max: u64,
    /// Requests of all workers that may wait for a start at once; default 1,000.
    /// One more gets `QueueFull`.
    pub waiting_requests_max: usize,
    /// Milliseconds that a request, whose connection was refused, waits for the
    /// supervisor to notice that the backend is gone; default 500.
    pub suspect_ms_max: u64,
    /// Bytes of a response head, and of all interim heads before it, at most;
    /// default 65,536 as ANCM. A larger one is a bad response.
    pub head_bytes_max: usize,
    /// Fields of a response head, and of each interim head before it, at most;
    /// default 256. One more is a bad response.
    pub header_count_max: usize,
    /// Idle connections kept by this worker; default 128. Others are closed.
    pub idle_connections_max: usize,
    /// Milliseconds that an idle connection is kept; default 60,000.
    pub idle_connection_ms_max: u64,
    /// Further field names that carry the token beside `MS-ASPNETCORE-TOKEN`;
    /// default none. They are removed from requests and responses.
    pub token_headers: Vec<HeaderName>,
}

impl Default for ForwardSettings {
    fn default() -> Self {
        Self {
            connect_ms_max: 5_000,
            idle_ms_max: 120_000,
            first_byte_ms_max: 0,
            waiting_ms_max: 125_000,
            waiting_requests_max: 1_000,
            suspect_ms_max: 500,
            head_bytes_max: 65_536,
            header_count_max: 256,
            idle_connections_max: 128,
            idle_connection_ms_max: 60_000,
            token_headers: Vec::new(),
        }
    }
}

impl ForwardSettings {
    /// The idle limit, if there is one.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        limit(self.idle_ms_max)
    }

    /// The limit for a response's first byte, if there is one.
    pub(crate) fn first_byte_limit(&self) -> Option<Duration> {
        limit(self.first_byte_ms_max).or_else(|| self.idle_limit())
    }
}

/// Milliseconds as a limit; 0 is none.
fn limit(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}
