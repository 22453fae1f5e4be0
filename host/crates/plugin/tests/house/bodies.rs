//! Body hooks: what each verdict does to the bytes, and what a bad one costs.

use crate::harness::{House, guest, guest_with, house, let_others_run, lines, request, response_lines, told};
use bytes::Bytes;
use gatelodge_plugin::{FaultPolicy, Isolation, OnFault, PluginBody, PluginSettings};
use http::{HeaderValue, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use wire::exchange::Source;
use wire::fault::PluginFault;
use wire::ports::{Ending, Plugins as _, Step, Summary};
use wire::{Exchange, Fault, Framing, Kind, ResponseHead};

thread_local! {
    /// A body has paused, so that what waits, waits for that.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// What waits has given way to others: it is to be asked again.
fn gave_way() -> bool {
    crate::PREEMPTIBLE && !PAUSED.take()
}

/// A body that comes in pieces: `None` is a pause.
struct Pieces {
    pieces: VecDeque<Option<Result<Bytes, Fault>>>,
    /// Its length was announced, so that its end is known with its last byte.
    announced: bool,
}

impl Pieces {
    fn new(pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| Some(Ok(Bytes::copy_from_slice(piece.as_bytes())))).collect();
        Self { pieces, announced: false }
    }

    fn announced(pieces: &[&str]) -> Self {
        Self { announced: true, ..Self::new(pieces) }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.pieces.pop_front() {
            None => Poll::Ready(None),
            Some(None) => {
                PAUSED.set(true);
                Poll::Pending
            }
            Some(Some(piece)) => Poll::Ready(Some(piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.announced && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let bytes = self.pieces.iter().flatten().flatten().map(|piece| piece.len() as u64).sum();
        if self.announced { SizeHint::with_exact(bytes) } else { SizeHint::default() }
    }
}

/// A request with a body of this length.
fn upload(framing: Framing, fields: &[(&str, &str)]) -> Box<Exchange> {
    let mut exchange = request("/", fields);
    exchange.request.method = http::Method::POST;
    exchange.request.framing = framing;
    exchange
}

/// The same with a response that announces this length.
fn answered(mut exchange: Box<Exchange>, length: u64) -> Box<Exchange> {
    let mut head = ResponseHead::new(StatusCode::OK);
    head.headers.insert("content-length", HeaderValue::from(length));
    exchange.response = Some(head);
    exchange.source = Source::Backend;
    exchange
}

fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut future = std::pin::pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() || !gave_way() {
            return polled;
        }
    }
}

impl House {
    fn body_in(&self, exchange: Box<Exchange>, body: Pieces) -> (Box<Exchange>, Step, PluginBody<Pieces>) {
        let Poll::Ready(back) = poll(self.plane.request_head(exchange, body)) else { panic!("the body had a pause") };
        back
    }

    fn body_out(&self, exchange: Box<Exchange>, body: Pieces) -> (Box<Exchange>, Step, PluginBody<Pieces>) {
        let Poll::Ready(back) = poll(self.plane.response_head(exchange, body)) else { panic!("the body had a pause") };
        back
    }

    /// Sends a body in; gives the exchange, and what came out of it.
    fn sends(&self, pieces: &[&str]) -> (Box<Exchange>, Result<String, Fault>) {
        let (exchange, step, mut body) = self.body_in(upload(Framing::Chunked, &[]), Pieces::new(pieces));
        assert_eq!(told(&step), "continue");
        (exchange, drain(&mut body))
    }

    fn faults(&self) -> Vec<PluginFault> {
        self.ears.faults.lock().expect("no test panics with it").iter().map(|(_, kind, _)| *kind).collect()
    }
}

/// The next bytes: `Ok(None)` at the end; a pause is an empty piece.
fn next(body: &mut PluginBody<Pieces>) -> Result<Option<Bytes>, Fault> {
    loop {
        match Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending if gave_way() => {}
            Poll::Pending => return Ok(Some(Bytes::new())),
            Poll::Ready(None) => return Ok(None),
            Poll::Ready(Some(Err(fault))) => return Err(fault),
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// All there is.
fn drain(body: &mut PluginBody<Pieces>) -> Result<String, Fault> {
    let mut all = Vec::new();
    while let Some(piece) = next(body)? {
        all.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(all).expect("text"))
}

fn why(fault: &Fault) -> String {
    match &fault.kind {
        Kind::Plugin(name, kind) => format!("{} of {name}: {}", kind.as_str(), fault.detail.as_deref().unwrap_or("")),
        Kind::Aborted(answer) => {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            format!("aborted {} by {}: {body}", answer.status.as_u16(), answer.plugin)
        }
        other => format!("{other:?}"),
    }
}

fn complete(house: &House, exchange: Box<Exchange>) {
    let summary = Summary {
        status: None,
        ending: Ending::Complete,
        duration: Duration::ZERO,
        first_byte: None,
        bytes_in: 0,
        bytes_out: 0,
        upstream: None,
        detail: None,
    };
    house.plane.complete(exchange, &summary);
    let_others_run();
}

const BOTH: [Isolation; 2] = [Isolation::Instance, Isolation::Request];

fn in_isolation(name: &str, isolation: Isolation) -> PluginSettings {
    guest_with(name, |settings| settings.isolation = isolation)
}

#[test]
fn each_verdict_does_to_the_bytes_what_it_says() {
    for (name, pieces, expected) in [
        ("body-pass", &["one ", "two"][..], "one two"),
        ("body-upper", &["one ", "two"], "ONE TWO"),
        ("body-drop", &["one ", "two"], ""),
        ("body-hold", &["one ", "two"], "one two"),
        ("body-finish", &["one ", "two"], "one <end></end>"),
        ("body-done", &["one ", "two"], "<ne >two"),
        ("body-count", &["one ", "two"], "one two"),
        ("body-events", &["a: 1\n", "\n:drop\n\nb", ": 2\n\n"], "a: 1\n\nb: 2\n\n"),
        ("body-pass", &[], ""),
        ("body-finish", &[], "</end>"),
    ] {
        for isolation in BOTH {
            let house = house(vec![in_isolation(name, isolation)]);
            let (exchange, got) = house.sends(pieces);
            assert_eq!(got.map_err(|fault| why(&fault)).as_deref(), Ok(expected), "{name} {isolation:?}");
            // And the same on the way out.
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            let (_, step, mut body) = house.body_out(answered(exchange, length), Pieces::announced(pieces));
            assert_eq!(told(&step), "continue");
            assert_eq!(drain(&mut body).map_err(|fault| why(&fault)).as_deref(), Ok(expected), "{name} {isolation:?}");
            assert!(body.is_end_stream());
            assert_eq!(house.faults(), []);
        }
    }
}

#[test]
fn the_length_goes_only_where_it_may_change() {
    for (name, framing, lengths) in [
        ("body-upper", Framing::Chunked, &[][..]),
        ("body-count", Framing::Length(3), &["3"]),
        ("pass", Framing::Length(3), &["3"]),
    ] {
        let house = house(vec![guest(name)]);
        let (exchange, _, body) = house.body_in(upload(Framing::Length(3), &[]), Pieces::announced(&["one"]));
        assert_eq!(exchange.request.framing, framing, "{name}");
        assert_eq!(body.size_hint().exact(), lengths.first().map(|_| 3), "{name}");
        let (exchange, _, body) = house.body_out(answered(exchange, 3), Pieces::announced(&["one"]));
        assert_eq!(response_lines(&exchange, "content-length"), lengths, "{name}");
        assert_eq!(body.size_hint().exact(), lengths.first().map(|_| 3), "{name}");
    }
}

#[test]
fn a_body_of_known_length_ends_with_its_last_byte() {
    let house = house(vec![guest("body-finish")]);
    let (_, _, mut body) = house.body_in(upload(Framing::Length(3), &[]), Pieces::announced(&["one"]));
    assert!(!body.is_end_stream());
    assert_eq!(next(&mut body).ok().flatten().as_deref(), Some(&b"one<end>"[..]));
    // Whoever takes it by its length never asks again: its end has been told with it.
    assert!(!body.is_end_stream(), "the plugin has added to it");
    assert_eq!(next(&mut body).ok().flatten().as_deref(), Some(&b"</end>"[..]));
}

#[test]
fn messages_without_a_body_have_no_body_hooks() {
    let house = house(vec![guest("body-finish")]);
    for framing in [Framing::None, Framing::Length(0)] {
        let (exchange, step, body) = house.body_in(upload(framing, &[]), Pieces::announced(&[]));
        assert_eq!((told(&step), exchange.request.framing), ("continue".to_owned(), framing));
        assert!(body.is_end_stream());
    }
    for (method, status) in [("HEAD", 200), ("POST", 204), ("POST", 304)] {
        let mut exchange = upload(Framing::None, &[]);
        exchange.request.method = method.parse().expect("a method");
        let (exchange, _, _) = house.body_in(exchange, Pieces::announced(&[]));
        let mut exchange = answered(exchange, 3);
        exchange.response.as_mut().expect("just put").status = StatusCode::from_u16(status).expect("a status");
        let (exchange, _, body) = house.body_out(exchange, Pieces::announced(&[]));
        assert!(body.is_end_stream(), "{method} {status}");
        assert_eq!(response_lines(&exchange, "content-length"), ["3"], "{method} {status}");
    }
}

#[test]
fn a_refusal_in_the_middle_is_an_answer_or_an_end() {
    for isolation in BOTH {
        let house = house(vec![in_isolation("body-abort", isolation)]);
        let (_, got) = house.sends(&["quiet", "loud!", "more"]);
        assert_eq!(got.map_err(|fault| why(&fault)), Err("aborted 422 by body-abort: No shouting.\n".to_owned()));
        assert_eq!(house.faults(), [], "a refusal is no fault");
        assert_eq!(house.sends(&["quiet"]).1.ok().as_deref(), Some("quiet"));
    }
}

#[test]
fn a_fault_in_a_chunk_costs_one_request() {
    for (name, kind) in [
        ("body-trap", PluginFault::Trap),
        ("body-loop", PluginFault::Deadline),
        ("body-grow", PluginFault::Memory),
        ("body-lies", PluginFault::BadOutput),
    ] {
        for isolation in BOTH {
            let settings = guest_with(name, |settings| {
                settings.isolation = isolation;
                settings.deadline = Duration::from_millis(30);
            });
            let house = house(vec![settings]);
            // A good request has its body open on the same worker all the while.
            let (_, _, mut good) = house.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["a", "b"]));
            if name != "body-lies" {
                assert_eq!(next(&mut good).ok().flatten().as_deref(), Some(&b"a"[..]));
            }
            let (_, got) = house.sends(&["quiet", "loud!"]);
            let text = why(&got.expect_err("refused"));
            assert!(text.starts_with(&format!("{} of {name}: ", kind.as_str())), "{text}");
            assert!(text.contains("hook request-body: it "), "{text}");
            if name != "body-lies" {
                assert_eq!(drain(&mut good).ok().as_deref(), Some("b"));
                assert_eq!(house.sends(&["after"]).1.ok().as_deref(), Some("after"));
            }
            assert_eq!(house.faults(), [kind]);
        }
    }
}

#[test]
fn skipping_a_fault_never_leaves_half_a_change() {
    let skip = |name| guest_with(name, |settings| settings.on_fault = OnFault::all(FaultPolicy::Skip));
    let early = house(vec![skip("body-trap")]);
    assert_eq!(early.sends(&["quiet ", "loud! ", "more"]).1.ok().as_deref(), Some("quiet loud! more"));
    assert_eq!(early.faults(), [PluginFault::Trap]);

    let late = house(vec![skip("body-late-trap")]);
    assert_eq!(late.sends(&["loud! ", "more"]).1.ok().as_deref(), Some("loud! more"), "nothing was changed yet");
    let (_, got) = late.sends(&["quiet ", "loud!"]);
    assert!(why(&got.expect_err("never half")).starts_with("trap of body-late-trap"));
}

/// The limit of what the host holds: `body_held_bytes_max`, and one more.
#[test]
fn what_one_chunk_gives_back_is_bounded() {
    for (bytes, fits) in [("70000", true), ("70001", false), ("9000000", false)] {
        let settings = guest_with("body-huge", |settings| settings.body_held_bytes_max = 70_000);
        let house = house(vec![settings]);
        let (_, got) = house.sends(&[bytes]);
        assert_eq!(got.as_ref().ok().map(String::len), fits.then_some(70_000), "{bytes}");
        if let Err(fault) = got {
            let text = why(&fault);
            assert!(text.starts_with("bad-output of body-huge: "), "{text}");
            assert!(text.contains("body_held_bytes_max is 70000") || text.contains("handed over more than"), "{text}");
        }
        let over = house.metrics.held_over();
        assert_eq!(over.len(), usize::from(bytes == "70001"), "{bytes}: {over:?}");
    }
}

#[test]
fn two_bodies_at_once_never_see_each_other() {
    for isolation in BOTH {
        let house = house(vec![in_isolation("body-window", isolation)]);
        let open = |pieces| house.body_in(upload(Framing::Chunked, &[]), Pieces::new(pieces)).2;
        let mut guilty = open(&["xEI", "CARx"]);
        let mut innocent = open(&["xEI", "other", "CAR"]);
        assert!(next(&mut guilty).is_ok() && next(&mut innocent).is_ok() && next(&mut innocent).is_ok());
        assert_eq!(drain(&mut innocent).ok().as_deref(), Some("CAR"));
        assert!(why(&next(&mut guilty).expect_err("found")).starts_with("aborted 422"));
    }
}

/// `instances_max` bodies at once, and one more.
#[test]
fn open_bodies_are_bounded() {
    for isolation in BOTH {
        let house = house(vec![guest_with("body-pass", |settings| {
            settings.isolation = isolation;
            settings.instances_max = 2;
        })]);
        let open = || house.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["x"]));
        let (first, second) = (open(), open());
        let (_, step, _) = open();
        assert!(told(&step).starts_with("fault memory of body-pass"), "{}", told(&step));
        drop(first);
        let_others_run();
        let (_, step, mut body) = open();
        assert_eq!(told(&step), "continue");
        assert_eq!(drain(&mut body).ok().as_deref(), Some("x"));
        drop(second);
    }
}

