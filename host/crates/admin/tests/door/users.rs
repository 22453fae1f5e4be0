//! A second user of this machine at the Unix socket.
//!
//! On Linux each thread has its own user, and a socket knows the user that its
//! peer had when it connected. So a thread can be the other user for real, while
//! the host in the same process stays what it was.

use crate::support::{HEALTH, serve_bound};
use gatelodge_admin::client::Client;
use gatelodge_admin::{Address, Listener, Places};
use rustix::process::{Gid, Uid};
use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Nobody's, and not the kernel's "no change".
const STRANGER: u32 = 65_533;

/// Runs the closure in a thread that belongs to the stranger for good.
async fn as_stranger<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, on_done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let (uid, gid) = (Uid::from_raw(STRANGER), Gid::from_raw(STRANGER));
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        assert_eq!(rustix::process::geteuid().as_raw(), STRANGER);
        let _ = done.send(work());
    });
    on_done.await.unwrap()
}

fn ask(socket: &Path, request: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(crate::support::SOON))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

struct Site {
    root: tempfile::TempDir,
    places: Places,
    socket: PathBuf,
}

/// A folder that everybody may enter. None without root, which alone can become somebody else.
fn site() -> Option<Site> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become another user");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    open_to(root.path(), 0o755);
    let (places, socket) = (Places::only(root.path().join("g")), root.path().join("own.sock"));
    Some(Site { root, places, socket })
}

fn open_to(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn another_user_is_kept_out_by_the_socket_and_by_the_door_behind_it() {
    let Some(site) = site() else { return };
    let bound = Listener::bind(&Address::Unix(site.socket.clone()), site.root.path(), &site.places).unwrap();
    let served = serve_bound(bound);
    let socket = site.socket.clone();
    let error = as_stranger(move || ask(&socket, HEALTH)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "the socket's mode keeps the stranger out");

    // Even if somebody opened the socket, the host looks at the peer.
    open_to(&site.socket, 0o666);
    for request in [HEALTH, "POST /stop HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /nothing HTTP/1.1\r\n\r\n"] {
        let socket = site.socket.clone();
        let answer = as_stranger(move || ask(&socket, request)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{request}: {answer}");
        let text = "{\"error\":\"only the user that runs the host, and root, may use this socket\"}";
        assert!(answer.ends_with(text), "{request}: {answer}");
    }
    let socket = site.socket.clone();
    let answer = tokio::task::spawn_blocking(move || ask(&socket, HEALTH)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    served.abort();
}

#[tokio::test]
async fn another_user_is_told_by_the_client_what_is_missing() {
    let Some(site) = site() else { return };
    let address = Address::Unix(site.socket.clone());
    let served = serve_bound(Listener::bind(&address, site.root.path(), &site.places).unwrap());
    let stop = |address: Address, places: Places| {
        as_stranger(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Client::at(address, &places).unwrap().stop().await.unwrap_err().to_string() })
        })
    };
    let shut = stop(address.clone(), site.places.clone()).await;
    assert_eq!(shut, format!("permission denied at {address}: the host belongs to another user"));
    open_to(&site.socket, 0o666);
    let seen = stop(address.clone(), site.places.clone()).await;
    let why = "only the user that runs the host, and root, may use this socket";
    assert_eq!(seen, format!("permission denied at {address}: {why}"));

    let (app, places) = (site.root.path().to_owned(), site.places.clone());
    let found = as_stranger(move || Client::find(&app, &places).err().unwrap().to_string()).await;
    assert!(found.starts_with("no host of this user runs for "), "{found}");
    assert!(found.ends_with("is not used: it belongs to user 0, not to this one"), "{found}");
    served.abort();
}

#[tokio::test]
async fn over_tcp_another_user_may_look_and_not_order() {
    let Some(site) = site() else { return };
    let bound = Listener::bind(&Address::Tcp(([127, 0, 0, 1], 0).into()), site.root.path(), &site.places).unwrap();
    let address = bound.listener.as_ref().unwrap().address().clone();
    let served = serve_bound(bound);
    let places = site.places.clone();
    let (looked, ordered) = as_stranger(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::at(address, &places).unwrap();
            (client.status().await, client.stop().await)
        })
    })
    .await;
    assert!(looked.is_ok());
    let error = ordered.unwrap_err().to_string();
    assert!(error.starts_with("permission denied at 127.0.0.1:") && error.contains("needs the secret"), "{error}");
    served.abort();
}
