//! Listening sockets, from the kernel's answer or from `/proc/net/tcp`.

use super::netlink;
use std::io::BufRead as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    pub(super) inode: u64,
}

/// Who is asked for listening sockets.
#[derive(Clone, Copy)]
pub(super) struct Sources {
    /// The kernel's own answer; with a port at least those on it.
    pub(super) kernel: fn(Option<u16>) -> std::io::Result<Vec<Listener>>,
    /// The table that is read where the kernel refuses, or breaks off.
    pub(super) table: fn() -> Vec<Listener>,
}

/// This system.
pub(super) const SYSTEM: Sources = Sources { kernel: netlink::listeners, table: from_table };

impl Sources {
    /// All listening TCP sockets of both families; with a port at least those on it.
    pub(super) fn listeners(self, port: Option<u16>) -> Vec<Listener> {
        (self.kernel)(port).unwrap_or_else(|_| (self.table)())
    }
}

/// The same from `/proc/net/tcp`, where the kernel doesn't tell otherwise.
pub(super) fn from_table() -> Vec<Listener> {
    let mut found = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Ok(file) = std::fs::File::open(file) else { continue };
        let mut lines = std::io::BufReader::with_capacity(16 * 1024, file).lines();
        lines.next();
        // The kernel lists listening sockets first: a busy machine's thousands
        // of connections behind them are not read.
        found.extend(lines.map_while(|line| parse(&line.ok()?)));
    }
    found
}

/// One line of the table; `None` if it is not a listening socket.
fn parse(line: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    if state != "0A" {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let addr = SocketAddr::new(parse_ip(address)?, u16::from_str_radix(port, 16).ok()?);
    Some(Listener { addr, inode })
}

/// An address as hexadecimal words in the machine's own byte order.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Listener, parse};

    #[test]
    fn table_lines_are_read() {
        let v4 =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100";
        assert_eq!(parse(v4), Some(Listener { addr: "127.0.0.1:8080".parse().unwrap(), inode: 4711 }));
        let v6 =
            "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 12 1";
        assert_eq!(parse(v6), Some(Listener { addr: "[::1]:80".parse().unwrap(), inode: 12 }));
        let mapped = "   1: 0000000000000000FFFF00000100007F:0050 0:0 0A 0:0 0:0 0 0 0 13 1";
        assert_eq!(parse(mapped), Some(Listener { addr: "127.0.0.1:80".parse().unwrap(), inode: 13 }));
        let connected = "   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000 0 5 1";
        assert_eq!(parse(connected), None);
        assert_eq!(parse("garbage"), None);
    }
}