/// The stated bound of linear memory, reached by instances that hold as much as they may:
/// each open body has one, with `isolation = "request"` also each exchange that waits for its
/// response, and one is at work.
#[test]
fn memory_of_all_instances_is_bounded_as_stated() {
    const WORKERS: u64 = 2;
    const BODIES: u64 = 3;
    const BYTES_MAX: u64 = 4 << 20;
    let held = "x".repeat(64 << 10);
    let many: Vec<&str> = std::iter::repeat_n(held.as_str(), 12).collect();
    let far_too_many: Vec<&str> = std::iter::repeat_n(held.as_str(), 80).collect();
    for (isolation, instances_max) in [(Isolation::Instance, BODIES + 1), (Isolation::Request, 2 * BODIES + 1)] {
        let settings = guest_with("body-hold", |settings| {
            settings.isolation = isolation;
            settings.instances_max = u32::try_from(BODIES).expect("small");
            settings.memory_bytes_max = usize::try_from(BYTES_MAX).expect("small");
        });
        let first = house(vec![settings]);
        let second = House {
            plane: first.chain.plane(),
            chain: std::sync::Arc::clone(&first.chain),
            ears: std::sync::Arc::clone(&first.ears),
            metrics: std::sync::Arc::clone(&first.metrics),
        };
        let seen = || first.metrics.seen().pop().expect("one plugin");
        let bounded = || {
            let seen = seen();
            assert!(seen.instances <= WORKERS * instances_max, "{isolation:?}: {seen:?}");
            assert!(seen.memory_bytes <= WORKERS * instances_max * BYTES_MAX, "{isolation:?}: {seen:?}");
        };
        let (mut bodies, mut waiting) = (Vec::new(), Vec::new());
        for worker in [&first, &second] {
            for _ in 0..BODIES {
                let mut pieces = Pieces::new(&many);
                pieces.pieces.push_back(None);
                let (exchange, step, mut body) = worker.body_in(upload(Framing::Chunked, &[]), pieces);
                assert_eq!(told(&step), "continue");
                // Fed until it pauses: all of it is in the instance, and nowhere else.
                assert_eq!(next(&mut body).ok().flatten(), Some(Bytes::new()), "{:?}", first.faults());
                bodies.push((exchange, body));
                bounded();
            }
            let (_, step, _) = worker.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["x"]));
            assert!(told(&step).starts_with("fault memory of body-hold"), "{}", told(&step));
            for _ in 0..2 * BODIES {
                waiting.push(worker.way_in(request("/", &[])).0);
                bounded();
            }
        }
        let full = seen();
        let holding = if isolation == Isolation::Request { 2 * BODIES } else { BODIES + 1 };
        assert_eq!(full.instances, WORKERS * holding, "{isolation:?}: the bound is no larger than need be");
        assert!(full.memory_bytes > WORKERS * BODIES * 12 * (64 << 10), "{isolation:?}: they do hold it: {full:?}");
        // One that wants more than its own share dies of it alone.
        drop(bodies.pop());
        let_others_run();
        let (_, step, mut greedy) = second.body_in(upload(Framing::Chunked, &[]), Pieces::new(&far_too_many));
        assert_eq!(told(&step), "continue");
        assert!(why(&drain(&mut greedy).expect_err("too much")).contains("memory"));
        bounded();
    }
}

