//! What keeps an instance from being empty, and what is closed when it is replaced.

use super::fleet::{Fleet, Instance, OK, ready};
use super::support::{collect, exchange, no_body, read_head, read_to_close, within, write};
use crate::ForwardSettings;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::net::TcpStream;
use wire::Kind;
use wire::ports::BackendState;

const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";

/// A response that has begun, and its other end.
async fn begun(fleet: &Fleet, one: &Instance) -> (crate::ResponseBody<super::support::Script>, TcpStream) {
    let (result, stream) = tokio::join!(fleet.get(), async {
        let mut stream = one.accept().await;
        read_head(&mut stream).await;
        assert_eq!(one.paired.load.outstanding(), 1, "while the backend thinks");
        write(&mut stream, BEGUN).await;
        stream
    });
    (result.expect("a head").1, stream)
}

/// L42: a request that runs when its instance is retired gets its whole answer,
/// and the instance is not empty before that.
#[tokio::test]
async fn a_request_counts_until_its_last_byte() {
    let one = Instance::listening(1).await;
    let load = &one.paired.load;
    let fleet = Fleet::of(&[&one]);
    let (mut body, mut stream) = begun(&fleet, &one).await;
    load.retire();
    fleet.state.send_replace(BackendState::Draining);
    let frame = within(body.frame()).await.expect("a frame").expect("data");
    assert_eq!(frame.into_data().ok(), Some(Bytes::from_static(b"ab")));
    assert_eq!(load.outstanding(), 1);
    write(&mut stream, b"cd").await;
    assert_eq!(collect(body).await.expect("whole"), b"cd");
    assert_eq!(load.outstanding(), 0);
    // And its connection is closed, not kept for requests that can't come.
    assert_eq!((read_to_close(&mut stream).await, fleet.forwarder.idle_connections()), ((Vec::new(), true), 0));
}

#[tokio::test]
async fn an_instance_retired_but_still_published_keeps_no_connection() {
    let one = Instance::listening(1).await;
    let fleet = Fleet::of(&[&one]);
    let (body, mut stream) = begun(&fleet, &one).await;
    one.paired.load.retire();
    write(&mut stream, b"cd").await;
    assert_eq!(collect(body).await.expect("whole"), b"abcd");
    assert_eq!((read_to_close(&mut stream).await, fleet.forwarder.idle_connections()), ((Vec::new(), true), 0));
}

#[tokio::test]
async fn a_request_that_ends_in_any_other_way_counts_no_longer() {
    let one = Instance::listening(1).await;
    let load = &one.paired.load;
    let fleet = Fleet::of(&[&one]);
    // The body is dropped.
    let (body, _stream) = begun(&fleet, &one).await;
    assert_eq!(load.outstanding(), 1);
    drop(body);
    assert_eq!(load.outstanding(), 0);
    // The backend breaks off; the body need not even be dropped.
    let (mut body, stream) = begun(&fleet, &one).await;
    drop(stream);
    while let Some(Ok(_)) = within(body.frame()).await {}
    assert_eq!(load.outstanding(), 0);
    drop(body);
    // The client goes away while the backend thinks.
    let exchange = exchange("GET", "/", &[]);
    tokio::select! {
        _ = fleet.send(&exchange, no_body()) => panic!("nothing was answered"),
        () = async { read_head(&mut one.accept().await).await; assert_eq!(load.outstanding(), 1); } => {}
    }
    assert_eq!(load.outstanding(), 0);
    // The whole answer was there at once.
    let (result, _served) = tokio::join!(fleet.get(), one.serve());
    assert!(result.is_ok());
    assert_eq!(load.outstanding(), 0);
}

/// A fleet with an idle connection to each instance, and their other ends.
async fn warm(instances: [&Instance; 2], settings: ForwardSettings) -> (Fleet, [TcpStream; 2]) {
    let [one, two] = instances;
    let fleet = Fleet::with(&[one, two], settings);
    let (a, (_, first)) = tokio::join!(fleet.get(), one.serve());
    let (b, (_, second)) = tokio::join!(fleet.get(), two.serve());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(fleet.forwarder.idle_connections(), 2);
    (fleet, [first, second])
}

