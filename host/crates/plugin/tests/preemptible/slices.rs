//! Others have their turns while a hook computes.

use crate::harness::{House, NoBody, guest_with, house, request, told};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use wire::ports::Plugins as _;

/// The guest that never ends, with this much time.
fn looping(deadline: Duration) -> House {
    house(vec![guest_with("loop", |settings| settings.deadline = deadline)])
}

#[test]
fn others_have_their_turns_while_a_hook_loops() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let house = Rc::new(looping(Duration::from_millis(200)));
        let over = Rc::new(Cell::new(false));
        let (looper, told_over) = (Rc::clone(&house), Rc::clone(&over));
        let looped = tokio::task::spawn_local(async move {
            let exchange = request("/", &[("x-do", "request")]);
            let (_, step, _) = looper.plane.request_head(exchange, NoBody).await;
            told_over.set(true);
            told(&step)
        });
        let (mut turns, begun) = (0, Instant::now());
        while !over.get() {
            tokio::task::yield_now().await;
            turns += 1;
            assert!(begun.elapsed() < Duration::from_secs(20), "it was never cut");
        }
        let step = looped.await.expect("no panic");
        assert!(step.starts_with("fault deadline of loop"), "{step}");
        // 200 ms in turns of at most 2 ms; fewer only if the clock came late.
        assert!(turns >= 20, "{turns} turns of others within {:?}", begun.elapsed());
    });
}

#[test]
fn its_time_by_the_wall_is_bounded_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let house = house(vec![guest_with("loop", |settings| {
            settings.deadline = Duration::from_secs(20);
            settings.wall_max = Duration::from_millis(50);
        })]);
        let exchange = request("/", &[("x-do", "request")]);
        let (_, step, _) = house.plane.request_head(exchange, NoBody).await;
        let step = told(&step);
        assert!(step.starts_with("fault deadline of loop") && step.contains("wall_ms_max"), "{step}");
    });
}
