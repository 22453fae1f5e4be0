//! The backend's states as waiting requests live them.

use super::support::{House, collect, exchange, no_body, read_head, ready, within, write};
use crate::ForwardSettings;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use wire::ports::{BackendSignal, BackendState};
use wire::{Kind, StartFailure, StartReport};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn report(attempts: u32, retry_after: Option<Duration>) -> BackendState {
    BackendState::Down(Arc::new(StartReport {
        failure: StartFailure::Exited,
        summary: String::new(),
        command: String::new(),
        directory: String::new(),
        ended: None,
        port: None,
        attempts,
        elapsed: Duration::ZERO,
        last_lines: Vec::new(),
        retry_after,
        development: false,
        show_page: true,
    }))
}

/// Runs one request while `control` plays the process room; the fault's kind, or
/// `None` for a response from the house's backend.
async fn play(house: &mut House, control: impl AsyncFnOnce(&mut House)) -> Option<Kind> {
    let forwarder = house.forwarder.clone();
    let exchange = exchange("GET", "/", &[]);
    let request = within(async {
        let (_, body) = wire::ports::Forward::send(&forwarder, &exchange, no_body(), 1).await?;
        collect(body).await
    });
    let (result, ()) = tokio::join!(request, within(control(house)));
    match result {
        Ok(body) => {
            assert_eq!(body, b"ok");
            None
        }
        Err(fault) => Some(fault.kind),
    }
}

async fn serve(house: &House) {
    let mut stream = house.accept().await;
    read_head(&mut stream).await;
    write(&mut stream, OK).await;
}

async fn woken(house: &mut House) {
    assert_eq!(house.signals.recv().await, Some(BackendSignal::Wake));
}

