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

/// True if sending again can't do anything twice.
///
/// Only a *reused* connection qualifies: the backend may have closed it while it
/// idled. Then nothing of the request was sent, or it is a safe request without
/// body (RFC 9110 §9.2.1) of which nothing was answered (RFC 9112 §9.3.1).
pub(crate) fn allows(failure: &Failure, reused: bool, method: &Method, has_body: bool) -> bool {
    let unsent = failure.bytes_written == 0;
    reused && failure.closed && failure.bytes_read == 0 && (unsent || (method.is_safe() && !has_body))
}

#[cfg(test)]
mod tests {
    use super::{Failure, allows};
    use http::Method;
    use wire::Kind;

    #[test]
    fn a_request_is_sent_again_only_where_nothing_happens_twice() {
        // reused, closed, written, read, method, has body -> again
        let cases = [
            (true, true, 90, 0, Method::GET, false, true),
            (true, true, 90, 0, Method::HEAD, false, true),
            (true, true, 90, 0, Method::OPTIONS, false, true),
            (true, true, 90, 0, Method::GET, true, false),
            (true, true, 90, 0, Method::POST, false, false),
            (true, true, 90, 0, Method::PUT, false, false),
            (true, true, 90, 0, Method::DELETE, false, false),
            (true, true, 0, 0, Method::POST, true, true),
            (true, true, 90, 1, Method::GET, false, false),
            (true, false, 90, 0, Method::GET, false, false),
            (false, true, 90, 0, Method::GET, false, false),
            (false, true, 0, 0, Method::GET, false, false),
        ];
        for (reused, closed, bytes_written, bytes_read, method, has_body, again) in cases {
            let failure = Failure { fault: Kind::BackendGone.into(), closed, bytes_written, bytes_read };
            assert_eq!(
                allows(&failure, reused, &method, has_body),
                again,
                "{reused} {closed} {bytes_written} {bytes_read} {method} {has_body}"
            );
        }
    }
}
