//! What an operator may choose about forwarding.

use crate::affinity::Affinity;
use http::HeaderName;
use std::time::Duration;

/// Doubling does not lead above this, in milliseconds.
const EJECT_MS_MAX: u64 = 300_000;

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
    /// The cookie by which a client gets the same instance again; default none.
    pub affinity_cookie: Option<Affinity>,
    /// Faults in a row, of all workers, after which an instance is out of the
    /// choice for a while; default 5. One that is the last to choose stays in it.
    /// A fault is a connection refused, closed before a head or timed out, or a
    /// bad response; an answer of any status starts the count anew.
    pub eject_faults_max: u32,
    /// Milliseconds that an instance is out of the choice; default 10,000. Doubled
    /// with each time in a row, up to 300,000 or this value if it is larger.
    pub eject_ms: u64,
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
            affinity_cookie: None,
            eject_faults_max: 5,
            eject_ms: 10_000,
        }
    }
}

impl ForwardSettings {
    /// The idle limit, if there is one.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        limit(self.idle_ms_max)
    }

    /// How long an instance is out of the choice that was so `ejections` times in a row.
    pub(crate) fn ejection(&self, ejections: u32) -> Duration {
        let doubled = self.eject_ms.saturating_mul(1u64.checked_shl(ejections).unwrap_or(u64::MAX));
        Duration::from_millis(doubled.min(EJECT_MS_MAX.max(self.eject_ms)))
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

#[cfg(test)]
mod tests {
    use super::ForwardSettings;

    #[test]
    fn an_ejection_is_twice_as_long_as_the_one_before() {
        let cases = [
            (10_000, 0, 10_000),
            (10_000, 1, 20_000),
            (10_000, 4, 160_000),
            (10_000, 5, 300_000),
            (10_000, 63, 300_000),
            (10_000, 64, 300_000),
            (10_000, u32::MAX, 300_000),
            (300_000, 1, 300_000),
            (3_600_000, 0, 3_600_000),
            (3_600_000, 9, 3_600_000),
        ];
        for (eject_ms, ejections, expected) in cases {
            let settings = ForwardSettings { eject_ms, ..ForwardSettings::default() };
            assert_eq!(settings.ejection(ejections).as_millis(), expected, "{eject_ms} {ejections}");
        }
    }
}
