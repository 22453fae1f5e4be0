use super::{Client, ClientError};
use crate::house::{Health, House, Refusal};
use crate::{Address, Limits, Listener, Places, StatusPage, serve};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Tells which orders came.
struct Model {
    orders: mpsc::Sender<&'static str>,
    healthy: bool,
    problems: Vec<String>,
}

impl House for Model {
    async fn status(&self) -> StatusPage {
        crate::table::sample()
    }

    async fn metrics(&self) -> String {
        crate::prometheus::render(&crate::table::sample(), &[])
    }

    fn health(&self) -> Health {
        Health { ok: self.healthy, state: "ready".to_owned() }
    }

    async fn reload(&self) -> Result<String, Refusal> {
        self.orders.send("reload").await.unwrap();
        if self.problems.is_empty() {
            return Ok("configuration 2 serves".to_owned());
        }
        Err(Refusal { summary: "the old configuration goes on".to_owned(), problems: self.problems.clone() })
    }

    async fn stop(&self) {
        self.orders.send("stop").await.unwrap();
    }
}

struct Running {
    address: Address,
    orders: mpsc::Receiver<&'static str>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    notes: Vec<String>,
}

impl Running {
    fn start(address: &Address, app_dir: &Path, places: &Places, problems: &[&str], healthy: bool) -> Self {
        let (orders_tx, orders) = mpsc::channel(8);
        let bound = Listener::bind(address, app_dir, places).unwrap();
        let listener = bound.listener.unwrap();
        let address = listener.address().clone();
        let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
        let house = Arc::new(Model { orders: orders_tx, healthy, problems });
        let (stop, on_stop) = oneshot::channel();
        let task = tokio::spawn(serve(listener, house, Limits::default(), async {
            let _ = on_stop.await;
        }));
        Self { address, orders, stop, task, notes: bound.notes }
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn loopback() -> Address {
    Address::Tcp(([127, 0, 0, 1], 0).into())
}

#[tokio::test]
async fn everything_is_asked_and_ordered_through_either_door() {
    let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places::only(folder.path().join("g"));
    for address in [Address::Auto, loopback(), Address::Unix(folder.path().join("own.sock"))] {
        let mut host = Running::start(&address, app.path(), &places, &[], true);
        assert_eq!(host.notes, Vec::<String>::new());
        for client in [Client::find(app.path(), &places).unwrap(), Client::at(host.address.clone(), &places).unwrap()] {
            assert_eq!(client.address(), &host.address);
            assert_eq!(client.status().await.unwrap(), crate::table::sample());
            assert!(client.status_json().await.unwrap().contains("\"state\":\"ready\""));
            assert!(client.metrics().await.unwrap().contains("gatelodge_app_starts_total 6\n"));
            assert!(client.health().await.unwrap().ok);
            assert_eq!(client.reload().await.unwrap(), "configuration 2 serves");
            assert_eq!(host.orders.recv().await, Some("reload"));
            assert_eq!(client.stop().await.unwrap(), "the host stops");
            assert_eq!(host.orders.recv().await, Some("stop"));
        }
        let address = host.address.clone();
        host.end().await;
        let left: Vec<_> = std::fs::read_dir(folder.path().join("g")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let error = Client::at(address, &places).unwrap().status().await.unwrap_err();
        assert!(error.to_string().starts_with("no host runs at "), "{error}");
    }
}

#[tokio::test]
async fn a_refused_reload_lists_its_problems_and_ill_health_is_an_answer() {
    let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places::only(folder.path().join("g"));
    let _host = Running::start(&Address::Auto, app.path(), &places, &["a.toml:1:1: x", "b"], false);
    let client = Client::find(app.path(), &places).unwrap();
    let error = client.reload().await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(refusal) if refusal.problems.len() == 2));
    assert_eq!(error.to_string(), "the old configuration goes on\n  a.toml:1:1: x\n  b");
    assert_eq!(client.health().await.unwrap(), Health { ok: false, state: "ready".to_owned() });
}

#[tokio::test]
async fn who_is_not_there_is_told_by_the_applications_folder() {
    let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places::only(folder.path().join("g"));
    let error = Client::find(app.path(), &places).err().unwrap();
    let shown = app.path().canonicalize().unwrap();
    assert_eq!(error.to_string(), format!("no host of this user runs for {}", shown.display()));
    let error = Client::find(&app.path().join("none"), &places).err().unwrap();
    assert!(matches!(error, ClientError::NotRunning(_, problems) if problems.len() == 1));
    for address in [Address::Auto, Address::Off] {
        assert!(matches!(Client::at(address, &places), Err(ClientError::NoAddress(_))));
    }
}

#[tokio::test]
async fn two_hosts_of_one_application_both_get_a_door_and_are_told_apart() {
    let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places::only(folder.path().join("g"));
    let first = Running::start(&Address::Auto, app.path(), &places, &[], true);
    let second = Running::start(&Address::Auto, app.path(), &places, &[], true);
    assert!(second.notes[0].contains("another host runs"), "{:?}", second.notes);
    assert_ne!(first.address, second.address);
    let text = Client::find(app.path(), &places).err().unwrap().to_string();
    for host in [&first, &second] {
        assert!(text.contains(&format!("--admin {}  (process {})", host.address, std::process::id())), "{text}");
        assert!(Client::at(host.address.clone(), &places).unwrap().status().await.is_ok());
    }
    first.end().await;
    assert_eq!(Client::find(app.path(), &places).unwrap().address(), &second.address);
}

#[tokio::test]
async fn without_the_note_an_order_over_tcp_is_denied() {
    let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places::only(folder.path().join("g"));
    let mut host = Running::start(&loopback(), app.path(), &places, &[], true);
    let stranger = Client::at(host.address.clone(), &Places::only(folder.path().join("other"))).unwrap();
    assert!(stranger.status().await.is_ok());
    let error = stranger.stop().await.unwrap_err();
    assert!(error.to_string().starts_with("permission denied at 127.0.0.1:"), "{error}");
    assert!(host.orders.try_recv().is_err());
}

#[tokio::test]
async fn what_is_no_host_is_said_to_be_none() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for answer in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 500 No\r\n\r\n"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::at(Address::Tcp(listener.local_addr().unwrap()), &Places::only("/".into())).unwrap();
        let peer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let (asked, ()) = tokio::join!(client.status(), peer);
        assert!(matches!(asked, Err(ClientError::Broken(..))), "{answer}");
    }
}
