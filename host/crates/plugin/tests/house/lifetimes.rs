//! How long instances live: what is replaced is given back.

use crate::harness::{House, guest_with, lines, load_on, own_engine, request, told};
use gatelodge_plugin::{Isolation, KeySets, PluginEngine, PluginSettings};
use std::sync::Arc;
use std::time::Duration;
use wire::ports::{Ending, Plugins as _, Step, Summary};
use wire::{Exchange, ResponseHead};

const EXCHANGES: u64 = 10_000;

/// A guest with an engine of its own, too small for leaks to go unseen.
fn house(name: &str, change: impl FnOnce(&mut PluginSettings)) -> (House, Arc<PluginEngine>) {
    let engine = own_engine(16);
    let house = load_on(Arc::clone(&engine), vec![guest_with(name, change)], KeySets::new())
        .unwrap_or_else(|errors| panic!("does not load: {errors:?}"));
    assert_eq!(engine.instances(), Some(0), "the trial instance is gone");
    (house, engine)
}

/// The end of an exchange of which nothing else is known.
pub(crate) fn summary() -> Summary {
    Summary {
        status: None,
        ending: Ending::Complete,
        duration: Duration::ZERO,
        first_byte: None,
        bytes_in: 0,
        bytes_out: 0,
        upstream: None,
        detail: None,
    }
}

fn complete(house: &House, exchange: Box<Exchange>) {
    house.plane.complete(exchange, &summary());
}

/// In only: the client or the backend is gone before there is a response.
fn cut_off(house: &House) -> Box<Exchange> {
    let (exchange, step) = house.way_in(request("/", &[]));
    assert_eq!(told(&step), "continue");
    exchange
}

fn whole(house: &House) -> Box<Exchange> {
    let mut exchange = cut_off(house);
    exchange.response = Some(ResponseHead::new(http::StatusCode::OK));
    exchange.source = wire::exchange::Source::Backend;
    let (exchange, step) = house.way_out(exchange);
    assert!(matches!(step, Step::Continue), "{}", told(&step));
    exchange
}

#[test]
fn one_instance_per_request_is_given_back_each_time() {
    for name in ["counts", "note", "pass"] {
        let (house, engine) = house(name, |settings| settings.isolation = Isolation::Request);
        for turn in 0..EXCHANGES / 2 {
            complete(&house, if turn % 7 == 0 { cut_off(&house) } else { whole(&house) });
            assert_eq!(engine.instances(), Some(0), "{name}: after exchange {turn}");
        }
        assert_eq!(house.metrics.faults(), [], "{name}");
    }
}

#[test]
fn exchanges_in_flight_hold_no_more_than_their_limit() {
    let (house, engine) = house("half", |settings| {
        settings.isolation = Isolation::Request;
        settings.instances_max = 5;
    });
    let open: Vec<_> = (0..20).map(|_| cut_off(&house)).collect();
    assert_eq!(engine.instances(), Some(5), "the oldest were dropped");
    open.into_iter().for_each(|exchange| complete(&house, exchange));
    assert_eq!(engine.instances(), Some(0));
    assert_eq!(house.metrics.faults(), []);
}

#[test]
fn worn_instances_are_replaced() {
    let (house, engine) = house("leak", |settings| settings.recycle_requests = 3);
    for turn in 0..EXCHANGES {
        let (exchange, _) = house.way_in(request("/", &[("x-kib", "0")]));
        assert_eq!(lines(&exchange, "x-calls"), [(turn % 3 + 1).to_string()]);
        complete(&house, exchange);
        // The third call was its last one.
        assert_eq!(engine.instances(), Some(u64::from(turn % 3 != 2)), "after exchange {turn}");
    }
    assert_eq!(house.metrics.faults(), []);
}

#[test]
fn a_dropped_plane_gives_all_back() {
    let (house, engine) = house("pass", |_| {});
    drop(whole(&house));
    assert_eq!(engine.instances(), Some(1));
    drop(house);
    assert_eq!(engine.instances(), Some(0));
}
