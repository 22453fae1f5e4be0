//! Calls to upstreams, put together in one expression. Grant: `http = ["NAME"]`.
//!
//! ```no_run
//! # fn call() -> Result<(), gatelodge_sdk::Failure> {
//! use gatelodge_sdk::http::{Call, field};
//!
//! let reply = Call::get("login", "/verify").header("x-tenant", "a").timeout_ms(500).send()?;
//! let user = field(&reply, "x-user");
//! # let _ = user;
//! # Ok(())
//! # }
//! ```

use crate::{Credential, Failure, Header, http_out};
pub use http_out::Reply;

/// A call of an upstream by its name, with a path below the operator's URL.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Call {
    upstream: String,
    request: http_out::Request,
}

impl Call {
    /// `GET`; without a credential, and with the operator's own limits.
    pub fn get(upstream: &str, path: &str) -> Self {
        Self::new("GET", upstream, path, Vec::new())
    }

    /// `POST` with a body.
    pub fn post(upstream: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", upstream, path, body.into())
    }

    /// Any method but `CONNECT` and `TRACE`.
    pub fn new(method: &str, upstream: &str, path: &str, body: Vec<u8>) -> Self {
        let request = http_out::Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body,
            credential: Credential::None,
            timeout_ms: 0,
            response_bytes_max: 0,
        };
        Self { upstream: upstream.to_owned(), request }
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.request.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Which credential goes along; default none.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.request.credential = credential;
        self
    }

    /// Most time of the call in milliseconds; default 0, the operator's limit. At the edge: `timed-out`.
    pub fn timeout_ms(mut self, most: u32) -> Self {
        self.request.timeout_ms = most;
        self
    }

    /// Most bytes of the reply's body; default 0, the operator's limit. At the edge: `too-large`.
    pub fn reply_bytes_max(mut self, most: u32) -> Self {
        self.request.response_bytes_max = most;
        self
    }

    /// Sends it and waits for the whole reply; the worker serves others meanwhile.
    ///
    /// # Errors
    /// `denied`: not granted, or an address that plugins may not reach. `invalid`: the request
    /// can't be sent. `timed-out`, `too-large`, `unavailable`.
    pub fn send(self) -> Result<Reply, Failure> {
        http_out::send(&self.upstream, &self.request)
    }
}

/// Sends all at once, 64 at most; the replies come in the same order.
#[must_use]
pub fn send_all(calls: Vec<Call>) -> Vec<Result<Reply, Failure>> {
    let calls: Vec<_> = calls.into_iter().map(|call| (call.upstream, call.request)).collect();
    http_out::send_all(&calls)
}

/// The first line of a reply's field; names in any case.
#[must_use]
pub fn field<'r>(reply: &'r Reply, name: &str) -> Option<&'r [u8]> {
    let line = reply.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    line.map(|header| &header.value[..])
}

#[cfg(test)]
mod tests {
    use super::{Call, Reply, field};
    use crate::{Credential, Header};

    #[test]
    fn a_call_carries_what_it_was_told() {
        let call = Call::post("login", "/a", "b").header("x-c", "d").credential(Credential::Original);
        let Call { upstream, request } = call.timeout_ms(5).reply_bytes_max(6);
        assert_eq!((&upstream[..], &request.method[..], &request.path[..]), ("login", "POST", "/a"));
        assert_eq!((&request.body[..], request.timeout_ms, request.response_bytes_max), (&b"b"[..], 5, 6));
        assert_eq!(request.headers.len(), 1);
        assert!(matches!(request.credential, Credential::Original));
    }

    #[test]
    fn fields_are_found_in_any_case() {
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.into() };
        let headers = vec![header("x-user", "ada"), header("X-User", "eve")];
        let reply = Reply { status: 200, headers, body: Vec::new() };
        assert_eq!(field(&reply, "X-USER"), Some(&b"ada"[..]));
        assert_eq!(field(&reply, "x-other"), None);
    }
}
