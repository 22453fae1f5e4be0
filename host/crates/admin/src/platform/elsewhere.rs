//! What stands in for Unix sockets where there are none.

use crate::connection::Io;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// No socket, no limit.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = usize::MAX;

/// Whether [`crate::Address::Auto`] has a meaning.
pub(crate) const HAS_SOCKETS: bool = false;

/// The user's folders: the system lets nobody else into the local application data.
pub(crate) fn folders(environment: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    environment("LOCALAPPDATA").map(|local| PathBuf::from(local).join("gatelodge")).into_iter().collect()
}

/// Makes the folder; its parent's access list keeps others out.
pub(crate) fn make_private(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))
}

/// Whether the folder is there.
pub(crate) fn is_private(folder: &Path) -> Result<bool, String> {
    Ok(folder.is_dir())
}

/// How a file is opened that nobody else may read.
pub(crate) fn private_file() -> OpenOptions {
    OpenOptions::new()
}

/// Whether the path still leads to this open file; an open file can't be replaced here.
pub(crate) fn is_same(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// There is none.
pub(crate) enum LocalDoor {}

/// What became of an attempt to bind.
pub(crate) enum BindSocket {
    /// Never.
    #[expect(dead_code, reason = "the twin on Unix makes it")]
    Bound(LocalDoor),
    /// Never.
    #[expect(dead_code, reason = "the twin on Unix makes it")]
    Taken,
    /// One sentence.
    Failed(String),
}

/// Says that there are no such sockets.
pub(crate) fn bind_socket(path: &Path) -> BindSocket {
    BindSocket::Failed(format!("{}: {}", path.display(), unsupported()))
}

impl LocalDoor {
    /// Never called.
    pub(crate) async fn accept(&self) -> io::Result<(Box<dyn Io>, u32)> {
        match *self {}
    }
}

/// No user has a number here.
pub(crate) fn own_uid() -> u32 {
    0
}

/// Says that there are no such sockets.
pub(crate) async fn connect_socket(_path: &Path) -> io::Result<Box<dyn Io>> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "Gatelodge uses no Unix sockets on this system")
}
