//! What a plugin costs a request, as a ratio to the engine's bare call of a function that
//! does nothing. The figures go to `target/bench/hook-cost.json` too.
//!
//! `cargo run --release -p gatelodge-plugin --example hook_cost`
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use bytes::Bytes;
use gatelodge_plugin::{
    Chain, Declared, EngineSettings, Grants, Isolation, KeySets, Level, LogSink, Metrics, ModuleSource, Plane,
    PlaneSettings, PluginEngine, PluginSettings, Surroundings, UpstreamSettings,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use http_body::Body as _;
use std::future::Future;
use std::hint::black_box;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use wire::ports::{Ending, Plugins as _, Summary};
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
        trace: None,
    };
    Box::new(Exchange::new(Arc::new(conn), head, 1))
}

fn plane(engine: &Arc<PluginEngine>, guests: &[&str], isolation: Isolation) -> Plane {
    let upstream = UpstreamSettings::new("https://asked.example").expect("a URL");
    let around = Surroundings {
        engine: Arc::clone(engine),
        key_sets: Arc::new(KeySets::new()),
        log: Arc::new(Silence),
        metrics: Metrics::new(),
        declared: Declared { upstreams: [("thing".to_owned(), upstream)].into(), ..Declared::default() },
        path_rules: wire::target::PathRules::default(),
    };
    let plugins = guests.iter().enumerate().map(|(at, guest)| {
        let bytes: Arc<[u8]> = gatelodge_guests::component(guest).into();
        let mut settings =
            PluginSettings::new(format!("{guest}-{at}"), ModuleSource { label: (*guest).to_owned(), bytes });
        settings.grants = Grants { log: true, ..Grants::default() };
        settings.isolation = isolation;
        if *guest == "may-wait" {
            settings.names.http = vec!["thing".to_owned()];
        }
        settings
    });
    let settings = PlaneSettings { plugins: plugins.collect() };
    Arc::new(Chain::load(&settings, &around).expect("the guests load")).plane()
}

/// A body of pieces that are all the same.
struct Pieces {
    piece: Bytes,
    left: u32,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = wire::Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, wire::Fault>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(http_body::Frame::data(self.piece.clone()))))
    }
}

fn nothing() -> Pieces {
    Pieces { piece: Bytes::new(), left: 0 }
}

/// Nothing here waits for the network: what may wait only gives its turn away at a tick
/// of the clock, and has the next one at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

/// Nanoseconds of one call: the best of some rounds.
fn best(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

/// One way in.
fn way_in(plane: &Plane, calls: u32) -> f64 {
    let mut held = Some(exchange());
    best(calls, || {
        let taken = held.take().expect("given back below");
        held = Some(now(plane.request_head(taken, nothing())).0);
    })
}

/// One way in and one end.
fn to_the_end(plane: &Plane, calls: u32) -> f64 {
    let summary = Summary {
        status: Some(http::StatusCode::OK),
        ending: Ending::Complete,
        duration: Duration::from_micros(250),
        first_byte: Some(Duration::from_micros(200)),
        bytes_in: 0,
        bytes_out: 3,
        upstream: None,
        detail: None,
    };
    best(calls, || {
        let (exchange, _, _) = now(plane.request_head(exchange(), nothing()));
        plane.complete(exchange, &summary);
    })
}

/// One chunk of a body of many.
fn chunk(plane: &Plane, bytes: usize) -> f64 {
    const CHUNKS: u32 = 2_000;
    let piece = Bytes::from(vec![b'a'; bytes]);
    let body = best(1, || {
        let mut exchange = exchange();
        exchange.request.method = Method::POST;
        exchange.request.framing = Framing::Chunked;
        let pieces = Pieces { piece: piece.clone(), left: CHUNKS };
        let (_exchange, _, mut body) = now(plane.request_head(exchange, pieces));
        while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            black_box(frame.expect("a chunk"));
        }
    });
    body / f64::from(CHUNKS)
}

fn copy(bytes: usize) -> f64 {
    let from = vec![b'a'; bytes];
    let mut to = vec![0; bytes];
    best(20_000, || black_box(&mut to).copy_from_slice(black_box(&from)))
}

