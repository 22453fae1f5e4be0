//! When a request may be sent a second time.

use http::Method;
use wire::Fault;

/// A request that got no response head.
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// The connection ended; no deadline or broken rule did it.
    pub(crate) closed: bool,
    /// Bytes of the request that the system took.
    pub(crate) bytes_written: u64,
    /// Bytes of any response that came.
    pub(crate) bytes_read: u64,
}

/// What may be done about a request that got no response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Sent again: the idle connection that was taken had been closed.
    Again,
    /// It was not sent: as if the connection had been refused.
    Unsent,
    /// Nothing: something might happen twice.
    Over,
}

/// Judges whether sending again can do anything twice.
///
/// A *reused* connection may have been closed by the backend while it idled. Then
/// nothing of the request was sent, or it is a safe request without body (RFC
/// 9110 §9.2.1) of which nothing was answered (RFC 9112 §9.3.1). On a new
/// connection only a request qualifies of which not one byte was taken.
pub(crate) fn judge(failure: &Failure, reused: bool, method: &Method, has_body: bool) -> Verdict {
    if !failure.closed || failure.bytes_read != 0 {
        return Verdict::Over;
    }
    match failure.bytes_written {
        0 if reused => Verdict::Again,
        0 => Verdict::Unsent,
        _ if reused && method.is_safe() && !has_body => Verdict::Again,
        _ => Verdict::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Verdict, judge};
    use http::Method;
    use wire::Kind;

    #[test]
    fn a_request_is_sent_again_only_where_nothing_happens_twice() {
        use Verdict::{Again, Over, Unsent};
        // reused, closed, written, read, method, has body -> verdict
        let cases = [
            (true, true, 90, 0, Method::GET, false, Again),
            (true, true, 90, 0, Method::HEAD, false, Again),
            (true, true, 90, 0, Method::OPTIONS, false, Again),
            (true, true, 90, 0, Method::GET, true, Over),
            (true, true, 90, 0, Method::POST, false, Over),
            (true, true, 90, 0, Method::PUT, false, Over),
            (true, true, 90, 0, Method::DELETE, false, Over),
            (true, true, 0, 0, Method::POST, true, Again),
            (true, true, 90, 1, Method::GET, false, Over),
            (true, true, 0, 1, Method::GET, false, Over),
            (true, false, 90, 0, Method::GET, false, Over),
            (true, false, 0, 0, Method::GET, false, Over),
            (false, true, 90, 0, Method::GET, false, Over),
            (false, true, 1, 0, Method::GET, false, Over),
            (false, true, 0, 0, Method::GET, false, Unsent),
            (false, true, 0, 0, Method::POST, true, Unsent),
            (false, true, 0, 1, Method::GET, false, Over),
            (false, false, 0, 0, Method::GET, false, Over),
        ];
        for (reused, closed, bytes_written, bytes_read, method, has_body, verdict) in cases {
            let failure = Failure { fault: Kind::BackendGone.into(), closed, bytes_written, bytes_read };
            assert_eq!(
                judge(&failure, reused, &method, has_body),
                verdict,
                "{reused} {closed} {bytes_written} {bytes_read} {method} {has_body}"
            );
        }
    }
}
