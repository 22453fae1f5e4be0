//! Binds the admin door and leaves the note.

use crate::address::Address;
use crate::connection::Io;
use crate::guard::{Door, Secret};
use crate::lock::Lock;
use crate::places::Places;
use crate::platform::{self, BindSocket, LocalDoor};
use crate::server::Accept;
use crate::slot::{Note, Slot};
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Longest name of a socket in a folder, with the slash before it: `/` + 16 digits + `-8.sock`.
const SOCKET_NAME_BYTES_MAX: usize = 1 + 16 + 7;

/// A bound admin door; its socket and its note go when it is dropped.
pub struct Listener {
    // Dropped before the two: the socket goes while its place is still held.
    kind: Kind,
    address: Address,
    allowed: [u32; 2],
    _slot: Option<Slot>,
    // Of a path that the operator chose.
    _lock: Option<Lock>,
}

enum Kind {
    Local(LocalDoor),
    Tcp(TcpListener, Arc<Secret>),
}

/// What binding led to.
pub struct Bound {
    /// None with [`Address::Off`], and where [`Address::Auto`] found no way.
    pub listener: Option<Listener>,
    /// What the operator should be told, a sentence each.
    pub notes: Vec<String>,
}

/// Why an address that was asked for can't be had: one sentence.
#[derive(Debug)]
pub struct BindError(String);

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the admin address can't be bound: {}", self.0)
    }
}

impl std::error::Error for BindError {}

impl Listener {
    /// Binds the address for the application in `app_dir` and leaves the note by
    /// which a client finds it. Needs the runtime's context.
    ///
    /// # Errors
    /// Only for [`Address::Unix`] and [`Address::Tcp`]: it is taken, or the system
    /// says no. A host with [`Address::Auto`] runs on without it.
    pub fn bind(address: &Address, app_dir: &Path, places: &Places) -> Result<Bound, BindError> {
        let mut notes = Vec::new();
        let listener = match address {
            Address::Off => None,
            Address::Auto => {
                let listener = auto(app_dir, places, &mut notes);
                listener.map_err(|problem| notes.push(format!("the host has no admin socket: {problem}"))).ok()
            }
            Address::Unix(path) => Some(unix(path, app_dir, places, &mut notes).map_err(BindError)?),
            Address::Tcp(addr) => Some(tcp(*addr, app_dir, places, &mut notes).map_err(BindError)?),
        };
        Ok(Bound { listener, notes })
    }

    /// Where it listens, with the port that it has.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn new(kind: Kind, address: Address, slot: Option<Slot>) -> Self {
        // Root may do everything anyway.
        Self { kind, address, allowed: [platform::own_uid(), 0], _slot: slot, _lock: None }
    }
}

impl Accept for Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Io>, Door)> {
        match &self.kind {
            Kind::Local(door) => {
                let (io, peer) = door.accept().await?;
                Ok((io, Door::Socket { peer, allowed: self.allowed }))
            }
            Kind::Tcp(listener, secret) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Door::Tcp { secret: Arc::clone(secret) }))
            }
        }
    }
}

fn auto(app_dir: &Path, places: &Places, notes: &mut Vec<String>) -> Result<Listener, String> {
    if !platform::HAS_SOCKETS {
        return Err("this system has none that Gatelodge uses; set admin = \"127.0.0.1:PORT\"".to_owned());
    }
    let folder = places.make(platform::SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES_MAX)?;
    let slot = take(&folder, app_dir, notes)?;
    let path = slot.socket();
    let door = match platform::bind_socket(&path) {
        BindSocket::Bound(door) => door,
        BindSocket::Taken => return Err(format!("another process accepts on {}", path.display())),
        BindSocket::Failed(problem) => return Err(problem),
    };
    let address = Address::Unix(path);
    leave(&slot, app_dir, &address, None)?;
    Ok(Listener::new(Kind::Local(door), address, Some(slot)))
}

fn unix(path: &Path, app_dir: &Path, places: &Places, notes: &mut Vec<String>) -> Result<Listener, String> {
    // Of two hosts that find the same left over socket only one may take its place.
    let lock_path = lock_path(path);
    let lock = match Lock::take(&lock_path) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Err(format!("another host has {}", path.display())),
        Err(error) => return Err(format!("{}: {error}", lock_path.display())),
    };
    let door = match platform::bind_socket(path) {
        BindSocket::Bound(door) => door,
        BindSocket::Taken => return Err(format!("another process accepts on {}", path.display())),
        BindSocket::Failed(problem) => return Err(problem),
    };
    let address = Address::Unix(path.to_owned());
    // Whoever knows the path needs no note.
    let noted = places.make(usize::MAX).and_then(|folder| take(&folder, app_dir, notes)).and_then(|slot| {
        leave(&slot, app_dir, &address, None)?;
        Ok(slot)
    });
    let slot = noted.map_err(|problem| notes.push(format!("only `--admin {address}` finds this host: {problem}"))).ok();
    Ok(Listener { _lock: Some(lock), ..Listener::new(Kind::Local(door), address, slot) })
}

/// `/run/site.sock.lock` for `/run/site.sock`.
fn lock_path(socket: &Path) -> PathBuf {
    let mut path = OsString::from(socket);
    path.push(".lock");
    PathBuf::from(path)
}

fn tcp(addr: SocketAddr, app_dir: &Path, places: &Places, notes: &mut Vec<String>) -> Result<Listener, String> {
    if !addr.ip().is_loopback() {
        return Err(format!("{addr} is not a loopback address"));
    }
    let bind = || {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok::<_, io::Error>((TcpListener::from_std(listener)?, bound, Arc::new(Secret::draw()?)))
    };
    let (listener, bound, secret) = bind().map_err(|error| format!("{addr}: {error}"))?;
    // Without its note no client could give an order.
    let slot = places.make(usize::MAX).and_then(|folder| take(&folder, app_dir, notes))?;
    let address = Address::Tcp(bound);
    leave(&slot, app_dir, &address, Some(secret.expose()))?;
    Ok(Listener::new(Kind::Tcp(listener, secret), address, Some(slot)))
}

fn take(folder: &Path, app_dir: &Path, notes: &mut Vec<String>) -> Result<Slot, String> {
    let (slot, others) = Slot::take(folder, &canonical(app_dir)?)?;
    if others > 0 {
        notes.push(format!("another host runs for {} already; name one with --admin", app_dir.display()));
    }
    Ok(slot)
}

fn leave(slot: &Slot, app_dir: &Path, address: &Address, secret: Option<&str>) -> Result<(), String> {
    let note = Note {
        app_dir: canonical(app_dir)?,
        pid: std::process::id(),
        address: address.to_string(),
        secret: secret.map(str::to_owned),
    };
    slot.write(&note).map_err(|error| format!("{}: {error}", slot.socket().with_extension("json").display()))
}

fn canonical(app_dir: &Path) -> Result<PathBuf, String> {
    app_dir.canonicalize().map_err(|error| format!("{}: {error}", app_dir.display()))
}
