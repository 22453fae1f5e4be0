//! A host behind the door, and a peer that speaks bytes.

use gatelodge_admin::{Address, Health, House, Limits, Listener, Places, Refusal, StatusPage, serve};
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// For what must come; a test that waits so long has failed.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// How the host behind the door answers a status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Prompt,
    Hangs,
    Panics,
    /// Panics after it has waited once.
    PanicsLater,
}

/// A host that tells which orders came; a reload waits for a permit.
pub(crate) struct Model {
    mood: Mood,
    orders: mpsc::Sender<&'static str>,
    reloads: Arc<Semaphore>,
}

impl House for Model {
    async fn status(&self) -> StatusPage {
        match self.mood {
            Mood::Prompt => StatusPage::default(),
            Mood::Hangs => pending().await,
            Mood::Panics => panic!("a test's status panics"),
            Mood::PanicsLater => {
                tokio::task::yield_now().await;
                panic!("a test's status panics later")
            }
        }
    }

    async fn metrics(&self) -> String {
        "# none\n".to_owned()
    }

    fn health(&self) -> Health {
        Health { ok: true, state: "ready".to_owned() }
    }

    async fn reload(&self) -> Result<String, Refusal> {
        self.orders.send("reload").await.unwrap();
        self.reloads.acquire().await.unwrap().forget();
        Ok("done".to_owned())
    }

    async fn stop(&self) {
        self.orders.send("stop").await.unwrap();
    }
}

/// A host with a TCP door in folders of its own.
pub(crate) struct Host {
    pub(crate) addr: std::net::SocketAddr,
    pub(crate) secret: String,
    pub(crate) orders: mpsc::Receiver<&'static str>,
    pub(crate) reloads: Arc<Semaphore>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
    _folders: (TempDir, TempDir),
}

impl Host {
    pub(crate) fn start(mood: Mood, limits: Limits) -> Self {
        let (app, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let places = Places::only(folder.path().join("g"));
        let bound = Listener::bind(&Address::Tcp(([127, 0, 0, 1], 0).into()), app.path(), &places).unwrap();
        let listener = bound.listener.unwrap();
        let Address::Tcp(addr) = *listener.address() else { panic!("a TCP address was asked for") };
        let secret = secret(&folder.path().join("g"));
        let (orders_tx, orders) = mpsc::channel(64);
        let reloads = Arc::new(Semaphore::new(0));
        let (stop, task) = run(listener, Model { mood, orders: orders_tx, reloads: Arc::clone(&reloads) }, limits);
        Self { addr, secret, orders, reloads, stop, task, _folders: (app, folder) }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        timeout(SOON, TcpStream::connect(self.addr)).await.unwrap().unwrap()
    }

    /// Sends the bytes; everything that comes until the host closes.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        exchange(self.connect().await, bytes.as_ref()).await
    }

    /// An order with the secret and further fields.
    pub(crate) fn order(&self, path: &str, fields: &str) -> String {
        let Self { addr, secret, .. } = self;
        format!("POST {path} HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {secret}\r\n{fields}\r\n")
    }

    pub(crate) async fn is_healthy(&self) {
        let answer = self.exchange(HEALTH).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert!(answer.ends_with("\r\n\r\n{\"ok\":true,\"state\":\"ready\"}"), "{answer:?}");
    }

    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

/// The secret in the folder's one note.
fn secret(folder: &Path) -> String {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let note = entries.find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
    let note: serde_json::Value = serde_json::from_slice(&std::fs::read(note).unwrap()).unwrap();
    note["secret"].as_str().unwrap().to_owned()
}

fn run(listener: Listener, model: Model, limits: Limits) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, on_stop) = oneshot::channel::<()>();
    let task = tokio::spawn(serve(listener, Arc::new(model), limits, async {
        let _ = on_stop.await;
    }));
    (stop, task)
}

/// Serves the bound door with a prompt host until the task is aborted.
#[cfg(unix)]
pub(crate) fn serve_bound(bound: gatelodge_admin::Bound) -> JoinHandle<()> {
    let (orders, _) = mpsc::channel(64);
    let model = Model { mood: Mood::Prompt, orders, reloads: Arc::new(Semaphore::new(0)) };
    let listener = bound.listener.unwrap();
    tokio::spawn(serve(listener, Arc::new(model), Limits::default(), pending()))
}

/// Sends the bytes; everything that comes until the host closes, by whatever means.
pub(crate) async fn exchange(mut io: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> String {
    // The host may have closed before the last byte.
    let _ = timeout(SOON, io.write_all(bytes)).await.unwrap();
    rest(io).await
}

/// Everything that comes until the host closes, by whatever means.
pub(crate) async fn rest(mut io: impl AsyncRead + Unpin) -> String {
    let mut got = Vec::new();
    let _ = timeout(SOON, io.read_to_end(&mut got)).await.unwrap();
    String::from_utf8(got).unwrap()
}