/// A component with one function that does nothing, and no memory.
const BARE: &[u8] = b"\0asm\x0d\0\x01\0\
    \x01\x22\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x08\x01\x04noop\0\0\x0a\x04\x01\x02\0\x0b\
    \x02\x04\x01\0\0\0\
    \x06\x0a\x01\0\0\x01\0\x04noop\
    \x07\x05\x01\x40\0\x01\0\
    \x08\x06\x01\0\0\0\0\0\
    \x0b\x0a\x01\0\x04noop\x01\0\0";

/// The engine's floor: one typed call of a function that does nothing, with a deadline.
fn floor() -> f64 {
    let mut config = wasmtime::Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    let engine = wasmtime::Engine::new(&config).expect("an engine");
    let component = wasmtime::component::Component::new(&engine, BARE).expect("a component");
    let mut store = wasmtime::Store::new(&engine, ());
    store.set_epoch_deadline(1_000);
    let instance =
        wasmtime::component::Linker::new(&engine).instantiate(&mut store, &component).expect("it imports nothing");
    let noop = instance.get_typed_func::<(), ()>(&mut store, "noop").expect("its only function");
    best(CALLS, || noop.call(&mut store, ()).expect("it does nothing"))
}

/// Several workers at once, each with its own instances: the slowest one's figure.
fn at_once(engine: &Arc<PluginEngine>, workers: usize) -> f64 {
    let barrier = Barrier::new(workers);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let plane = plane(engine, &["two-in-one-set"], Isolation::Request);
                    barrier.wait();
                    way_in(&plane, CALLS / 20)
                })
            })
            .collect();
        all.into_iter().map(|worker| worker.join().expect("a worker that does not panic")).fold(0.0, f64::max)
    })
}

fn main() {
    // Timers of hooks that may wait live in a runtime, as on a worker.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let local = tokio::task::LocalSet::new();
    let _on_it = local.enter();
    let engine = Arc::new(PluginEngine::new(&EngineSettings::default()).expect("an engine"));
    let of = |guests: &[&str]| plane(&engine, guests, Isolation::Instance);
    let floor = floor();
    println!("{:<58} {:>9} {:>8}", "what", "ns", "x floor");
    let mut rows = Vec::new();
    let mut show = |what: &str, ns: f64| {
        println!("{what:<58} {ns:>9.0} {:>8.2}", ns / floor);
        rows.push(serde_json::json!({ "what": what, "ns": ns, "floor": ns / floor }));
        ns
    };
    show("engine floor: a bare call that does nothing", floor);
    show("request-head: no plugin", way_in(&of(&[]), CALLS));
    show("request-head: a plugin without the hook", way_in(&of(&["body-trailer"]), CALLS));
    show("request-head: a hook that does nothing", way_in(&of(&["pass"]), CALLS));
    let one = show("request-head: reads 2 fields, sets 1", way_in(&of(&["two-in-one-set"]), CALLS));
    let fiber = show("the same on a fiber: granted what may wait", way_in(&of(&["may-wait"]), CALLS));
    let five = show("the same in a chain of 5", way_in(&of(&["two-in-one-set"; 5]), CALLS / 5));
    let twenty = show("the same in a chain of 20", way_in(&of(&["two-in-one-set"; 20]), CALLS / 20));
    let bare = to_the_end(&of(&[]), CALLS / 5);
    let told = to_the_end(&of(&["completion-log"]), CALLS / 5);
    show("completion: a hook that logs, log switched off", (told - bare).max(0.0));
    let fresh = show("request-head: fresh memory, configure included", at_once(&engine, 1));
    let two = show("the same on two workers at once", at_once(&engine, 2));
    for kib in [1, 16, 64] {
        let copied = show(&format!("copy of {kib} KiB"), copy(kib << 10));
        let passed = show(&format!("request-body: {kib} KiB pass"), chunk(&of(&["body-pass"]), kib << 10));
        let bound = 1.2 * copied + 2.0 * floor;
        show(&format!("  bound of that: 1.2 copies and 2 floors ({:.2} of it)", passed / bound), bound);
    }
    println!(
        "\non a fiber: {:+.2} floors; chain of 5: {:.2} of one; of 20: {:.2}; fresh on two workers: {:.2} of one",
        (fiber - one) / floor,
        five / one,
        twenty / one,
        two / fresh
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/bench");
    let file = folder.join("hook-cost.json");
    let text = serde_json::to_vec_pretty(&rows).expect("numbers and texts");
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
        Ok(()) => println!("raw figures: target/bench/hook-cost.json"),
        Err(error) => println!("{} can't be written: {error}", file.display()),
    }
}
