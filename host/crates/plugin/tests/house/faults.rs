//! Guests that misbehave: each costs one request, and the next is served.

use crate::clock::thread_cpu;
use crate::harness::{House, guest, guest_with, house, lines, load, request, told};
use gatelodge_plugin::{FaultPolicy, KeySets, OnFault, PluginSettings};
use std::time::Duration;
use wire::fault::PluginFault;
use wire::ports::{Ending, Plugins as _, Summary};

/// Sends a request that makes the guest fail, then one that does not.
fn fails(house: &House, fields: &[(&str, &str)], kind: PluginFault, word: &str) {
    let (_, step) = house.way_in(request("/", fields));
    let text = told(&step);
    assert!(text.starts_with(&format!("fault {} of ", kind.as_str())), "{text}");
    assert!(text.contains(word), "{text}");
    assert!(text.contains("hook request-head: it ") && !text.contains("\\n"), "in plain words: {text}");
    let (exchange, step) = house.way_in(request("/", &[]));
    assert_eq!(told(&step), "continue", "the next request is served");
    assert_eq!(exchange.shared.ran, 1);
    let faults = house.ears.faults.lock().expect("no test panics with it");
    assert_eq!(faults.last().map(|(_, kind, _)| *kind), Some(kind));
    assert_eq!(house.metrics.faults().len(), 1);
}

const DO: &[(&str, &str)] = &[("x-do", "request")];

#[test]
fn panic() {
    let house = house(vec![guest("panic")]);
    fails(&house, DO, PluginFault::Trap, "unreachable");
    assert!(house.lines().iter().any(|line| line.contains("the guest gave up")), "the panic's text is in the log");
}

#[test]
fn trap() {
    fails(&house(vec![guest("trap")]), DO, PluginFault::Trap, "wasm backtrace");
}

#[test]
fn recurse() {
    fails(&house(vec![guest("recurse")]), DO, PluginFault::Trap, "it trapped: ");
}

#[test]
fn grow() {
    fails(&house(vec![guest("grow")]), DO, PluginFault::Memory, "died after it was refused more memory");
}

/// The deadline holds: never before that much processor time, and at most 10 ms after it,
/// but for a machine that is busy otherwise.
fn in_time(name: &str, how: &[(&str, &str)]) {
    let deadline = Duration::from_millis(30);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let house = house(vec![guest_with(name, |settings| settings.deadline = deadline)]);
        let begin = thread_cpu();
        let (_, step) = house.way_in(request("/", how));
        let used = thread_cpu() - begin;
        assert!(told(&step).starts_with("fault deadline"), "{}", told(&step));
        assert!(told(&step).contains("hook request-head: it was stopped at its deadline"), "{}", told(&step));
        assert!(used >= deadline, "stopped after {used:?} of processor time");
        best = best.min(used);
        assert_eq!(told(&house.way_in(request("/", &[])).1), "continue");
    }
    assert!(best <= deadline + Duration::from_millis(10), "{best:?}");
}

#[test]
fn endless_loop() {
    in_time("loop", DO);
}

#[test]
fn host_calls() {
    in_time("host-calls", &[("x-how", "calls")]);
    in_time("host-calls", &[("x-how", "fill")]);
}

