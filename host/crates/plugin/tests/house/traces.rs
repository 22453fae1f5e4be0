//! What a traced exchange tells of its hooks, and that any other tells nothing.

use crate::harness::{House, guest, guest_with, house, request, told};
use gatelodge_plugin::{FaultPolicy, OnFault};
use std::sync::Arc;
use std::time::Duration;
use wire::fault::PluginFault;
use wire::ports::{Ending, Plugins as _, Summary};
use wire::trace::{Came, Part, Step, Trace};
use wire::{Exchange, ResponseHead};

/// A request whose asker has the key.
fn traced(fields: &[(&str, &str)]) -> (Box<Exchange>, Arc<Trace>) {
    let mut exchange = request("/", fields);
    let trace = Arc::new(Trace::default());
    exchange.trace = Some(Arc::clone(&trace));
    (exchange, trace)
}

/// `plugin hook: what it came to`.
pub(crate) fn words(trace: &Trace) -> Vec<String> {
    let word = |(came, count): &(Came, u32)| match came {
        Came::Said(said) => format!("{said}*{count}"),
        Came::Fault(kind) => format!("{}!{count}", kind.as_str()),
        other => format!("{other:?}"),
    };
    let line = |Step { part, came, .. }: &Step| match part {
        Part::Hook { plugin, hook } => {
            format!("{plugin} {hook}: {}", came.iter().map(word).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    };
    trace.steps().iter().map(line).collect()
}

fn end(house: &House, exchange: Box<Exchange>) {
    house.plane.complete(
        exchange,
        &Summary {
            status: None,
            ending: Ending::Complete,
            duration: Duration::ZERO,
            first_byte: None,
            bytes_in: 0,
            bytes_out: 0,
            upstream: None,
            detail: None,
        },
    );
    crate::harness::let_others_run();
}

#[test]
fn each_hook_is_told_in_the_order_it_ran() {
    let house = house(vec![guest("pass"), guest("order"), guest("completion-log")]);
    let (exchange, trace) = traced(&[]);
    let (exchange, step) = house.round(exchange, 200);
    assert_eq!(told(&step), "continue");
    end(&house, exchange);
    let wanted = [
        "pass request-head: pass*1",
        "order request-head: edit*1",
        "order response-head: edit*1",
        "completion-log completion: pass*1",
    ];
    assert_eq!(words(&trace), wanted);
    assert!(trace.steps().iter().all(|step| step.took > Duration::ZERO && step.took < Duration::from_secs(10)));
    // The next exchange has no asker: nothing of it is in the trace of the last.
    end(&house, house.round(request("/", &[]), 200).0);
    assert_eq!(words(&trace), wanted);
}

#[test]
fn an_answer_ends_the_way_in() {
    let house = house(vec![
        guest_with("answer", |settings| settings.config_json = r#"{"on":"request","status":403}"#.to_owned()),
        guest("pass"),
    ]);
    let (exchange, trace) = traced(&[]);
    let (_, step) = house.way_in(exchange);
    assert!(told(&step).starts_with("answer 403 by answer"), "{}", told(&step));
    assert_eq!(words(&trace), ["answer request-head: answer*1"]);
}

#[test]
fn a_fault_is_told_by_its_kind_whatever_the_policy() {
    for (name, on_fault, words_of_it, goes_on) in [
        ("trap", FaultPolicy::Refuse, "trap request-head: trap!1", false),
        ("trap", FaultPolicy::Skip, "trap request-head: trap!1", true),
        ("inspect", FaultPolicy::Refuse, "inspect request-body: bad-output!1", false),
    ] {
        let house = house(vec![guest_with(name, |settings| settings.on_fault = OnFault::all(on_fault)), guest("pass")]);
        let (exchange, trace) = traced(&[("x-do", "request")]);
        let (_, step) = house.way_in(exchange);
        assert_eq!(told(&step) == "continue", goes_on, "{}", told(&step));
        let words = words(&trace);
        assert!(words.iter().any(|word| word == words_of_it), "{words:?}");
        assert_eq!(words.last().is_some_and(|last| last.starts_with("pass ")), goes_on, "{words:?}");
    }
}

#[test]
fn a_plugin_that_is_held_back_is_told_as_that() {
    let house = house(vec![guest("trap")]);
    for _ in 0..64 {
        let (exchange, trace) = traced(&[("x-do", "request")]);
        let _ = house.way_in(exchange);
        let words = words(&trace);
        if words == [format!("trap request-head: {}!1", PluginFault::HeldBack.as_str())] {
            return;
        }
        assert_eq!(words, ["trap request-head: trap!1"]);
    }
    panic!("it was called for ever");
}

#[test]
fn nobody_sees_that_somebody_asks() {
    let json = r#"{"request":["header:gatelodge-trace"],"response":["response-header:server-timing"]}"#;
    let house = house(vec![guest_with("views", |settings| settings.config_json = json.to_owned())]);
    let (mut exchange, trace) = traced(&[]);
    exchange.request.trace = Some(http::HeaderValue::from_static("the key"));
    let (exchange, _) = house.round(exchange, 200);
    let value = |name: &str| exchange.request.headers.get(name).map(|value| value.as_bytes().to_vec());
    assert_eq!(value("x-view-0").as_deref(), Some(&b"(none)"[..]));
    let head = exchange.response.as_ref().map(|ResponseHead { headers, .. }| headers);
    assert_eq!(head.and_then(|headers| headers.get("x-view-0")).map(|value| value.as_bytes()), Some(&b"(none)"[..]));
    assert_eq!(words(&trace).len(), 2);
}
