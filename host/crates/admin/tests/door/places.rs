//! Folders that are not private, and sockets at a path of the operator.

use crate::support::{HEALTH, exchange, serve_bound};
use gatelodge_admin::{Address, BindError, Bound, Listener, Places};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use tempfile::TempDir;
use tokio::net::UnixStream;

/// A folder for each of application, notes and sockets.
struct Site {
    root: TempDir,
    places: Places,
}

impl Site {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let places = Places::only(root.path().join("g"));
        Self { root, places }
    }

    fn notes(&self) -> PathBuf {
        self.root.path().join("g")
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("own.sock")
    }

    fn bind(&self, address: &Address) -> Result<Bound, BindError> {
        Listener::bind(address, self.root.path(), &self.places)
    }

    fn bind_at(&self, socket: &Path) -> Result<Bound, BindError> {
        self.bind(&Address::Unix(socket.to_owned()))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Someone else's user id.
fn foreign_uid() -> u32 {
    rustix::process::geteuid().as_raw() + 65_000
}

#[tokio::test]
async fn a_folder_that_others_could_use_is_refused_and_the_host_runs_on() {
    type Spoil = fn(&Path);
    let cases: [(Spoil, &str); 6] = [
        (|folder| std::fs::write(folder, "").unwrap(), "it is not a directory"),
        (
            |folder| {
                let real = folder.with_file_name("real");
                std::fs::create_dir(&real).unwrap();
                set_mode(&real, 0o700);
                symlink(real, folder).unwrap();
            },
            "a link is refused as well",
        ),
        (|folder| symlink("/nowhere", folder).unwrap(), "a link is refused as well"),
        (
            |folder| {
                std::fs::create_dir(folder).unwrap();
                set_mode(folder, 0o755);
            },
            "its mode is 755; `chmod 700 ",
        ),
        (
            |folder| {
                std::fs::create_dir(folder).unwrap();
                set_mode(folder, 0o701);
            },
            "its mode is 701",
        ),
        (
            |folder| {
                std::fs::create_dir(folder).unwrap();
                set_mode(folder, 0o1770);
            },
            "its mode is 770",
        ),
    ];
    for (spoil, wanted) in cases {
        let site = Site::new();
        spoil(&site.notes());
        let bound = site.bind(&Address::Auto).unwrap();
        assert!(bound.listener.is_none(), "{wanted}");
        assert!(bound.notes[0].starts_with("the host has no admin socket: "), "{:?}", bound.notes);
        assert!(bound.notes[0].contains(wanted), "{:?}", bound.notes);
        // An address that was asked for and can't be ordered about is an error.
        let error = site.bind(&Address::Tcp(([127, 0, 0, 1], 0).into())).err().unwrap().to_string();
        assert!(error.starts_with("the admin address can't be bound: ") && error.contains(wanted), "{error}");
        // Whoever names the path of a socket needs no folder.
        let bound = site.bind_at(&site.socket()).unwrap();
        assert!(bound.notes[0].starts_with("only `--admin unix:") && bound.notes[0].contains(wanted));
    }
}

#[tokio::test]
async fn a_folder_of_another_user_is_refused() {
    if !is_root() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let site = Site::new();
    std::fs::create_dir(site.notes()).unwrap();
    set_mode(&site.notes(), 0o700);
    std::os::unix::fs::chown(site.notes(), Some(foreign_uid()), None).unwrap();
    let bound = site.bind(&Address::Auto).unwrap();
    assert!(bound.listener.is_none());
    let wanted = format!("it belongs to user {}, not to this one", foreign_uid());
    assert!(bound.notes[0].contains(&wanted), "{:?}", bound.notes);
    let error = gatelodge_admin::client::Client::find(site.root.path(), &site.places).err().unwrap();
    assert!(error.to_string().contains(&wanted), "{error}");
}

#[tokio::test]
async fn folder_note_and_socket_are_for_their_user_only() {
    for address in [Address::Auto, Address::Tcp(([127, 0, 0, 1], 0).into())] {
        let site = Site::new();
        let _bound = site.bind(&address).unwrap();
        assert_eq!(mode(&site.notes()), 0o700);
        let entries: Vec<_> = std::fs::read_dir(site.notes()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(entries.len(), if address == Address::Auto { 3 } else { 2 }, "{entries:?}");
        for path in entries {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
    let site = Site::new();
    let bound = site.bind_at(&site.socket()).unwrap();
    assert_eq!(mode(&site.socket()), 0o600);
    assert_eq!(site.names(), ["g", "own.sock", "own.sock.lock"]);
    assert_eq!(mode(&site.root.path().join("own.sock.lock")), 0o600);
    drop(bound);
    assert_eq!(site.names(), ["g"], "nothing stays behind");
}

#[tokio::test]
async fn a_path_of_107_bytes_is_bound_and_one_of_108_is_not() {
    let site = Site::new();
    let room = 107 - site.root.path().as_os_str().len() - 1;
    let longest = site.root.path().join("s".repeat(room));
    assert_eq!(longest.as_os_str().len(), 107);
    let served = serve_bound(site.bind_at(&longest).unwrap());
    let answer = exchange(UnixStream::connect(&longest).await.unwrap(), HEALTH.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    served.abort();
    let longer = site.root.path().join("s".repeat(room + 1));
    let error = site.bind_at(&longer).err().unwrap().to_string();
    assert!(error.ends_with("has 108 bytes; the path of a socket has 107 at most"), "{error}");
}

#[tokio::test]
async fn a_folder_whose_sockets_would_have_too_long_a_path_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    // `/`, 16 digits and `-8.sock` go behind it.
    for (bytes, is_used) in [(107 - 24, true), (107 - 24 + 1, false)] {
        let folder = root.path().join("f".repeat(bytes - root.path().as_os_str().len() - 1));
        let bound = Listener::bind(&Address::Auto, root.path(), &Places::only(folder)).unwrap();
        assert_eq!(bound.listener.is_some(), is_used, "{bytes}: {:?}", bound.notes);
        assert_eq!(bound.notes.iter().any(|note| note.contains("too long a path for a socket")), !is_used);
    }
}

#[tokio::test]
async fn a_left_over_socket_is_replaced_and_a_live_one_is_not() {
    let site = Site::new();
    drop(UnixListener::bind(site.socket()).unwrap());
    assert_eq!(site.names(), ["own.sock"], "the socket of a dead process stays behind");
    let served = serve_bound(site.bind_at(&site.socket()).unwrap());
    let error = site.bind_at(&site.socket()).err().unwrap().to_string();
    assert!(error.ends_with(&format!("another host has {}", site.socket().display())), "{error}");
    let answer = exchange(UnixStream::connect(site.socket()).await.unwrap(), HEALTH.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "the first one is not disturbed: {answer}");
    served.abort();
    assert!(served.await.unwrap_err().is_cancelled());
    assert_eq!(site.names(), ["g"], "a dropped host takes its socket along");

    let foreign = UnixListener::bind(site.socket()).unwrap();
    let error = site.bind_at(&site.socket()).err().unwrap().to_string();
    assert!(error.contains("another process accepts on "), "{error}");
    drop(foreign);
    assert!(site.bind_at(&site.socket()).is_ok());
}

#[tokio::test]
async fn a_foreign_socket_with_a_full_queue_does_not_hold_a_start_up() {
    let site = Site::new();
    use rustix::net::{AddressFamily, SocketFlags, SocketType};
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(site.socket()).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let _queued = std::os::unix::net::UnixStream::connect(site.socket()).unwrap();
    // In a thread, so that a wait for ever is a failure.
    let (done, on_done) = std::sync::mpsc::sync_channel(1);
    let (socket_path, root, places) = (site.socket(), site.root.path().to_owned(), site.places.clone());
    std::thread::spawn(move || {
        let bound = Listener::bind(&Address::Unix(socket_path), &root, &places);
        done.send(bound.err().map(|error| error.to_string())).unwrap();
    });
    let error = on_done.recv_timeout(crate::support::SOON).unwrap().unwrap();
    assert!(error.contains("another process accepts on "), "{error}");
}

#[tokio::test]
async fn what_is_no_socket_of_a_host_is_not_touched() {
    let site = Site::new();
    let path = site.socket();
    let refused = |wanted: &str| {
        let error = site.bind_at(&path).err().unwrap().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    std::fs::write(&path, "precious").unwrap();
    refused("is there and is not a socket");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();

    symlink(site.root.path().join("elsewhere"), &path).unwrap();
    refused("is there and is not a socket");
    assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
    std::fs::remove_file(&path).unwrap();

    let datagram = UnixDatagram::bind(&path).unwrap();
    refused(&path.display().to_string());
    assert!(std::fs::symlink_metadata(&path).is_ok());
    drop(datagram);
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    refused("is there and is not a socket");
    std::fs::remove_dir(&path).unwrap();

    // A link in the place of the lock leads nowhere.
    let (lock, victim) = (site.root.path().join("own.sock.lock"), site.root.path().join("victim"));
    symlink(&victim, &lock).unwrap();
    refused("own.sock.lock: ");
    assert!(!victim.exists());
    std::fs::remove_file(&lock).unwrap();
    assert!(site.bind_at(&path).is_ok());
    let error = site.bind_at(&site.root.path().join("none/own.sock")).err().unwrap().to_string();
    assert!(error.contains("none/own.sock"), "{error}");
}

#[tokio::test]
async fn a_socket_that_took_the_place_of_ours_stays() {
    let site = Site::new();
    let bound = site.bind_at(&site.socket()).unwrap();
    std::fs::remove_file(site.socket()).unwrap();
    let _other = UnixListener::bind(site.socket()).unwrap();
    drop(bound);
    assert!(std::os::unix::net::UnixStream::connect(site.socket()).is_ok());
}

#[tokio::test]
async fn who_holds_the_lock_of_a_path_has_the_path() {
    let site = Site::new();
    drop(UnixListener::bind(site.socket()).unwrap());
    let left = std::fs::symlink_metadata(site.socket()).unwrap().ino();
    // A host between its look at the left over socket and its own.
    let lock = std::fs::File::create(site.root.path().join("own.sock.lock")).unwrap();
    lock.lock().unwrap();
    let error = site.bind_at(&site.socket()).err().unwrap().to_string();
    assert!(error.ends_with(&format!("another host has {}", site.socket().display())), "{error}");
    assert_eq!(std::fs::symlink_metadata(site.socket()).unwrap().ino(), left, "the socket is not touched");
    // It dies, and its lock's file stays behind.
    drop(lock);
    let bound = site.bind_at(&site.socket()).unwrap();
    assert_eq!(bound.notes, Vec::<String>::new());
}

/// Every round starts with a left over socket, which all hosts find.
#[tokio::test]
async fn of_hosts_that_start_at_once_on_one_path_one_gets_it() {
    const ROUNDS: usize = 20;
    const HOSTS: usize = 6;
    let site = Site::new();
    for round in 0..ROUNDS {
        drop(UnixListener::bind(site.socket()).unwrap());
        let barrier = Barrier::new(HOSTS);
        let runtime = tokio::runtime::Handle::current();
        let start = || {
            let _context = runtime.enter();
            barrier.wait();
            site.bind_at(&site.socket())
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..HOSTS).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (bound, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        let refused: Vec<_> = refused.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(bound.len(), 1, "round {round}: {refused:?}");
        assert!(refused.iter().all(|error| error.contains("another host has ")), "{refused:?}");
        drop(bound);
        assert_eq!(site.names(), ["g"], "round {round}");
    }
}