#[test]
fn bad_configure() {
    for (how, word) in [
        ("error", "configure refused: the settings do not suit this guest"),
        ("panic", "failed at its start (trap)"),
        ("loop", "failed at its start (deadline)"),
        ("selector", "registration.request-view[0]"),
        ("colour", "colour"),
    ] {
        let settings = guest_with("bad-configure", |settings| settings.config_json = format!(r#"{{"how":"{how}"}}"#));
        let errors = load(vec![settings], KeySets::new()).err().expect("refused");
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].plugin, "bad-configure");
        assert!(errors[0].message.contains(word), "{}", errors[0]);
    }
    let vary = guest_with("bad-configure", |settings| settings.config_json = r#"{"how":"vary"}"#.to_owned());
    let (_, step) = house(vec![vary]).way_in(request("/", &[]));
    assert!(told(&step).starts_with("fault configure"), "{}", told(&step));
}

#[test]
fn bad_edits() {
    for (edit, word) in [
        ("set x=a\\r\\nb", "control character"),
        ("set ms-aspnetcore-token=x", "between host and backend"),
        ("set host=x", "the host writes it"),
        ("set content-length=1", "the host writes it"),
        ("set connection=x", "one connection"),
        ("append transfer-encoding=chunked", "one connection"),
        ("remove te", "one connection"),
        ("lines x_forwarded_for=a", "read _ as -"),
        ("slot 2=x", "slot 2"),
        ("target /../x", "dot segments"),
        ("target x", "not a path"),
        ("method CONNECT", "not forwarded"),
        ("authority a@b", "not a host"),
        ("status 404", "no status"),
        ("named later=x", "unknown edit"),
    ] {
        let lists = [
            format!(r#"{{"request":["set x-first=1","{edit}"]}}"#),
            format!(r#"{{"apply":["set x-first=1","{edit}"]}}"#),
        ];
        for json in lists {
            let house = house(vec![guest_with("edits", |settings| {
                settings.config_json = json.replace("\\\\", "\\");
                settings.on_fault = OnFault::default();
            })]);
            let (exchange, step) = house.way_in(request("/", &[]));
            let text = told(&step);
            assert!(text.starts_with("fault bad-output of edits: ") && text.contains(word), "{json}: {text}");
            assert_eq!(lines(&exchange, "x-first"), [""; 0], "half applied: {json}");
        }
    }
}

/// What was changed by a host call is undone by a bad verdict of the same hook.
#[test]
fn bad_verdict_after_a_good_call() {
    let json = r#"{"apply":["set x-first=1"],"request":["set host=x"]}"#;
    let house = house(vec![guest_with("edits", |settings| settings.config_json = json.to_owned())]);
    let (exchange, step) = house.way_in(request("/", &[]));
    assert!(told(&step).starts_with("fault bad-output"), "{}", told(&step));
    assert_eq!(lines(&exchange, "x-first"), [""; 0]);
}

#[test]
fn inspect() {
    let (_, step) = house(vec![guest("inspect")]).way_in(request("/", &[]));
    assert_eq!(
        told(&step),
        "fault bad-output of inspect: plugin \"inspect\", hook request-head: it wants to see the body, but exports no request-body"
    );
}

#[test]
fn huge() {
    let house = house(vec![guest("huge")]);
    let (exchange, step) = house.way_in(request("/", &[("x-want", "skip")]));
    assert_eq!((told(&step).as_str(), &lines(&exchange, "x-looked")[..]), ("continue", &["1".to_owned()][..]));
    fails(&house, &[("x-want", "huge")], PluginFault::BadOutput, "handed over more than 8388608 bytes");
    let (_, step) = house.way_in(request("/", &[("x-want", "many")]));
    assert!(told(&step).starts_with("fault "), "{}", told(&step));
}

#[test]
fn leak() {
    let house = house(vec![guest_with("leak", |settings| settings.memory_bytes_max = 4 << 20)]);
    let calls: Vec<_> = (0..6).map(|_| lines(&house.way_in(request("/", &[("x-kib", "1024")])).0, "x-calls")).collect();
    assert_eq!(calls[0], ["1"]);
    assert!(calls.iter().skip(1).any(|call| *call == ["1"]), "it is replaced before it dies: {calls:?}");
    assert_eq!(house.metrics.faults(), []);
}

#[test]
fn half() {
    let skipping = |settings: &mut PluginSettings| settings.on_fault = OnFault::all(FaultPolicy::Skip);
    let house = house(vec![guest_with("half", skipping), guest("pass")]);
    let (exchange, step) = house.way_in(request("/", &[("x-do", "request")]));
    assert_eq!(told(&step), "continue", "the policy is to go on");
    assert_eq!(exchange.shared.ran, 0b10, "it has not seen this request");
    assert_eq!(lines(&exchange, "x-half"), [""; 0], "its changes are undone");
    assert!(exchange.shared.notes.is_empty() && exchange.shared.attributes.is_empty());

    let (exchange, step) = house.round(request("/", &[("x-do", "response")]), 200);
    assert_eq!(told(&step), "continue");
    assert!(exchange.response.as_ref().is_some_and(|head| head.headers.is_empty()));
    assert!(exchange.shared.notes.is_empty() && exchange.shared.attributes.is_empty());

    let (exchange, _) = house.way_in(request("/", &[("x-do", "completion")]));
    let summary = Summary {
        status: None,
        ending: Ending::ClientGone,
        duration: Duration::ZERO,
        first_byte: None,
        bytes_in: 0,
        bytes_out: 0,
        upstream: None,
        detail: None,
    };
    house.plane.complete(exchange, &summary);
    crate::harness::let_others_run();
    assert_eq!(house.ears.faults.lock().expect("no test panics with it").len(), 3);
}

#[test]
fn policies_by_kind() {
    let policy = OnFault { trap: FaultPolicy::Skip, ..OnFault::default() };
    for (name, expected) in [("panic", "continue"), ("grow", "fault memory")] {
        let house = house(vec![guest_with(name, |settings| settings.on_fault = policy)]);
        let (_, step) = house.way_in(request("/", DO));
        assert!(told(&step).starts_with(expected), "{name}: {}", told(&step));
    }
}
