//! Exchanges, ears and states for this room's tests.

use crate::log::{Level, LogSink};
use crate::state::{Common, State};
use http::{HeaderMap, HeaderValue, Method, Version};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
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
        trace: None,
    };
    Box::new(Exchange::new(Arc::new(ConnFacts::new(client, local, Scheme::Http, false)), head, 42))
}

/// Keeps the lines it is given.
#[derive(Default)]
pub(crate) struct Ears(pub(crate) Mutex<Vec<(Level, String)>>);

impl Ears {
    pub(crate) fn heard(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.0.lock().expect("no test panics with it"))
    }
}

impl LogSink for Ears {
    fn enabled(&self, _plugin: &str, _level: Level) -> bool {
        true
    }

    fn write(&self, _plugin: &str, level: Level, message: &str, _fields: &[(String, String)]) {
        self.0.lock().expect("no test panics with it").push((level, message.to_owned()));
    }
}

/// What a store carries, for a plugin that may or may not log.
pub(crate) fn state(ears: &Arc<Ears>, may_log: bool) -> State {
    let common = Common {
        name: "tested".into(),
        index: 0,
        config_json: "{}".to_owned(),
        memory_bytes_max: 1 << 20,
        table_elements_max: 20_000,
        body_held_bytes_max: 1 << 20,
        path_rules: wire::target::PathRules::default(),
        log: Arc::clone(ears) as Arc<dyn LogSink>,
        may_log,
        log_meter: crate::capability::log::Meter::default(),
        metrics: crate::metrics::Metrics::new().plugin("tested"),
        key_sets: Arc::default(),
        named: crate::named::Named::default(),
        started: Instant::now(),
    };
    let life = common.metrics.shard().birth();
    State::new(Arc::new(common), Duration::from_millis(50), false, life)
}