#[test]
fn plugins_chain_in_order_and_back_in_reverse() {
    let house = house(vec![guest("body-done"), guest("body-upper"), guest("body-finish")]);
    let (exchange, got) = house.sends(&["one ", "two"]);
    assert_eq!(got.ok().as_deref(), Some("<<end></end>"), "a chunk that was patched goes on in pieces");
    let (_, _, mut body) = house.body_out(answered(exchange, 7), Pieces::announced(&["one ", "two"]));
    assert_eq!(drain(&mut body).ok().as_deref(), Some("<NE <END>></END>"));
}

#[test]
fn cuts_mean_nothing() {
    let text: String = (0..200_000_u32).map(|n| char::from(b'a' + u8::try_from(n % 26).expect("small"))).collect();
    let text = text.repeat(6);
    let house = house(vec![guest("body-count"), guest("body-upper")]);
    for size in [1 << 20, 65_536, 65_537, 100_000] {
        let pieces: Vec<&str> =
            text.as_bytes().chunks(size).map(|cut| std::str::from_utf8(cut).expect("ASCII")).collect();
        assert_eq!(house.sends(&pieces).1.ok(), Some(text.to_ascii_uppercase()), "{size}");
    }
    let short: Vec<&str> = text[..1_000].split("").filter(|letter| !letter.is_empty()).collect();
    let (exchange, got) = house.sends(&short);
    assert_eq!(got.ok(), Some(text[..1_000].to_ascii_uppercase()));
    assert!(house.lines().iter().any(|line| line == "end after 1000 bytes in 1000 chunks"));
    complete(&house, exchange);
    assert!(house.lines().iter().any(|line| line == "noted 1000 bytes in 1000 chunks"), "{:?}", house.lines().last());
}