#[tokio::test]
async fn idle_connections_to_replaced_instances_are_closed_without_a_request() {
    let (one, two, three) = (Instance::listening(1).await, Instance::listening(2).await, Instance::listening(3).await);
    let (fleet, [mut first, mut second]) = warm([&one, &two], ForwardSettings::default()).await;
    let forwarder = fleet.forwarder.clone();
    let replace = async {
        fleet.publish(&[&three, &two]);
        assert_eq!(read_to_close(&mut first).await, (Vec::new(), true));
        assert_eq!(fleet.forwarder.idle_connections(), 1);
        // That of the other is still good.
        let (result, _served) = tokio::join!(fleet.get(), three.serve());
        assert!(result.is_ok());
        let (result, ()) = tokio::join!(fleet.get(), async {
            read_head(&mut second).await;
            write(&mut second, OK).await;
        });
        assert!(result.is_ok());
        for state in [BackendState::Draining, BackendState::Idle] {
            fleet.state.send_replace(state);
        }
        assert_eq!(read_to_close(&mut second).await, (Vec::new(), true));
        assert_eq!(fleet.forwarder.idle_connections(), 0);
    };
    tokio::select! {
        () = forwarder.tend() => panic!("the state still has its writer"),
        () = replace => {}
    }
    drop(fleet);
    within(forwarder.tend()).await;
}

#[tokio::test]
async fn idle_connections_to_replaced_instances_are_closed_with_the_next_request() {
    let (one, two, three) = (Instance::listening(1).await, Instance::listening(2).await, Instance::listening(3).await);
    let (fleet, [mut first, mut second]) = warm([&one, &two], ForwardSettings::default()).await;
    fleet.publish(&[&three]);
    let (result, _served) = tokio::join!(fleet.get(), three.serve());
    assert!(result.is_ok());
    for stream in [&mut first, &mut second] {
        assert_eq!(read_to_close(stream).await, (Vec::new(), true));
    }
}

#[tokio::test]
async fn idle_connections_are_closed_when_they_are_too_old() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let settings = ForwardSettings { idle_connection_ms_max: 20, ..ForwardSettings::default() };
    let (fleet, [mut first, mut second]) = warm([&one, &two], settings).await;
    tokio::select! {
        () = fleet.forwarder.tend() => panic!("the state still has its writer"),
        () = async {
            assert_eq!(read_to_close(&mut first).await, (Vec::new(), true));
            assert_eq!(read_to_close(&mut second).await, (Vec::new(), true));
        } => {}
    }
    assert_eq!(fleet.forwarder.idle_connections(), 0);
}

#[tokio::test]
async fn the_pools_limit_holds_over_all_instances() {
    let (one, two) = (Instance::listening(1).await, Instance::listening(2).await);
    let settings = ForwardSettings { idle_connections_max: 1, ..ForwardSettings::default() };
    let fleet = Fleet::with(&[&one, &two], settings);
    let (result, (_, mut first)) = tokio::join!(fleet.get(), one.serve());
    assert!(result.is_ok());
    let (result, _second) = tokio::join!(fleet.get(), two.serve());
    assert!(result.is_ok());
    // The oldest makes room.
    assert_eq!(fleet.forwarder.idle_connections(), 1);
    assert_eq!(read_to_close(&mut first).await, (Vec::new(), true));
}

/// L51: requests get the page at once, also those that waited for a start, and
/// also where no more may wait.
#[tokio::test]
async fn an_app_taken_off_is_told_to_all_at_once() {
    let page = BackendState::Offline(Bytes::from_static(b"back soon"));
    let is_page = |kind: Kind| matches!(kind, Kind::Offline(page) if page == "back soon");
    let one = Instance::listening(1).await;
    let settings = ForwardSettings { waiting_requests_max: 1, ..ForwardSettings::default() };
    let fleet = Fleet::with(&[&one], settings);
    fleet.state.send_replace(BackendState::Starting);
    let (waited, ()) = tokio::join!(fleet.get(), async {
        fleet.waits(1).await;
        assert!(matches!(fleet.get().await.err().expect("a fault").kind, Kind::QueueFull));
        fleet.state.send_replace(page.clone());
        let fault = fleet.get().await.err().expect("the page");
        assert!(is_page(fault.kind));
    });
    assert!(is_page(waited.err().expect("the page").kind));

    // A request that finds its instance dead, and waits for a successor.
    let dead = Instance::dead(2).await;
    let fleet = Fleet::with(&[&dead], ForwardSettings { suspect_ms_max: 60_000, ..ForwardSettings::default() });
    let (waited, ()) = tokio::join!(fleet.get(), async {
        fleet.waits(1).await;
        fleet.state.send_replace(page.clone());
    });
    assert!(is_page(waited.err().expect("the page").kind));
    fleet.state.send_replace(ready(&[&one]));
    let (result, _served) = tokio::join!(fleet.get(), one.serve());
    assert!(result.is_ok());
}
