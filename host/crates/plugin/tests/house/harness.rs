//! A chain of guests with everything around it, and exchanges to send through it.

use gatelodge_plugin::{
    Chain, Declared, EngineSettings, Grants, KeySets, Level, LoadError, LogSink, Metrics, ModuleSource, Plane,
    PlaneSettings, PluginEngine, PluginSettings, Surroundings,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;
use std::cell::OnceCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use wire::fault::PluginFault;
use wire::ports::{Plugins as _, Step};
use wire::{ConnFacts, Exchange, Framing, Kind, RequestHead, ResponseHead, Scheme};

/// What the sink heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) plugin: String,
    pub(crate) level: Level,
    pub(crate) message: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// Keeps all lines.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) lines: Mutex<Vec<Line>>,
    pub(crate) faults: Mutex<Vec<(String, PluginFault, String)>>,
}

impl LogSink for Ears {
    fn enabled(&self, _plugin: &str, level: Level) -> bool {
        level > Level::Trace
    }

    fn write(&self, plugin: &str, level: Level, message: &str, fields: &[(String, String)]) {
        let line = Line { plugin: plugin.to_owned(), level, message: message.to_owned(), fields: fields.to_vec() };
        self.lines.lock().expect("no test panics with it").push(line);
    }

    fn fault(&self, plugin: &str, kind: PluginFault, text: &str) {
        self.faults.lock().expect("no test panics with it").push((plugin.to_owned(), kind, text.to_owned()));
    }
}

/// One engine for all tests: as in the program.
fn engine() -> Arc<PluginEngine> {
    static ENGINE: OnceLock<Arc<PluginEngine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| own_engine(200)))
}

/// An engine for a test that counts its instances.
pub(crate) fn own_engine(instances_max: u32) -> Arc<PluginEngine> {
    Arc::new(PluginEngine::new(&EngineSettings { instances_max, ..EngineSettings::default() }).expect("an engine"))
}

/// A plane with what it was made from.
pub(crate) struct House {
    pub(crate) plane: Plane,
    pub(crate) chain: Arc<Chain>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) metrics: Arc<Metrics>,
}

/// The settings of a guest with all grants, preemptible where `PREEMPTIBLE` says so.
pub(crate) fn guest(name: &str) -> PluginSettings {
    let bytes: Arc<[u8]> = gatelodge_guests::component(name).into();
    let mut settings = PluginSettings::new(name, ModuleSource { label: format!("{name}.wasm"), bytes });
    settings.grants = Grants { log: true, metrics: true, identity: true, written: false };
    // So that a busy machine fails none of the tests that are about something else.
    settings.deadline = std::time::Duration::from_secs(10);
    settings.preemptible = crate::PREEMPTIBLE;
    settings.wall_max = std::time::Duration::from_secs(60);
    settings
}

/// The same, changed.
pub(crate) fn guest_with(name: &str, change: impl FnOnce(&mut PluginSettings)) -> PluginSettings {
    let mut settings = guest(name);
    change(&mut settings);
    settings
}

pub(crate) fn load(plugins: Vec<PluginSettings>, key_sets: KeySets) -> Result<House, Vec<LoadError>> {
    load_on(engine(), plugins, key_sets)
}

pub(crate) fn load_on(
    engine: Arc<PluginEngine>,
    plugins: Vec<PluginSettings>,
    key_sets: KeySets,
) -> Result<House, Vec<LoadError>> {
    load_with(engine, plugins, key_sets, Declared::default())
}

/// The same, with stores, limiters and secrets.
pub(crate) fn load_declared(plugins: Vec<PluginSettings>, declared: Declared) -> Result<House, Vec<LoadError>> {
    load_with(engine(), plugins, KeySets::new(), declared)
}

fn load_with(
    engine: Arc<PluginEngine>,
    plugins: Vec<PluginSettings>,
    key_sets: KeySets,
    declared: Declared,
) -> Result<House, Vec<LoadError>> {
    if crate::PREEMPTIBLE && tokio::runtime::Handle::try_current().is_err() {
        be_a_worker();
    }
    let ears = Arc::new(Ears::default());
    let metrics = Metrics::new();
    let around = Surroundings {
        engine,
        key_sets: Arc::new(key_sets),
        log: Arc::clone(&ears) as Arc<dyn LogSink>,
        metrics: Arc::clone(&metrics),
        declared,
        path_rules: wire::target::PathRules::default(),
    };
    let chain = Arc::new(Chain::load(&PlaneSettings { plugins }, &around)?);
    let plane = chain.plane();
    assert_eq!(chain.manifests().count(), chain.manifests().filter(|(_, manifest)| manifest.is_some()).count());
    Ok(House { plane, chain, ears, metrics })
}

