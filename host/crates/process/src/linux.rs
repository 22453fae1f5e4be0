//! Processes and sockets as Linux shows them.

mod accounts;
mod cgroup;
mod confine;
mod frames;
mod identity;
mod keeper;
mod kept;
mod listener;
mod netlink;
mod refusal;
mod sockets;
mod spare;
mod stage;
mod tree;
mod warden;

pub(crate) use frames::Launch;
pub use identity::check as check_identity;
pub(crate) use identity::resolve as resolve_identity;
pub use keeper::keeper_main;
pub(crate) use kept::Kept;
pub(crate) use listener::{Owner, is_listening, look, other_ports};
pub(crate) use spare::{Recipe, Spares, tend};
pub(crate) use tree::memory_bytes;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Whether the path is a file that somebody may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Ports that the system's owner keeps for others, as a list such as `8080,9148-9150`.
pub(crate) fn reserved_ports() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default()
}

/// First and last port that the system gives to outgoing connections.
pub(crate) fn ephemeral_ports() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Keeps a port for whoever holds it.
pub(crate) type PortClaim = std::os::unix::net::UnixDatagram;

/// Claims a port among the hosts of this network namespace: a name of the
/// abstract namespace of Unix sockets, which reaches as far as the ports do and
/// goes with its holder.
///
/// # Errors
/// [`std::io::ErrorKind::AddrInUse`]: another one holds it. Any other: nothing
/// can be claimed here.
pub(crate) fn claim_port(port: u16) -> std::io::Result<PortClaim> {
    use std::os::linux::net::SocketAddrExt as _;
    let name = std::os::unix::net::SocketAddr::from_abstract_name(format!("gatelodge-port-{port}"))?;
    PortClaim::bind_addr(&name)
}

/// Whether a program could listen on the port, on any address of both families.
///
/// The port is bound for a moment and never listened on, so nobody can connect.
pub(crate) fn is_free(port: u16) -> bool {
    let families = [
        (AddressFamily::INET, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        (AddressFamily::INET6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    ];
    families.into_iter().all(|(family, address)| match trial_socket(family) {
        Ok(socket) => rustix::net::bind(&socket, &SocketAddr::new(address, port)).is_ok(),
        // Nobody can use a family that the system does not have.
        Err(_) => true,
    })
}

/// No keeper that is being started by another thread may inherit it: it would hold
/// the port for as long as it waits.
fn trial_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use rustix::io::FdFlags;
    use rustix::net::AddressFamily;

    #[test]
    fn no_child_inherits_a_port_that_is_tried() {
        let socket = super::trial_socket(AddressFamily::INET).unwrap();
        assert!(rustix::io::fcntl_getfd(&socket).unwrap().contains(FdFlags::CLOEXEC));
    }
}
