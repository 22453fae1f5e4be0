//! What a plugin costs a request, as a ratio to the cheapest call on this machine.
//!
//! `cargo run --release -p gatelodge-plugin --example hook_cost`
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use gatelodge_plugin::{
    Chain, EngineSettings, Grants, Isolation, KeySets, Level, LogSink, Metrics, ModuleSource, Plane, PlaneSettings,
    PluginEngine, PluginSettings, Surroundings,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wire::ports::Plugins as _;
use wire::{ConnFacts, Exchange, Framing, RequestHead, Scheme};

const ROUNDS: u32 = 9;
const CALLS: u32 = 100_000;

struct Silence;

impl LogSink for Silence {
    fn enabled(&self, _plugin: &str, _level: Level) -> bool {
        false
    }

    fn write(&self, _plugin: &str, _level: Level, _message: &str, _fields: &[(String, String)]) {}
}

fn exchange() -> Box<Exchange> {
    let address = |text: &str| text.parse().expect("an address");
    let conn = ConnFacts::new(address("203.0.113.7:51812"), address("192.0.2.1:80"), Scheme::Http, false);
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", "x".repeat(296));
    for (name, value) in [
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("authorization", &bearer),
        ("cookie", "session=0123456789abcdef; theme=dark"),
        ("referer", "https://example.com/"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("cache-control", "no-cache"),
        ("x-request-start", "1730000000"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    let head = RequestHead {
        method: Method::GET,
        target: "/api/orders/17?expand=lines".parse().expect("a target"),
        path: wire::CanonicalPath::AsSent,
        authority: HeaderValue::from_static("example.com"),
        version: Version::HTTP_11,
        headers,
        framing: Framing::None,
        expects_continue: false,
    };
    Box::new(Exchange::new(Arc::new(conn), head, 1))
}

fn plane(engine: &Arc<PluginEngine>, guests: &[&str], isolation: Isolation) -> Plane {
    let around = Surroundings {
        engine: Arc::clone(engine),
        key_sets: Arc::new(KeySets::new()),
        log: Arc::new(Silence),
        metrics: Metrics::new(),
        declared: gatelodge_plugin::Declared::default(),
        path_rules: wire::target::PathRules::default(),
    };
    let plugins = guests.iter().enumerate().map(|(at, guest)| {
        let bytes: Arc<[u8]> = gatelodge_guests::component(guest).into();
        let mut settings =
            PluginSettings::new(format!("{guest}-{at}"), ModuleSource { label: (*guest).to_owned(), bytes });
        settings.grants = Grants { log: true, ..Grants::default() };
        settings.isolation = isolation;
        settings
    });
    let settings = PlaneSettings { plugins: plugins.collect() };
    Arc::new(Chain::load(&settings, &around).expect("the guests load")).plane()
}

/// A request without a body.
struct NoBody;

impl http_body::Body for NoBody {
    type Data = bytes::Bytes;
    type Error = wire::Fault;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, wire::Fault>>> {
        Poll::Ready(None)
    }
}

/// Nanoseconds of one way in: the best of some rounds.
fn cost(plane: &Plane, calls: u32) -> f64 {
    let mut exchange = Some(exchange());
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..calls {
            let taken = exchange.take().expect("given back below");
            let hook = pin!(plane.request_head(taken, NoBody));
            let Poll::Ready((back, _, _)) = hook.poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("hooks never wait")
            };
            exchange = Some(back);
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

fn main() {
    let engine = Arc::new(PluginEngine::new(&EngineSettings::default()).expect("an engine"));
    let one = |guest| cost(&plane(&engine, &[guest], Isolation::Instance), CALLS);
    let none = cost(&plane(&engine, &[], Isolation::Instance), CALLS);
    let pass = one("pass");
    println!("{:<44} {:>8} {:>7}", "hook on a request head", "ns", "x pass");
    let show = |what: &str, ns: f64| println!("{what:<44} {ns:>8.0} {:>7.1}", ns / pass);
    show("no plugin", none);
    show("pass: a call that does nothing", pass);
    show("two-in-one-set: reads 2 fields, sets 1", one("two-in-one-set"));
    show("the same five times", cost(&plane(&engine, &["two-in-one-set"; 5], Isolation::Instance), CALLS / 5));
    let fresh = plane(&engine, &["two-in-one-set"], Isolation::Request);
    show("the same with fresh memory (isolation=request)", cost(&fresh, CALLS / 50));
}