#[test]
fn an_inspector_goes_with_its_body() {
    for isolation in BOTH {
        let house = house(vec![in_isolation("body-count", isolation)]);
        let (_, _, mut body) = house.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["one", "two"]));
        assert_eq!(next(&mut body).ok().flatten().as_deref(), Some(&b"one"[..]));
        assert_eq!(house.lines(), [""; 0]);
        drop(body);
        let_others_run();
        assert_eq!(house.lines(), ["gone after 3 bytes"], "no end, only its destructor");
        let mut broken = Pieces::new(&["one"]);
        broken.pieces.push_back(Some(Err(Kind::ClientGone.into())));
        let (_, _, mut body) = house.body_in(upload(Framing::Chunked, &[]), broken);
        assert!(drain(&mut body).is_err());
        assert!(!body.is_end_stream(), "a break is never a clean end");
        assert_eq!(house.lines().len(), 2);
    }
}

#[test]
fn events_flow_one_by_one() {
    let house = house(vec![guest("body-events")]);
    let (exchange, _, _) = house.body_in(upload(Framing::None, &[]), Pieces::announced(&[]));
    let mut source = Pieces::new(&["data: 1\n\n", ":c\n\n", "data: 2\n", "\ndata: 3\n\n"]);
    source.pieces.insert(1, None);
    source.pieces.insert(3, None);
    source.pieces.insert(5, None);
    let (_, _, mut body) = house.body_out(answered(exchange, 0), source);
    let seen: Vec<_> = (0..5).map(|_| next(&mut body).expect("no fault").map(|piece| piece.to_vec())).collect();
    let seen: Vec<_> = seen.iter().map(|piece| piece.as_deref().map(String::from_utf8_lossy)).collect();
    assert_eq!(
        seen.iter().map(|piece| piece.as_deref()).collect::<Vec<_>>(),
        [Some("data: 1\n\n"), Some(""), Some(""), Some(""), Some("data: 2\n\ndata: 3\n\n")]
    );
    assert_eq!(next(&mut body).expect("no fault"), None);
}

