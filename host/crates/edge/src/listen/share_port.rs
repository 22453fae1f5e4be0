//! Linux: each worker binds its own socket to the same port (`SO_REUSEPORT`),
//! and the system spreads new connections over them.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// One socket per worker, all at `addr`, whose port is known.
///
/// `SO_REUSEPORT` would also let a second host of the same user share the port
/// in silence; so an exclusive bind is tried first.
pub(crate) fn sockets(addr: SocketAddr, workers: usize, backlog: u32) -> io::Result<Vec<TcpListener>> {
    drop(open(addr, backlog, false)?);
    (0..workers).map(|_| open(addr, backlog, true)).collect()
}

/// A port at this address that nobody else has.
pub(crate) fn free_port(addr: SocketAddr) -> io::Result<u16> {
    Ok(open(addr, 1, false)?.local_addr()?.port())
}

/// A listening, non-blocking socket. Its address may be taken again at once
/// after a restart, while old connections linger.
fn open(addr: SocketAddr, backlog: u32, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
