//! Where `SO_REUSEPORT` is missing or does not balance: one socket, and each
//! worker accepts on its own handle of it.

use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// One handle per worker of one socket at `addr`, whose port is known.
pub(crate) fn sockets(addr: SocketAddr, workers: usize, backlog: u32) -> io::Result<Vec<TcpListener>> {
    // The standard library knows which address reuse is safe on each system.
    let socket = TcpListener::bind(addr)?;
    SockRef::from(&socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    (0..workers).map(|_| socket.try_clone()).collect()
}

/// A port at this address that nobody else has.
pub(crate) fn free_port(addr: SocketAddr) -> io::Result<u16> {
    Ok(TcpListener::bind(addr)?.local_addr()?.port())
}
