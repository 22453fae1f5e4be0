//! Guests that behave.

use crate::harness::{guest, house, lines, request, told};
use wire::ports::Plugins as _;

#[test]
fn pass() {
    let house = house(vec![guest("pass")]);
    assert!(house.plane.any() && !house.plane.wants_completion());
    let (exchange, step) = house.way_in(request("/", &[("a", "1")]));
    assert_eq!(told(&step), "continue");
    assert_eq!(exchange.shared.ran, 1);
    assert_eq!(exchange.request.headers.len(), 1);
    let (_, step) = house.way_out(exchange);
    assert_eq!(told(&step), "continue");
}

#[test]
fn two_in_one_set() {
    let house = house(vec![guest("two-in-one-set")]);
    for (fields, expected) in [
        (&[("user-agent", "x"), ("accept", "y")][..], "both"),
        (&[("user-agent", "x")], "one"),
        (&[("x-seen", "forged")], "none"),
    ] {
        let (exchange, step) = house.way_in(request("/", fields));
        assert_eq!(told(&step), "continue");
        assert_eq!(lines(&exchange, "x-seen"), [expected]);
    }
}
