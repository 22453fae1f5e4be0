//! Listening TCP sockets as the kernel tells them over `NETLINK_SOCK_DIAG`
//! (`sock_diag(7)`).
//!
//! The kernel then walks its table of listening sockets only, which takes some
//! microseconds. Behind `/proc/net/tcp` it walks the table of connections as well,
//! whose size follows from the machine's memory: milliseconds where it is empty.

use super::sockets::Listener;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// `SOCK_DIAG_BY_FAMILY`: question and answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`: the kernel won't answer.
const REFUSED: u16 = 2;
/// `NLMSG_DONE`: nothing more comes.
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`: all that fit the question.
const REQUEST_ALL: u16 = 0x301;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The set of states that holds `TCP_LISTEN` alone.
const LISTENING: u32 = 1 << 10;
/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];
/// Length of a message's head, and of a question with its head.
const HEAD_BYTES: usize = 16;
const QUESTION_BYTES: u32 = 72;
/// The kernel fills no larger piece.
const PIECE_BYTES: usize = 32 * 1024;

/// All listening sockets, or those on one port.
///
/// # Errors
/// This system doesn't tell: no such protocol here, or not allowed.
pub(super) fn listeners(port: Option<u16>) -> Result<Vec<Listener>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    let (mut found, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    for family in FAMILIES {
        send(&socket, &question(family, port), SendFlags::empty())?;
        while !heard(receive(&socket, &mut piece)?, &mut found)? {}
    }
    Ok(found)
}

fn question(family: u8, port: Option<u16>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(QUESTION_BYTES as usize);
    bytes.extend(QUESTION_BYTES.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_ALL.to_ne_bytes());
    // Sequence and sender: there is one question at a time, and the kernel knows the sender.
    bytes.extend([0; 8]);
    bytes.extend([family, TCP, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.extend(port.unwrap_or(0).to_be_bytes());
    bytes.resize(QUESTION_BYTES as usize, 0);
    bytes
}

/// The next piece. The kernel has it ready when it took the question, or the piece
/// before was read: nobody waits here.
fn receive<'a>(socket: &OwnedFd, piece: &'a mut [u8]) -> Result<&'a [u8]> {
    let (_, length) = recv(socket, &mut *piece, RecvFlags::DONTWAIT | RecvFlags::TRUNC)?;
    piece.get(..length).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// Takes the messages of a piece; whether the last one was among them.
fn heard(mut piece: &[u8], found: &mut Vec<Listener>) -> Result<bool> {
    while let Some((length, kind)) = head(piece) {
        let message = piece.get(HEAD_BYTES..length).ok_or(ErrorKind::InvalidData)?;
        match kind {
            BY_FAMILY => found.push(socket_of(message).ok_or(ErrorKind::InvalidData)?),
            DONE => return Ok(true),
            REFUSED => return Err(refusal(message)),
            _ => {}
        }
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    if piece.is_empty() { Ok(false) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Length and kind of the first message.
fn head(piece: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(u32::from_ne_bytes(bytes(piece, 0)?)).ok()?;
    Some((length, u16::from_ne_bytes(bytes(piece, 4)?)))
}

fn refusal(message: &[u8]) -> Error {
    // The number is negative.
    let errno = bytes(message, 0).map(i32::from_ne_bytes).and_then(i32::checked_neg);
    errno.map_or_else(|| ErrorKind::InvalidData.into(), Error::from_raw_os_error)
}

/// A `struct inet_diag_msg`.
fn socket_of(message: &[u8]) -> Option<Listener> {
    let [family] = bytes(message, 0)?;
    let ip = match FAMILIES.iter().position(|known| *known == family)? {
        0 => IpAddr::from(Ipv4Addr::from(bytes::<4>(message, 8)?)),
        _ => Ipv6Addr::from(bytes::<16>(message, 8)?).to_canonical(),
    };
    let port = u16::from_be_bytes(bytes(message, 4)?);
    let inode = u32::from_ne_bytes(bytes(message, 68)?);
    Some(Listener { addr: SocketAddr::new(ip, port), inode: inode.into() })
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{DONE, HEAD_BYTES, REFUSED, heard, listeners};
    use crate::linux::sockets::{Listener, from_table};
    use std::net::TcpListener;

    /// A message as the kernel writes it.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEAD_BYTES + body.len()).unwrap();
        let mut all = [&length.to_ne_bytes(), &kind.to_ne_bytes()[..], &[0; 10], body].concat();
        all.resize(all.len().next_multiple_of(4), 0);
        all
    }

    fn socket(family: u8, port: u16, address: &[u8], inode: u32) -> Vec<u8> {
        let mut body = vec![family, 10, 0, 0];
        body.extend(port.to_be_bytes());
        body.extend([0, 0]);
        body.extend(address);
        body.resize(68, 0);
        body.extend(inode.to_ne_bytes());
        message(super::BY_FAMILY, &body)
    }

    #[test]
    fn messages_are_read_and_broken_ones_are_refused() {
        let v4 = socket(2, 8080, &[127, 0, 0, 1], 4711);
        let mapped = socket(10, 80, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1], 12);
        let v6 = socket(10, 81, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], u32::MAX);
        let done = message(DONE, &[0; 4]);
        let mut found = Vec::new();
        assert!(!heard(&[v4.clone(), mapped].concat(), &mut found).unwrap(), "more is to come");
        assert!(heard(&[v6, done].concat(), &mut found).unwrap());
        let at = |addr: &str, inode| Listener { addr: addr.parse().unwrap(), inode };
        assert_eq!(found, [at("127.0.0.1:8080", 4711), at("127.0.0.1:80", 12), at("[::1]:81", u32::MAX.into())]);
        for cut in [1, 15, 16, 40, v4.len() - 1] {
            assert!(heard(v4.get(..cut).unwrap(), &mut Vec::new()).is_err(), "{cut}");
        }
        for broken in [message(REFUSED, &(-2_i32).to_ne_bytes()), vec![0; 16], vec![255; 64], socket(7, 1, &[], 1)] {
            assert!(heard(&broken, &mut Vec::new()).is_err(), "{broken:?}");
        }
        let refused = heard(&message(REFUSED, &(-2_i32).to_ne_bytes()), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(2));
    }

    #[test]
    fn the_kernel_tells_what_its_table_tells() {
        let mine: Vec<TcpListener> =
            ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"].into_iter().flat_map(TcpListener::bind).collect();
        // Where the kernel doesn't tell the table is read: nothing to compare.
        let Ok(all) = listeners(None) else { return };
        let table = from_table();
        for listener in mine {
            let addr = listener.local_addr().unwrap();
            let told = listeners(Some(addr.port())).unwrap();
            let one: Vec<_> = all.iter().copied().filter(|l| l.addr == addr).collect();
            assert_eq!(one.len(), 1, "{addr} {all:?}");
            assert_eq!(told.into_iter().filter(|l| l.addr == addr).collect::<Vec<_>>(), one);
            assert!(table.contains(one.first().unwrap()), "{one:?} {table:?}");
        }
        // Nobody can listen on the port of a socket that is bound.
        let bound = super::super::trial_socket(super::AddressFamily::INET).unwrap();
        rustix::net::bind(&bound, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let held = rustix::net::getsockname(&bound).unwrap();
        let held = std::net::SocketAddr::try_from(held).unwrap();
        assert_eq!(listeners(Some(held.port())).unwrap(), []);
    }
}