fn whole(json: &str) -> House {
    house(vec![guest_with("whole-edit", |settings| settings.config_json = json.to_owned())])
}

#[test]
fn a_whole_body_is_replaced_with_its_head() {
    for (how, framing, body, length) in [
        ("replace", Framing::Length(6), "fedcba", &["6 true"][..]),
        ("pass", Framing::Chunked, "abcdef", &[]),
        ("edit", Framing::Chunked, "abcdef", &["6 true"]),
    ] {
        let house = whole("{}");
        let (exchange, step, mut got) =
            house.body_in(upload(Framing::Chunked, &[("x-how", how)]), Pieces::new(&["abc", "def"]));
        assert_eq!(told(&step), "continue", "{how}");
        assert_eq!(exchange.request.framing, framing, "{how}");
        assert_eq!(lines(&exchange, "x-length"), length, "{how}");
        assert_eq!(drain(&mut got).ok().as_deref(), Some(body), "{how}");
        let (exchange, _, mut got) = house.body_out(answered(exchange, 6), Pieces::announced(&["abc", "def"]));
        assert_eq!(response_lines(&exchange, "content-length"), ["6"], "{how}");
        assert_eq!(drain(&mut got).ok().as_deref(), Some(body), "{how}");
    }
    let (_, step, _) = whole("{}").body_in(upload(Framing::Chunked, &[("x-how", "respond")]), Pieces::new(&["abc"]));
    assert_eq!(told(&step), "answer 409 by whole-edit: Whole.\n");
    let (_, step, _) = whole("{}").body_in(upload(Framing::Chunked, &[("x-how", "trap")]), Pieces::new(&["abc"]));
    assert!(told(&step).starts_with("fault trap of whole-edit"), "{}", told(&step));
}

