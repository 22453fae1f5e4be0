//! Folders, files and sockets that only one user can use.

use crate::connection::Io;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Longest path of a socket, in bytes; the system's address has room for one more, a zero.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Whether [`crate::Address::Auto`] has a meaning.
pub(crate) const HAS_SOCKETS: bool = true;

/// The user's folders, best first.
pub(crate) fn folders(environment: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let uid = geteuid().as_raw();
    let mut folders = Vec::new();
    let absolute = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // After `sudo` the variable may still name the other user's directory.
    if let Some(own) = absolute("XDG_RUNTIME_DIR")
        && std::fs::metadata(&own).is_ok_and(|found| found.uid() == uid)
    {
        folders.push(own.join("gatelodge"));
    }
    if uid == 0 {
        folders.push(PathBuf::from("/run/gatelodge"));
    }
    let name = format!("gatelodge-{uid}");
    folders.extend(absolute("TMPDIR").map(|temporary| temporary.join(&name)));
    folders.push(Path::new("/tmp").join(&name));
    folders
}

/// Makes the folder with mode 0700, or takes one that is there and private.
pub(crate) fn make_private(folder: &Path) -> Result<(), String> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("{} can't be made: {error}", folder.display())),
    }
    match is_private(folder) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{} went away", folder.display())),
        Err(problem) => Err(problem),
    }
}

/// Whether the folder is there.
///
/// # Errors
/// One sentence if it is there but another user could have put something into it.
pub(crate) fn is_private(folder: &Path) -> Result<bool, String> {
    let shown = folder.display();
    let found = match std::fs::symlink_metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    if !found.is_dir() {
        return Err(format!("{shown} is not used: it is not a directory (a link is refused as well)"));
    }
    if found.uid() != geteuid().as_raw() {
        return Err(format!("{shown} is not used: it belongs to user {}, not to this one", found.uid()));
    }
    let mode = found.mode() & 0o777;
    if mode != 0o700 {
        return Err(format!("{shown} is not used: its mode is {mode:03o}; `chmod 700 {shown}` makes it private"));
    }
    Ok(true)
}

/// How a file is opened that nobody else may read; a link is not followed.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Whether the path still leads to this open file.
pub(crate) fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// A bound Unix socket, removed when it is dropped.
pub(crate) struct LocalDoor {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

/// What became of an attempt to bind.
pub(crate) enum BindSocket {
    /// It listens.
    Bound(LocalDoor),
    /// Another process accepts there.
    Taken,
    /// One sentence.
    Failed(String),
}

/// Binds the socket with mode 0600 and takes the place of one that nobody accepts on.
pub(crate) fn bind_socket(path: &Path) -> BindSocket {
    let shown = path.display();
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let problem = format!("{shown} has {bytes} bytes; the path of a socket has {SOCKET_PATH_BYTES_MAX} at most");
        return BindSocket::Failed(problem);
    }
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return BindSocket::Failed(format!("{shown}: {error}")),
        Ok(found) if !found.file_type().is_socket() => {
            return BindSocket::Failed(format!("{shown} is there and is not a socket"));
        }
        Ok(_) => match try_connect(path) {
            Err(Errno::CONNREFUSED) => {
                if let Err(error) = std::fs::remove_file(path) {
                    return BindSocket::Failed(format!("{shown} is left over and can't be removed: {error}"));
                }
            }
            // Nobody accepts at the moment, but the queue is somebody's.
            Ok(()) | Err(Errno::AGAIN) => return BindSocket::Taken,
            Err(error) => return BindSocket::Failed(format!("{shown}: {error}")),
        },
    }
    match listen(path) {
        Ok(door) => BindSocket::Bound(door),
        Err(error) => BindSocket::Failed(format!("{shown}: {error}")),
    }
}

/// Whether somebody listens; never waits for room in a full queue.
fn try_connect(path: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

fn listen(path: &Path) -> io::Result<LocalDoor> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let found = std::fs::symlink_metadata(path)?;
    Ok(LocalDoor { listener, path: path.to_owned(), identity: (found.dev(), found.ino()) })
}

impl LocalDoor {
    /// The next connection and the user at its other end.
    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Io>, u32)> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((Box::new(stream), uid))
    }
}

impl Drop for LocalDoor {
    /// Removes the socket's file, unless another one has taken its place.
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            // Nobody could do anything about a file that stays behind.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The user whose orders are taken, besides root.
pub(crate) fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// Connects to a Unix socket.
pub(crate) async fn connect_socket(path: &Path) -> io::Result<Box<dyn Io>> {
    Ok(Box::new(UnixStream::connect(path).await?))
}
