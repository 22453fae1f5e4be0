//! The choice over tables of loads.

use super::{Ask, Chosen, choose};
use crate::tests::support::token;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use wire::Load;
use wire::ports::Paired;

fn instances(count: u64) -> Vec<Rc<Paired>> {
    let born = Instant::now();
    let paired = |start| Paired {
        addr: ([127, 0, 0, 1], 9).into(),
        token: token(),
        start,
        affinity: start + 100,
        load: Load::new(born),
    };
    (1..=count).map(paired).map(Rc::new).collect()
}

/// The start that is chosen, and its place.
fn chosen(instances: &[Rc<Paired>], ask: &Ask, turn: &Cell<usize>) -> Option<(u64, Chosen)> {
    choose(instances, ask, turn, Instant::now).map(|chosen| (chosen.backend.start, chosen))
}

fn start(instances: &[Rc<Paired>], ask: &Ask) -> Option<u64> {
    chosen(instances, ask, &Cell::new(0)).map(|(start, _)| start)
}

#[test]
fn the_least_loaded_is_chosen() {
    for (loads, expected) in [([2, 1, 3], 2), ([0, 1, 0], 1), ([5, 5, 4], 3), ([1, 0, 0], 2)] {
        let instances = instances(3);
        let _places: Vec<_> =
            instances.iter().zip(loads).flat_map(|(one, count)| (0..count).map(|_| one.load.begin())).collect();
        assert_eq!(start(&instances, &Ask::default()), Some(expected), "{loads:?}");
    }
}

#[test]
fn equals_take_turns_whatever_their_number() {
    for count in [1, 2, 3, 7, 100] {
        let (instances, turn) = (instances(count), Cell::new(0));
        for _ in 0..count * 3 {
            assert!(chosen(&instances, &Ask::default(), &turn).is_some());
        }
        assert!(instances.iter().all(|one| one.load.requests() == 3), "{count}");
        assert!(instances.iter().all(|one| one.load.outstanding() == 0), "{count}");
    }
}

#[test]
fn a_turn_outlives_a_shorter_list() {
    let turn = Cell::new(3);
    assert_eq!(chosen(&instances(2), &Ask::default(), &turn).map(|(start, _)| start), Some(1));
}

#[test]
fn retired_and_refused_ones_are_never_chosen() {
    let instances = instances(3);
    instances[0].load.retire();
    let refused = Ask { refused: vec![2], ..Ask::default() };
    assert_eq!(start(&instances, &refused), Some(3));
    instances[2].load.retire();
    assert_eq!(start(&instances, &refused), None);
    assert_eq!(start(&instances, &Ask::default()), Some(2));
    instances[1].load.retire();
    assert_eq!(start(&instances, &Ask::default()), None);
    for of_one in [&instances[..1], &instances[1..2], &[]] {
        assert_eq!(start(of_one, &Ask::default()), None);
    }
    assert!(instances.iter().all(|one| one.load.outstanding() == 0));
}

/// Out of the choice from now on.
fn eject(one: &Paired, until: Instant) {
    assert_eq!(one.load.eject_once(Instant::now(), until), Some(1));
}

#[test]
fn an_ejected_one_is_chosen_only_if_all_are() {
    let instances = instances(3);
    let later = Instant::now() + Duration::from_secs(60);
    eject(&instances[0], later);
    eject(&instances[1], later);
    assert_eq!(start(&instances, &Ask::default()), Some(3));
    // Even where it is the stale one, and the busiest.
    let _place = instances[2].load.begin();
    assert_eq!(start(&instances, &Ask { stale: Some(3), ..Ask::default() }), Some(3));
    // Of ejected ones the least bad: fewest ejections, then fewest requests.
    eject(&instances[2], later);
    assert_eq!(instances[0].load.eject_once(later, later + Duration::from_secs(1)), Some(2), "once more");
    assert_eq!(start(&instances, &Ask::default()), Some(2));
    assert_eq!(start(&instances, &Ask { refused: vec![2], ..Ask::default() }), Some(3));
    // And all of them, once their time is over.
    let after = || Instant::now() + Duration::from_secs(62);
    let turn = Cell::new(0);
    assert_eq!(choose(&instances, &Ask::default(), &turn, after).map(|one| one.backend.start), Some(1));
}

#[test]
fn the_wanted_one_is_chosen_where_it_can_be() {
    let later = Instant::now() + Duration::from_secs(60);
    let ask = |wanted, refused: &[u64]| Ask { wanted: Some(wanted), refused: refused.to_vec(), stale: None };
    let instances = instances(3);
    let _busy = (instances[1].load.begin(), instances[1].load.begin());
    assert_eq!(start(&instances, &ask(102, &[])), Some(2));
    assert_eq!(start(&instances, &Ask { stale: Some(2), ..ask(102, &[]) }), Some(2));
    assert_eq!(start(&instances, &ask(7, &[])), Some(1), "unknown");
    assert_eq!(start(&instances, &ask(102, &[2])), Some(1), "refused");
    eject(&instances[1], later);
    assert_eq!(start(&instances, &ask(102, &[])), Some(1), "ejected");
    instances[2].load.retire();
    assert_eq!(start(&instances, &ask(103, &[])), Some(1), "retired");
}

#[test]
fn one_that_retires_between_look_and_begin_is_not_chosen() {
    let instances = instances(2);
    // It was ejected once, so the choice looks at the clock when the other has been ranked.
    eject(&instances[1], Instant::now() + Duration::from_millis(5));
    let _busy = instances[1].load.begin();
    let retire_meanwhile = || {
        instances[0].load.retire();
        Instant::now() + Duration::from_secs(1)
    };
    let chosen = choose(&instances, &Ask::default(), &Cell::new(0), retire_meanwhile);
    assert_eq!(chosen.map(|one| one.backend.start), Some(2));
    assert_eq!((instances[0].load.outstanding(), instances[0].load.requests()), (0, 0));
}