pub(crate) fn house(plugins: Vec<PluginSettings>) -> House {
    load(plugins, KeySets::new()).unwrap_or_else(|errors| panic!("does not load: {errors:?}"))
}

/// A request with these fields.
pub(crate) fn request(target: &str, fields: &[(&str, &str)]) -> Box<Exchange> {
    let address = |text: &str| text.parse().expect("an address");
    let conn = ConnFacts::new(address("203.0.113.7:51812"), address("192.0.2.1:80"), Scheme::Http, false);
    let target: http::uri::PathAndQuery = target.parse().expect("a target");
    let path = wire::target::canonical(target.path(), wire::target::PathRules::default()).expect("a path");
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"));
    }
    let head = RequestHead {
        method: Method::GET,
        target,
        path,
        authority: HeaderValue::from_static("example.com"),
        version: Version::HTTP_11,
        headers,
        framing: Framing::None,
        expects_continue: false,
        trace: None,
    };
    static IDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let id = IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Box::new(Exchange::new(Arc::new(conn), head, id))
}

/// A message without a body.
pub(crate) struct NoBody;

impl http_body::Body for NoBody {
    type Data = bytes::Bytes;
    type Error = wire::Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, wire::Fault>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

thread_local! {
    static WORKER: OnceCell<(&'static Runtime, &'static LocalSet)> = const { OnceCell::new() };
}

/// Gives this thread, for all its life, what a worker's thread has.
fn be_a_worker() {
    WORKER.with(|worker| {
        worker.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (runtime, set): (&Runtime, &LocalSet) =
                (Box::leak(Box::new(runtime)), Box::leak(Box::new(LocalSet::new())));
            std::mem::forget((runtime.enter(), set.enter()));
            (runtime, set)
        });
    });
}

/// Hooks that gave way, and whose exchange is over, go on.
pub(crate) fn let_others_run() {
    let Some((runtime, set)) = WORKER.with(|worker| worker.get().copied()) else { return };
    set.block_on(runtime, async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    });
}

/// Hooks never wait: one poll is enough. A preemptible one may have to be asked again.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => return value,
            Poll::Pending if crate::PREEMPTIBLE => {}
            Poll::Pending => panic!("a hook waited"),
        }
    }
}

impl House {
    pub(crate) fn way_in(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        let (exchange, step, _) = now(self.plane.request_head(exchange, NoBody));
        (exchange, step)
    }

    pub(crate) fn way_out(&self, exchange: Box<Exchange>) -> (Box<Exchange>, Step) {
        let (exchange, mut step, mut body) = now(self.plane.response_head(exchange, NoBody));
        if let Step::Answer(answer) = &mut step {
            // An answer's bytes come by the body that was given back.
            let frame = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(Some(Ok(frame))) = frame {
                answer.body = frame.into_data().unwrap_or_default();
            }
        }
        (exchange, step)
    }

    /// In, and out with a response of the backend.
    pub(crate) fn round(&self, exchange: Box<Exchange>, status: u16) -> (Box<Exchange>, Step) {
        let (mut exchange, step) = self.way_in(exchange);
        assert!(matches!(step, Step::Continue), "{}", told(&step));
        exchange.response = Some(ResponseHead::new(StatusCode::from_u16(status).expect("a status")));
        exchange.source = wire::exchange::Source::Backend;
        self.way_out(exchange)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let_others_run();
        self.ears.lines.lock().expect("no test panics with it").iter().map(|line| line.message.clone()).collect()
    }
}

/// A step in words.
pub(crate) fn told(step: &Step) -> String {
    match step {
        Step::Continue => "continue".to_owned(),
        Step::Answer(answer) => {
            format!("answer {} by {}: {}", answer.status.as_u16(), answer.plugin, String::from_utf8_lossy(&answer.body))
        }
        Step::Fault(fault) => match &fault.kind {
            Kind::Plugin(name, kind) => {
                format!("fault {} of {name}: {}", kind.as_str(), fault.detail.as_deref().unwrap_or(""))
            }
            _ => fault.to_string(),
        },
    }
}

/// All lines of a request field.
pub(crate) fn lines(exchange: &Exchange, name: &str) -> Vec<String> {
    text(&exchange.request.headers, name)
}

/// All lines of a response field.
pub(crate) fn response_lines(exchange: &Exchange, name: &str) -> Vec<String> {
    exchange.response.as_ref().map(|head| text(&head.headers, name)).unwrap_or_default()
}

fn text(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}
