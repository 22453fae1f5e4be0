//! A host without file descriptors can't accept at its admin door, and can again
//! when there are some. Alone in its process, whose limit it lowers.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use gatelodge_admin::{Address, Health, House, Limits, Listener, Places, Refusal, StatusPage, serve};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::future::pending;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// More than two pauses after a failed accept.
const PAUSES: Duration = Duration::from_millis(250);

/// A host that is well.
struct Well;

impl House for Well {
    async fn status(&self) -> StatusPage {
        StatusPage::default()
    }

    async fn metrics(&self) -> String {
        String::new()
    }

    fn health(&self) -> Health {
        Health { ok: true, state: "ready".to_owned() }
    }

    async fn reload(&self) -> Result<String, Refusal> {
        Err(Refusal::default())
    }

    async fn stop(&self) {}
}

/// A request in the door's queue.
fn ask(socket: &Path) -> std::io::Result<UnixStream> {
    let mut peer = UnixStream::connect(socket)?;
    peer.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    peer.set_nonblocking(true)?;
    Ok(peer)
}

/// Opens files until the system gives no more.
fn take_all() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken
}

#[tokio::test]
async fn a_door_without_descriptors_opens_again_when_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::only(folder.path().join("g"));
    let listener = Listener::bind(&Address::Auto, folder.path(), &places).unwrap().listener.unwrap();
    let Address::Unix(socket) = listener.address().clone() else { panic!("a socket was asked for") };
    let mut peer = tokio::net::UnixStream::from_std(ask(&socket).unwrap()).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum }).unwrap();
    let taken = take_all();
    assert!(!taken.is_empty());

    let served = tokio::spawn(serve(listener, Arc::new(Well), Limits::default(), pending()));
    let mut answer = String::new();
    assert!(timeout(PAUSES, peer.read_to_string(&mut answer)).await.is_err(), "nobody could accept: {answer}");
    assert!(!served.is_finished());
    drop(taken);
    timeout(Duration::from_secs(20), peer.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    served.abort();
}
