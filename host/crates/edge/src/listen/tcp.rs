//! Binding: all addresses for all workers, before anything is served.

use super::share;
use super::url::ListenUrl;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// How often a free port is looked for again when another took it meanwhile.
const FREE_PORT_TRIES: usize = 16;

/// The bound listening sockets of all workers.
#[derive(Debug)]
pub struct Door {
    bound: Vec<Bound>,
    workers: Vec<WorkerListeners>,
}

/// One listening address, once its port is known.
#[derive(Clone, Debug)]
pub struct Bound {
    /// As a client may type it: `http://127.0.0.1:5000`, `http://*:80`.
    pub url: String,
    /// First socket address behind it.
    pub addr: SocketAddr,
}

/// The listening sockets of one worker; may be sent to its thread.
#[derive(Debug, Default)]
pub struct WorkerListeners(pub(crate) Vec<TcpListener>);

/// An address could not be had.
#[derive(Debug, thiserror::Error)]
#[error("can't listen at {addr}: {source}")]
pub struct BindError {
    /// Where.
    pub addr: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

impl Door {
    /// Binds every address for every worker; at least one worker.
    ///
    /// Port 0 is looked up once, so that all workers share what was found.
    /// `backlog` as in [`crate::EdgeSettings::backlog_max`].
    ///
    /// # Errors
    /// The first address that can't be had; what was bound until then is given back.
    pub fn bind(urls: &[ListenUrl], workers: usize, backlog: u32) -> Result<Self, BindError> {
        let mut door = Self { bound: Vec::new(), workers: Vec::new() };
        door.workers.resize_with(workers.max(1), WorkerListeners::default);
        for url in urls {
            let first = url.first();
            let port = door.add(first, backlog).map_err(|source| BindError { addr: first, source })?;
            if let Some(second) = url.second(port) {
                match door.add(second, backlog) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && url.port() != 0 => {
                        return Err(BindError { addr: second, source: error });
                    }
                    // The machine has no IPv6, or a free port was asked for that is free only
                    // over IPv4: IPv4 alone will do.
                    Err(_) => {}
                }
            }
            door.bound.push(Bound { url: url.text(port), addr: SocketAddr::new(first.ip(), port) });
        }
        Ok(door)
    }

    /// Where it listens, in the order of the addresses given.
    #[must_use]
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The sockets, one set per worker.
    #[must_use]
    pub fn into_workers(self) -> Vec<WorkerListeners> {
        self.workers
    }

    fn add(&mut self, addr: SocketAddr, backlog: u32) -> io::Result<u16> {
        let (port, sockets) = sockets(addr, self.workers.len(), backlog)?;
        for (worker, socket) in self.workers.iter_mut().zip(sockets) {
            worker.0.push(socket);
        }
        Ok(port)
    }
}

fn sockets(addr: SocketAddr, workers: usize, backlog: u32) -> io::Result<(u16, Vec<TcpListener>)> {
    if addr.port() != 0 {
        return Ok((addr.port(), share::sockets(addr, workers, backlog)?));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let port = share::free_port(addr)?;
        match share::sockets(SocketAddr::new(addr.ip(), port), workers, backlog) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < FREE_PORT_TRIES => {}
            other => return Ok((port, other?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Door;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    #[test]
    fn workers_share_a_port_that_nobody_else_may_have() {
        let free = ["http://127.0.0.1:0".parse().unwrap()];
        let door = Door::bind(&free, 3, 16).unwrap();
        let addr = door.bound()[0].addr;
        assert_ne!(addr.port(), 0);
        assert_eq!(door.bound()[0].url, format!("http://{addr}"));
        let same = [format!("http://{addr}").parse().unwrap()];
        let second = Door::bind(&same, 1, 16).unwrap_err();
        assert_eq!((second.addr, second.source.kind()), (addr, ErrorKind::AddrInUse));
        let workers = door.into_workers();
        assert_eq!(workers.len(), 3);
        for worker in &workers {
            assert_eq!(worker.0[0].local_addr().unwrap(), addr);
        }
        drop(workers);
        Door::bind(&same, 2, 16).unwrap();
    }

    #[test]
    fn localhost_means_both_families_at_one_port() {
        let door = Door::bind(&["http://localhost:0".parse().unwrap()], 2, 16).unwrap();
        let port = door.bound()[0].addr.port();
        for worker in door.into_workers() {
            let addrs: Vec<SocketAddr> = worker.0.iter().map(|socket| socket.local_addr().unwrap()).collect();
            assert!(addrs.contains(&SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)), "{addrs:?}");
            assert!(addrs.iter().all(|addr| addr.port() == port), "{addrs:?}");
        }
    }

    #[test]
    fn a_taken_address_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = Door::bind(&[format!("http://{addr}").parse().unwrap()], 1, 16).unwrap_err();
        assert_eq!((error.addr, error.source.kind()), (addr, ErrorKind::AddrInUse));
    }
}
