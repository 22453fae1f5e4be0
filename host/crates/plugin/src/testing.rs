//! Exchanges for this room's tests.

use http::{HeaderMap, HeaderValue, Method, Version};
use std::sync::Arc;
use wire::{ConnFacts, Exchange, Framing, RequestHead, Scheme};

/// A request for `example.com` by 203.0.113.7, without fields.
pub(crate) fn exchange(method: &str, target: &str) -> Box<Exchange> {
    let client = "203.0.113.7:51812".parse().expect("an address");
    let local = "192.0.2.1:80".parse().expect("an address");
    let target: http::uri::PathAndQuery = target.parse().expect("a target");
    let path = wire::target::canonical(target.path(), wire::target::PathRules::default()).expect("a path");
    let head = RequestHead {
        method: Method::from_bytes(method.as_bytes()).expect("a method"),
        target,
        path,
        authority: HeaderValue::from_static("example.com"),
        version: Version::HTTP_11,
        headers: HeaderMap::new(),
        framing: Framing::None,
        expects_continue: false,
    };
    Box::new(Exchange::new(Arc::new(ConnFacts::new(client, local, Scheme::Http, false)), head, 42))
}