#[tokio::test]
async fn a_request_wakes_an_idle_backend_and_waits_for_it() {
    let mut house = House::open().await;
    house.state.send_replace(BackendState::Idle);
    let fault = play(&mut house, async |house| {
        woken(house).await;
        house.state.send_replace(BackendState::Starting);
        tokio::task::yield_now().await;
        house.state.send_replace(ready(&house.listener, 1));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn a_request_of_a_draining_time_wakes_the_next_backend() {
    let mut house = House::open().await;
    house.state.send_replace(BackendState::Draining);
    let fault = play(&mut house, async |house| {
        tokio::task::yield_now().await;
        assert!(house.signals.try_recv().is_err(), "nothing to wake while draining");
        house.state.send_replace(BackendState::Idle);
        woken(house).await;
        house.state.send_replace(ready(&house.listener, 2));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn a_failed_start_is_told_to_those_who_waited_for_it() {
    let mut house = House::open().await;
    house.state.send_replace(BackendState::Starting);
    let fault = play(&mut house, async |house| {
        tokio::task::yield_now().await;
        house.state.send_replace(report(2, None));
    })
    .await;
    assert!(matches!(fault, Some(Kind::StartFailed(report)) if report.attempts == 2));
}

#[tokio::test]
async fn an_old_report_is_not_the_answer_to_a_new_request() {
    let mut house = House::open().await;
    house.state.send_replace(report(1, None));
    let fault = play(&mut house, async |house| {
        woken(house).await;
        house.state.send_replace(BackendState::Starting);
        tokio::task::yield_now().await;
        house.state.send_replace(report(2, None));
    })
    .await;
    assert!(matches!(fault, Some(Kind::StartFailed(report)) if report.attempts == 2));

    // And where that start works, the request is served.
    let fault = play(&mut house, async |house| {
        woken(house).await;
        house.state.send_replace(ready(&house.listener, 3));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn a_report_whose_back_off_runs_is_given_at_once() {
    let minute = Some(Duration::from_secs(60));
    // The process room repeats it when woken, or says nothing: the answer comes in both cases.
    for repeats in [true, false] {
        let mut house = House::open().await;
        house.state.send_replace(report(1, minute));
        let fault = play(&mut house, async |house| {
            woken(house).await;
            if repeats {
                house.state.send_replace(report(2, minute));
            }
        })
        .await;
        let expected = if repeats { 2 } else { 1 };
        assert!(matches!(fault, Some(Kind::StartFailed(report)) if report.attempts == expected));
    }
    // The back-off is over: the wake starts it.
    let mut house = House::open().await;
    house.state.send_replace(report(1, minute));
    let fault = play(&mut house, async |house| {
        woken(house).await;
        house.state.send_replace(BackendState::Starting);
        tokio::time::sleep(crate::link::BACK_OFF_GRACE * 2).await;
        house.state.send_replace(ready(&house.listener, 2));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn waiting_ends_at_its_limit_and_with_the_process_room() {
    let mut house = House::with(ForwardSettings { waiting_ms_max: 30, ..ForwardSettings::default() }).await;
    house.state.send_replace(BackendState::Starting);
    let fault = play(&mut house, async |_| {}).await;
    assert!(matches!(fault, Some(Kind::BackendTimeout("start", limit)) if limit == Duration::from_millis(30)));

    let mut house = House::open().await;
    house.state.send_replace(BackendState::Draining);
    let fault = play(&mut house, async |house| {
        tokio::task::yield_now().await;
        let (other, _) = tokio::sync::watch::channel(BackendState::Idle);
        drop(std::mem::replace(&mut house.state, other));
    })
    .await;
    assert!(matches!(fault, Some(Kind::Stopping)));
}

#[tokio::test]
async fn the_number_of_waiting_requests_is_limited() {
    let house = House::with(ForwardSettings { waiting_requests_max: 2, ..ForwardSettings::default() }).await;
    house.state.send_replace(BackendState::Starting);
    let exchange = exchange("GET", "/", &[]);
    let third = async {
        tokio::task::yield_now().await;
        let fault = house.send(&exchange, no_body()).await.err().expect("the queue is full");
        assert!(matches!(fault.kind, Kind::QueueFull), "{fault}");
        house.state.send_replace(report(1, None));
    };
    let (one, two, ()) = tokio::join!(house.send(&exchange, no_body()), house.send(&exchange, no_body()), third);
    for result in [one, two] {
        assert!(matches!(result.err().expect("a fault").kind, Kind::StartFailed(_)));
    }
    // Their places are free again.
    house.state.send_replace(BackendState::Starting);
    let mut house = house;
    let fault = play(&mut house, async |house| {
        tokio::task::yield_now().await;
        house.state.send_replace(ready(&house.listener, 1));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn a_refused_connection_makes_the_backend_suspect() {
    let settings = ForwardSettings { suspect_ms_max: 30, ..ForwardSettings::default() };
    let (house, gone) = (House::with(settings).await, TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
    let mut house = house;
    house.state.send_replace(ready(&gone, 7));
    drop(gone);
    let fault = play(&mut house, async |house| {
        assert_eq!(house.signals.recv().await, Some(BackendSignal::Suspect { start: 7 }));
    })
    .await;
    assert!(matches!(fault, Some(Kind::ConnectFailed)));
    let failed = house.forwarder.counters().faults().find(|(class, _)| *class == "connect-failed");
    assert_eq!(failed, Some(("connect-failed", 1)));
}

#[tokio::test]
async fn the_request_that_finds_the_backend_dead_is_served_by_its_successor() {
    let mut house = House::open().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    house.state.send_replace(ready(&gone, 7));
    drop(gone);
    let fault = play(&mut house, async |house| {
        assert_eq!(house.signals.recv().await, Some(BackendSignal::Suspect { start: 7 }));
        house.state.send_replace(BackendState::Idle);
        woken(house).await;
        house.state.send_replace(ready(&house.listener, 8));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}

#[tokio::test]
async fn connections_of_an_earlier_start_are_not_used() {
    let mut house = House::open().await;
    let (result, mut old) = house.answer(&exchange("GET", "/", &[]), OK).await;
    assert!(result.is_ok());
    house.state.send_replace(ready(&house.listener, 2));
    let fault = play(&mut house, async |house| serve(house).await).await;
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(super::support::read_to_close(&mut old).await.0, b"");
    assert_eq!(house.forwarder.counters().connects(), 2);
}

#[tokio::test]
async fn a_wake_is_not_lost_behind_other_signals() {
    let mut house = House::open().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    house.state.send_replace(ready(&gone, 7));
    drop(gone);
    // More suspicions than the channel holds.
    let exchange = exchange("GET", "/", &[]);
    let storm = async {
        let refused = async || assert!(house.send(&exchange, no_body()).await.is_err());
        tokio::join!(refused(), refused(), refused(), refused(), refused(), refused(), refused(), refused(), refused());
    };
    within(storm).await;
    house.state.send_replace(BackendState::Idle);
    let fault = play(&mut house, async |house| {
        while house.signals.recv().await != Some(BackendSignal::Wake) {}
        house.state.send_replace(ready(&house.listener, 8));
        serve(house).await;
    })
    .await;
    assert!(fault.is_none(), "{fault:?}");
}
