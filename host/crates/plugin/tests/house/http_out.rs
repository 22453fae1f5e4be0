//! Hooks that wait for an upstream: a scripted peer on loopback, and what reaches it.

use crate::harness::{House, guest, guest_with, load_declared, request, told};
use bytes::Bytes;
use gatelodge_plugin::{Declared, PluginBody, PluginSettings, Resolve, Resolving, Timers, UpstreamSettings};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use wire::ports::Plugins as _;

/// What happens at the upstream.
#[derive(Default)]
struct Peer {
    open: Cell<usize>,
    changed: Notify,
    /// Answers are held back until this many wait at once.
    hold: Cell<usize>,
}

impl Peer {
    async fn until(&self, open: impl Fn(usize) -> bool) {
        let wait = async {
            while !open(self.open.get()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the peer sees it in time");
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Answers each connection's requests with `answer`, once `hold` of them are there.
async fn serve(answer: String, hold: usize) -> (SocketAddr, Rc<Peer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let peer = Rc::new(Peer::default());
    peer.hold.set(hold);
    let all = Rc::clone(&peer);
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (peer, answer) = (Rc::clone(&all), answer.clone());
            tokio::task::spawn_local(async move {
                while !head(&mut stream).await.is_empty() {
                    peer.open.set(peer.open.get() + 1);
                    peer.changed.notify_waiters();
                    let mut byte = [0];
                    let held = async {
                        while peer.open.get() < peer.hold.get() {
                            peer.changed.notified().await;
                        }
                    };
                    tokio::select! {
                        () = held => {}
                        // The other side has gone.
                        _ = stream.read(&mut byte) => {
                            peer.open.set(peer.open.get() - 1);
                            peer.changed.notify_waiters();
                            return;
                        }
                    }
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, peer)
}

fn ok(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length))
}

fn house(url: &str, change: impl FnOnce(&mut UpstreamSettings, &mut PluginSettings)) -> House {
    house_by(url, None, change)
}

fn house_by(
    url: &str,
    resolver: Option<Arc<dyn Resolve>>,
    change: impl FnOnce(&mut UpstreamSettings, &mut PluginSettings),
) -> House {
    let mut upstream = UpstreamSettings::new(url).expect("a URL");
    upstream.private = true;
    let mut plugin = guest_with("needs-http", |plugin| plugin.names.http = vec!["thing".to_owned()]);
    plugin.wall_max = Duration::from_secs(20);
    change(&mut upstream, &mut plugin);
    let upstreams = [("thing".to_owned(), upstream)].into();
    let declared = Declared { upstreams, resolver, ..Declared::default() };
    load_declared(vec![plugin], declared).unwrap_or_else(|errors| panic!("does not load: {errors:?}"))
}

async fn ask(house: &House) -> String {
    let (_, step, _) = house.plane.request_head(request("/", &[]), crate::harness::NoBody).await;
    told(&step)
}

#[tokio::test]
async fn many_wait_at_once() {
    let story = async {
        for many in [2, 64] {
            // The peer answers nobody before all have asked: were they in line, none would be answered.
            let (address, peer) = serve(ok(0), many).await;
            let house = Rc::new(house(&format!("http://{address}"), |_, _| {}));
            let asks: Vec<_> = (0..many)
                .map(|_| {
                    let house = Rc::clone(&house);
                    tokio::task::spawn_local(async move { ask(&house).await })
                })
                .collect();
            for ask in asks {
                // The guest gives up after a second: on a machine that busy it says so itself.
                let answer = ask.await.expect("no panic");
                assert!(answer.starts_with("answer 200 by needs-http"), "{answer}");
            }
            assert_eq!(peer.open.get(), many);
        }
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_stalled_upstream_costs_one_request() {
    let story = async {
        let (address, peer) = serve(ok(0), usize::MAX).await;
        let house = house(&format!("http://{address}"), |_, plugin| plugin.wall_max = Duration::from_millis(100));
        let answer = ask(&house).await;
        assert!(answer.contains("fault deadline of needs-http") && answer.contains("wall_ms_max"), "{answer}");
        peer.until(|open| open == 0).await;
        peer.hold.set(0);
        assert_eq!(ask(&house).await, "answer 200 by needs-http: Ok(200)\n");
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn waiting_costs_no_processor_time() {
    let story = async {
        let (address, peer) = serve(ok(0), usize::MAX).await;
        let deadline = Duration::from_millis(60);
        let house = Rc::new(house(&format!("http://{address}"), |_, plugin| plugin.deadline = deadline));
        let asked = Rc::clone(&house);
        let answer = tokio::task::spawn_local(async move { ask(&asked).await });
        peer.until(|open| open == 1).await;
        // The wait is what is tested: longer than the hook may compute, and the worker computes meanwhile.
        let begun = std::time::Instant::now();
        while begun.elapsed() < deadline * 4 {
            std::hint::spin_loop();
        }
        peer.hold.set(0);
        peer.changed.notify_waiters();
        assert_eq!(answer.await.expect("no panic"), "answer 200 by needs-http: Ok(200)\n");
        assert_eq!(house.metrics.faults(), []);
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call() {
    let story = async {
        let (address, peer) = serve(ok(0), usize::MAX).await;
        let house = Rc::new(house(&format!("http://{address}"), |upstream, _| upstream.connect_ms_max = 900));
        let asked = Rc::clone(&house);
        let ask_it = tokio::task::spawn_local(async move { ask(&asked).await });
        peer.until(|open| open == 1).await;
        assert_eq!(house.metrics.upstreams()[0].waiting, 1);
        ask_it.abort();
        peer.until(|open| open == 0).await;
        assert_eq!(house.metrics.faults(), [], "leaving is nobody's fault");
        let [seen] = &house.metrics.upstreams()[..] else { panic!("one upstream") };
        assert_eq!((&seen.plugin[..], &seen.upstream[..]), ("needs-http", "thing"));
        assert_eq!((seen.calls, seen.waiting, &seen.without_reply[..]), (1, 0, &[("left", 1)][..]));
        assert!(seen.nanoseconds > 0);
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn replies_at_their_limit_and_beyond() {
    let story = async {
        // The guest takes 1,024 bytes itself, the upstream may say less.
        for (length, upstream_max, expected) in
            [(1_024, 1 << 20, "Ok(200)"), (1_025, 1 << 20, "TooLarge"), (500, 500, "Ok(200)"), (501, 500, "TooLarge")]
        {
            let (address, _) = serve(ok(length), 0).await;
            let house = house(&format!("http://{address}"), |upstream, _| upstream.response_bytes_max = upstream_max);
            let answer = ask(&house).await;
            assert!(answer.contains(expected), "{length} of {upstream_max}: {answer}");
            let counted = house.metrics.upstreams().remove(0).without_reply;
            let failed: &[(&str, u64)] = if expected == "TooLarge" { &[("too-large", 1)] } else { &[] };
            assert_eq!(counted, failed, "{length} of {upstream_max}");
        }
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let story = async {
        let (elsewhere, seen) = serve(ok(0), 0).await;
        let text = format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
        let (address, _) = serve(text, 0).await;
        let house = house(&format!("http://{address}"), |_, _| {});
        assert_eq!(ask(&house).await, "answer 200 by needs-http: Ok(302)\n");
        assert_eq!(seen.open.get(), 0, "nothing is followed");
    };
    LocalSet::new().run_until(story).await;
}

/// An upstream that closes with its answer leaves a connection that is over, and nothing else.
#[tokio::test]
async fn an_upstream_that_closes_at_once() {
    let story = async {
        for length in [0, 500] {
            let text = ok(length).replacen("\r\n", "\r\nconnection: close\r\n", 1);
            let (address, _) = serve(text, 0).await;
            let house = house(&format!("http://{address}"), |_, _| {});
            for _ in 0..3 {
                assert_eq!(ask(&house).await, "answer 200 by needs-http: Ok(200)\n");
            }
        }
    };
    LocalSet::new().run_until(story).await;
}

/// Leads any name to these addresses.
struct Leads(Vec<SocketAddr>);

impl Resolve for Leads {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

#[tokio::test]
async fn inner_addresses_are_refused_unless_said() {
    let story = async {
        let (address, peer) = serve(ok(0), 0).await;
        let port = address.port();
        let by_name = format!("http://login.example:{port}");
        let outside: SocketAddr = "8.8.8.8:1".parse().expect("an address");
        for (url, leads, private, expected) in [
            (format!("http://127.0.0.1:{port}"), vec![], false, "Denied"),
            (format!("http://[::ffff:127.0.0.1]:{port}"), vec![], false, "Denied"),
            ("http://169.254.169.254".to_owned(), vec![], false, "Denied"),
            (by_name.clone(), vec![address], false, "Denied"),
            // One that is fine does not make the other so.
            (by_name.clone(), vec![outside, address], false, "Denied"),
            (by_name.clone(), vec![address], true, "Ok(200)"),
        ] {
            let before = peer.open.get();
            let resolver: Arc<dyn Resolve> = Arc::new(Leads(leads));
            let house = house_by(&url, Some(resolver), |upstream, _| upstream.private = private);
            let answer = ask(&house).await;
            assert!(answer.contains(expected), "{url}: {answer}");
            assert_eq!(peer.open.get() > before, private, "{url}");
            let line = "plugins.toml: [upstreams.thing] private = true";
            assert_eq!(house.lines().iter().any(|told| told.ends_with(line)), !private, "{url}: {:?}", house.lines());
        }
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn an_upstream_without_its_grant_tells_the_line() {
    let upstream = UpstreamSettings::new("http://a.example").expect("a URL");
    let plugin = guest_with("needs-http", |plugin| plugin.names.http = vec!["other".to_owned()]);
    let declared = Declared { upstreams: [("other".to_owned(), upstream)].into(), ..Declared::default() };
    let story = async {
        let house = load_declared(vec![plugin], declared).unwrap_or_else(|errors| panic!("does not load: {errors:?}"));
        let answer = ask(&house).await;
        assert!(answer.contains("Denied"), "{answer}");
        let lines = house.lines().join("\n");
        assert!(lines.contains("[plugin.grants] http = [\"thing\"]"), "{lines}");
    };
    LocalSet::new().run_until(story).await;
}

type Upload = UnsyncBoxBody<Bytes, wire::Fault>;

/// The guest that asks from every hook, behind one that counts what goes by.
fn everywhere(url: &str, way: &str, change: impl FnOnce(&mut PluginSettings)) -> House {
    let mut upstream = UpstreamSettings::new(url).expect("a URL");
    upstream.private = true;
    upstream.total_ms_max = 60_000;
    let asks = guest_with("asks-everywhere", |plugin| {
        plugin.names.http = vec!["thing".to_owned()];
        plugin.config_json = format!(r#"{{"way":"{way}"}}"#);
        change(plugin);
    });
    let declared = Declared { upstreams: [("thing".to_owned(), upstream)].into(), ..Declared::default() };
    load_declared(vec![guest("body-count"), asks], declared)
        .unwrap_or_else(|errors| panic!("does not load: {errors:?}"))
}

/// Sends a body of one chunk in.
async fn upload(house: &House, text: &'static str) -> (String, PluginBody<Upload>) {
    let mut exchange = request("/", &[]);
    exchange.request.method = http::Method::POST;
    exchange.request.framing = wire::Framing::Chunked;
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let (_, step, body) = house.plane.request_head(exchange, body).await;
    (told(&step), body)
}

async fn text(body: PluginBody<Upload>) -> Result<String, String> {
    let all = body.collect().await.map_err(|fault| format!("{fault}: {}", fault.detail.as_deref().unwrap_or("")))?;
    Ok(String::from_utf8_lossy(&all.to_bytes()).into_owned())
}

#[tokio::test]
async fn hooks_of_bodies_may_wait() {
    let story = async {
        for (way, expected) in [("stream", "onexxxx"), ("whole", "onexx")] {
            // Two that wait at once: were they in line, neither would be answered.
            let (address, peer) = serve(ok(2), 2).await;
            let house = Rc::new(everywhere(&format!("http://{address}"), way, |_| {}));
            let sends = [(); 2].map(|()| {
                let house = Rc::clone(&house);
                tokio::task::spawn_local(async move {
                    let (step, body) = upload(&house, "one").await;
                    (step, text(body).await)
                })
            });
            for send in sends {
                assert_eq!(send.await.expect("no panic"), ("continue".to_owned(), Ok(expected.to_owned())), "{way}");
            }
            assert!(peer.open.get() >= 2);
            let lines = house.lines();
            let gone = lines.iter().filter(|line| *line == "gone: Failure::Denied").count();
            assert_eq!(gone, if way == "stream" { 2 } else { 0 }, "a destructor does not wait: {lines:?}");
            assert_eq!(house.metrics.faults(), []);
        }
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_stalled_upstream_ends_one_body() {
    let story = async {
        for way in ["stream", "whole"] {
            let (address, peer) = serve(ok(2), usize::MAX).await;
            let limit = Duration::from_millis(100);
            let house = everywhere(&format!("http://{address}"), way, |plugin| plugin.wall_max = limit);
            let (step, body) = upload(&house, "one").await;
            let told = if way == "whole" { step } else { text(body).await.expect_err("no answer") };
            assert!(told.contains("wall_ms_max"), "{way}: {told}");
            peer.until(|open| open == 0).await;
            peer.hold.set(0);
            let (_, body) = upload(&house, "one").await;
            assert!(text(body).await.is_ok_and(|text| text.starts_with("onexx")), "{way}: the next one");
        }
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_wait_of_a_body() {
    let story = async {
        let (address, peer) = serve(ok(2), usize::MAX).await;
        let house = Rc::new(everywhere(&format!("http://{address}"), "stream", |_| {}));
        let (step, body) = upload(&house, "one").await;
        assert_eq!(step, "continue");
        let sends = tokio::task::spawn_local(text(body));
        peer.until(|open| open == 1).await;
        sends.abort();
        peer.until(|open| open == 0).await;
        assert_eq!(house.metrics.faults(), [], "leaving is nobody's fault");
        // The one before it has its last words all the same.
        assert!(house.lines().contains(&"gone after 3 bytes".to_owned()), "{:?}", house.lines());
    };
    LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn ticks_may_wait() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let house = everywhere(&format!("http://{address}"), "stream", |_| {});
    let timers = Timers::new();
    timers.switch(&house.chain);
    for tick in 0..3 {
        let (mut stream, _) = listener.accept().await.expect("a call of the tick");
        assert!(head(&mut stream).await.starts_with("GET /tick HTTP/1.1"), "{tick}");
        if tick == 2 {
            // The host waits for the tick that has begun.
            let stopped = std::thread::spawn(move || timers.stop(Duration::from_secs(30)));
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
                .await
                .expect("it listens");
            assert!(stopped.join().expect("no panic"));
            break;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
            .await
            .expect("it listens");
    }
    assert_eq!(house.lines(), ["tick: ok"; 3]);
    assert_eq!(house.metrics.faults(), []);
}

#[tokio::test]
async fn calls_at_once_are_bounded() {
    let story = async {
        for (calls_max, expected) in [(1, "Unavailable"), (2, "Ok(200)")] {
            let (address, peer) = serve(ok(0), usize::MAX).await;
            let house = Rc::new(house(&format!("http://{address}"), |upstream, _| upstream.calls_max = calls_max));
            let first = Rc::clone(&house);
            let first = tokio::task::spawn_local(async move { ask(&first).await });
            peer.until(|open| open == 1).await;
            let second = Rc::clone(&house);
            let second = tokio::task::spawn_local(async move { ask(&second).await });
            if calls_max == 2 {
                peer.until(|open| open == 2).await;
                peer.hold.set(0);
                peer.changed.notify_waiters();
            }
            let told = second.await.expect("no panic");
            assert!(told.contains(expected), "{calls_max}: {told}");
            peer.hold.set(0);
            peer.changed.notify_waiters();
            assert!(first.await.expect("no panic").contains("Ok(200)"));
        }
    };
    LocalSet::new().run_until(story).await;
}

/// One connection serves calls that follow each other.
#[tokio::test]
async fn a_connection_is_used_again() {
    let story = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let house = house(&format!("http://{address}"), |_, _| {});
        let connections = Rc::new(Cell::new(0));
        let counted = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                tokio::task::spawn_local(async move {
                    while !head(&mut stream).await.is_empty() {
                        if stream.write_all(ok(3).as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        for _ in 0..5 {
            assert!(ask(&house).await.contains("Ok(200)"));
        }
        assert_eq!(connections.get(), 1);
    };
    LocalSet::new().run_until(story).await;
}

/// A hook that computes for too long after it has waited is stopped, and costs its instance only.
#[tokio::test]
async fn a_wait_does_not_make_a_hook_endless() {
    let story = async {
        let (address, _) = serve(ok(0), 0).await;
        let house = everywhere(&format!("http://{address}"), "loop", |plugin| {
            plugin.deadline = Duration::from_millis(60);
        });
        let (step, body) = upload(&house, "one").await;
        assert_eq!(step, "continue");
        let told = text(body).await.expect_err("it was stopped");
        assert!(told.contains("deadline"), "{told}");
        assert_eq!(house.metrics.faults().len(), 1);
    };
    LocalSet::new().run_until(story).await;
}

/// An upstream behind TLS, and the certificate that it shows.
async fn behind_tls(names: &[&str]) -> (SocketAddr, Arc<[u8]>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::task::spawn_local(async move {
                // A client that does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => bytes.push(byte),
                        Err(_) => return,
                    }
                }
                drop(stream.write_all(ok(3).as_bytes()).await);
                drop(stream.shutdown().await);
            });
        }
    });
    (address, made.cert.pem().into_bytes().into())
}

#[tokio::test]
async fn an_upstream_behind_tls_has_to_prove_its_name() {
    let story = async {
        let (address, own) = behind_tls(&["auth.example"]).await;
        let (_, other) = behind_tls(&["auth.example"]).await;
        for (name, ca, expected) in [
            ("auth.example", Some(&own), "Ok(200)"),
            ("auth.example", Some(&other), "Unavailable"),
            // Mozilla's list does not know it.
            ("auth.example", None, "Unavailable"),
            ("other.example", Some(&own), "Unavailable"),
        ] {
            let url = format!("https://{name}:{}", address.port());
            let resolver: Arc<dyn Resolve> = Arc::new(Leads(vec![address]));
            let house = house_by(&url, Some(resolver), |upstream, _| upstream.ca = ca.cloned());
            let told = ask(&house).await;
            assert!(told.contains(expected), "{name}, {}: {told}", ca.is_some());
        }
        // Without TLS it is not talked to at all.
        let house = house(&format!("http://{address}"), |_, _| {});
        assert!(ask(&house).await.contains("Unavailable"));
    };
    LocalSet::new().run_until(story).await;
}

/// Whoever leaves while a hook waits leaves an exchange that goes home.
#[tokio::test]
async fn the_exchange_of_a_client_that_left_goes_home() {
    let story = async {
        for way in ["", "stream", "whole"] {
            let (address, peer) = serve(ok(2), usize::MAX).await;
            let url = format!("http://{address}");
            let house = if way.is_empty() { house(&url, |_, _| {}) } else { everywhere(&url, way, |_| {}) };
            assert!(house.plane.may_wait());
            let mut exchange = request("/", &[]);
            exchange.request.framing = wire::Framing::Chunked;
            let home = Arc::new(wire::exchange::Home::default());
            exchange.home = Some(Arc::clone(&home));
            let id = exchange.id;
            let body = Full::new(Bytes::from_static(b"one")).map_err(|never| match never {}).boxed_unsync();
            let way_in = async {
                let (exchange, _, body) = house.plane.request_head(exchange, body).await;
                // The hooks of a body see a picture: the exchange is the host's meanwhile.
                let held = wire::exchange::Held::new(exchange);
                drop(body.collect().await);
                held.release()
            };
            tokio::select! {
                _ = way_in => panic!("the upstream never answers"),
                () = peer.until(|open| open == 1) => {}
            }
            let back = home.take().expect("it came back");
            assert_eq!(back.id, id, "{way}");
            peer.until(|open| open == 0).await;
        }
    };
    LocalSet::new().run_until(story).await;
}