/// `max` is 10 here: bodies of 10 and of 11 bytes, announced and not.
#[test]
fn a_body_above_its_limit_does_what_was_stated() {
    for (over, eleven) in [
        ("refuse", "answer 413 by whole-edit: The request body is longer than a plugin of this site takes.\n"),
        ("pass", "0123456789A"),
        ("prefix", "9876543210A"),
    ] {
        for pieces in [Pieces::new as fn(&[&str]) -> Pieces, Pieces::announced] {
            let house = whole(&format!(r#"{{"over":"{over}"}}"#));
            let sent = |cut: &[&str]| {
                let (exchange, step, mut body) = house.body_in(upload(Framing::Chunked, &[]), pieces(cut));
                let text =
                    if matches!(step, Step::Continue) { drain(&mut body).expect("no fault") } else { told(&step) };
                (text, lines(&exchange, "x-length"))
            };
            assert_eq!(sent(&["01234", "56789"]), ("9876543210".to_owned(), vec!["10 true".to_owned()]), "{over}");
            let (text, told) = sent(&["012345", "6789A"]);
            assert_eq!(text, eleven, "{over}");
            assert_eq!(told, if over == "prefix" { vec!["10 false".to_owned()] } else { vec![] }, "{over}");
        }
    }
    let house = whole("{}");
    let (exchange, _, _) = house.body_in(upload(Framing::None, &[]), Pieces::announced(&[]));
    let (_, step, mut body) = house.body_out(answered(exchange, 11), Pieces::announced(&["0123456789A"]));
    assert!(told(&step).starts_with("answer 502 by whole-edit"), "{}", told(&step));
    assert_eq!(drain(&mut body).ok().as_deref(), Some("The response is longer than a plugin of this site takes.\n"));
}

/// `body_held_bytes_max` for whole bodies: the limit, and one more.
#[test]
fn a_whole_body_is_held_up_to_the_plugins_cap() {
    for (max, fits) in [(65_536, true), (65_537, false)] {
        let house = house(vec![guest_with("whole-edit", |settings| {
            settings.config_json = format!(r#"{{"max":"{max}"}}"#);
            settings.body_held_bytes_max = 65_536;
        })]);
        let (_, step, _) = house.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["abc"]));
        assert_eq!(told(&step) == "continue", fits, "{}", told(&step));
        assert_eq!(house.metrics.held_over().len(), usize::from(!fits));
    }
}

#[test]
fn a_whole_body_is_what_earlier_inspectors_let_through() {
    let house = house(vec![guest("body-upper"), guest("whole-edit"), guest("body-done")]);
    let (exchange, _, mut body) = house.body_in(upload(Framing::Length(4), &[]), Pieces::announced(&["ab", "cd"]));
    assert_eq!(exchange.request.framing, Framing::Chunked, "the last one may change it again");
    assert_eq!(drain(&mut body).ok().as_deref(), Some("<CBA>"));
    let refusing = self::house(vec![guest("body-abort"), guest("whole-edit")]);
    let (_, step, _) = refusing.body_in(upload(Framing::Chunked, &[]), Pieces::new(&["a!"]));
    let Step::Fault(fault) = step else { panic!("{}", told(&step)) };
    assert!(why(&fault).starts_with("aborted 422"), "the later plugin never ran");
}

/// 256 MiB through an inspector hold no more than a chunk at a time.
#[test]
fn much_goes_through_at_flat_memory() {
    struct Zeros(u64);
    impl http_body::Body for Zeros {
        type Data = Bytes;
        type Error = Fault;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
            static ZEROS: [u8; 65_536] = [0; 65_536];
            if self.0 == 0 {
                return Poll::Ready(None);
            }
            self.0 -= ZEROS.len() as u64;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS)))))
        }
    }
    let house = house(vec![guest("body-pass")]);
    let total = 256 << 20;
    let Poll::Ready((_, _, mut body)) = poll(house.plane.request_head(upload(Framing::Chunked, &[]), Zeros(total)))
    else {
        panic!("nothing waits")
    };
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
    };
    let before = resident();
    let mut seen = 0;
    while let Poll::Ready(Some(frame)) = poll(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))) {
        seen += frame.expect("no fault").into_data().expect("data").len() as u64;
    }
    assert_eq!(seen, total);
    // Other tests run in this process at the same time: far below what went through is what counts.
    assert!(resident().saturating_sub(before) < 128 << 20);
}

#[test]
fn a_trace_tells_of_bodies_after_the_head_has_gone() {
    let skips = guest_with("body-trap", |settings| settings.on_fault = OnFault::all(FaultPolicy::Skip));
    let house = house(vec![guest("body-upper"), guest("whole-edit"), skips]);
    let trace = std::sync::Arc::new(wire::Trace::default());
    let mut exchange = upload(Framing::Chunked, &[]);
    exchange.trace = Some(std::sync::Arc::clone(&trace));
    let (exchange, step, mut body) = house.body_in(exchange, Pieces::new(&["ab", "c!"]));
    assert_eq!(told(&step), "continue");
    drop((exchange, drain(&mut body).expect("whole")));
    let_others_run();
    let words = crate::traces::words(&trace);
    let upper = "body-upper request-body: open*1 replace*2 pass*1 close*1".to_owned();
    assert!(words.contains(&upper), "{words:?}");
    assert!(words.contains(&"whole-edit request-whole: replace*1".to_owned()), "{words:?}");
    assert!(words.iter().any(|word| word.starts_with("body-trap request-body: open*1 ") && word.contains("trap!1")));
}
