//! Who listens where, from the listening sockets and the descriptors of the tree.

use super::sockets::{Listener, SYSTEM, Sources};
use super::tree::descendants;
use crate::report::Sighting;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// Whether anybody listens on the port, on any address of either family.
pub(crate) fn is_listening(port: u16) -> bool {
    SYSTEM.is_listening(port)
}

/// Looks who listens on `port`: a descendant of `keeper`, or somebody else.
///
/// `likely` is a descendant that is known to live; it is asked first, and mostly
/// it is the one. The tree is only walked if it isn't, and if there is a listener.
pub(crate) fn look(keeper: u32, likely: Option<u32>, port: u16) -> Sighting {
    SYSTEM.look(keeper, likely, port)
}

/// Where descendants of `keeper` listen that [`look`] doesn't count: on other
/// ports, or on addresses that loopback doesn't reach.
pub(crate) fn other_ports(keeper: u32, port: u16) -> Vec<SocketAddr> {
    SYSTEM.other_ports(tree(keeper), port)
}

impl Sources {
    fn is_listening(self, port: u16) -> bool {
        self.listeners(Some(port)).iter().any(|l| l.addr.port() == port)
    }

    fn look(self, keeper: u32, likely: Option<u32>, port: u16) -> Sighting {
        let reached = |l: &Listener| l.addr.port() == port && reaches_loopback(l.addr.ip());
        let mut candidates: Vec<Listener> = self.listeners(Some(port)).into_iter().filter(reached).collect();
        if candidates.is_empty() {
            return Sighting::Nobody;
        }
        candidates.sort_by_key(|l| rank(l.addr.ip()));
        let told = likely.and_then(|pid| judge(&candidates, &sockets([pid]), port));
        told.or_else(|| judge(&candidates, &sockets(tree(keeper)), port)).unwrap_or(Sighting::Foreign)
    }

    fn other_ports(self, tree: impl IntoIterator<Item = u32>, port: u16) -> Vec<SocketAddr> {
        let owned: HashSet<u64> = sockets(tree).into_iter().map(|(_, inode)| inode).collect();
        let all = self.listeners(None).into_iter();
        let mut others: Vec<_> = all.filter(|l| owned.contains(&l.inode)).map(|l| l.addr).collect();
        others.retain(|addr| addr.port() != port || !reaches_loopback(addr.ip()));
        others.sort();
        others.dedup();
        others
    }
}

/// The sighting if all candidates are owned, best first.
fn judge(candidates: &[Listener], owned: &[(u32, u64)], port: u16) -> Option<Sighting> {
    let owner = |l: &Listener| owned.iter().find(|(_, inode)| *inode == l.inode).map(|(pid, _)| *pid);
    let owners: Vec<u32> = candidates.iter().map(owner).collect::<Option<_>>()?;
    let addr = SocketAddr::new(through(candidates.first()?.addr.ip()), port);
    Some(Sighting::Ours { addr, pid: *owners.first()? })
}

fn tree(keeper: u32) -> impl Iterator<Item = u32> {
    descendants(keeper).into_iter().map(|process| process.pid)
}

/// Tells when a process has ended.
pub(crate) struct Owner(AsyncFd<OwnedFd>);

impl Owner {
    /// `None` if it has ended already.
    #[allow(deprecated, reason = "deprecated for descriptors that may close under it; an OwnedFd stays open")]
    pub(crate) fn watch(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        AsyncFd::with_interest(handle, tokio::io::Interest::READABLE).ok().map(Self)
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        // An error would mean that the runtime is being taken down.
        let _ = self.0.readable().await;
    }
}

/// The sockets that the processes hold, with a process for each.
fn sockets(processes: impl IntoIterator<Item = u32>) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    for pid in processes {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for entry in entries.flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            found.extend(inode.map(|inode| (pid, inode)));
        }
    }
    found
}

fn reaches_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// Which of several listeners of ours is taken.
fn rank(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => 1,
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) if ip.is_unspecified() => 3,
        IpAddr::V6(_) => 2,
    }
}

/// The address to connect to.
fn through(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // A socket on `::` takes IPv4 as well, which is the only way to it where
        // the system has IPv6 switched off on its interfaces.
        IpAddr::V6(ip) if ip.is_unspecified() && !has_loopback_v6() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn has_loopback_v6() -> bool {
    const LOOPBACK: &str = "00000000000000000000000000000001 ";
    std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|all| all.lines().any(|l| l.starts_with(LOOPBACK)))
}

#[cfg(test)]
mod tests {
    use super::{Listener, SYSTEM, Sources, judge, look, other_ports};
    use crate::report::Sighting;
    use std::io::{Error, ErrorKind};
    use std::net::{SocketAddr, TcpListener};

    #[test]
    fn one_stranger_among_the_listeners_is_enough() {
        let at = |addr: &str, inode| Listener { addr: addr.parse().unwrap(), inode };
        let candidates = [at("127.0.0.1:80", 1), at("[::1]:80", 2)];
        let ours = Sighting::Ours { addr: "127.0.0.1:80".parse().unwrap(), pid: 7 };
        for (owned, expected) in
            [(vec![(7, 1), (8, 2)], Some(ours)), (vec![(7, 1)], None), (vec![(7, 2)], None), (vec![], None)]
        {
            assert_eq!(judge(&candidates, &owned, 80), expected, "{owned:?}");
        }
    }

    #[test]
    fn a_listener_outside_the_tree_is_foreign() {
        let mine = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = mine.local_addr().unwrap().port();
        // A number that no process has: nothing is below it.
        let nobody = u32::MAX;
        assert_eq!(look(nobody, None, port), Sighting::Foreign);
        assert!(other_ports(nobody, 1).is_empty());
        assert!(matches!(look(nobody, Some(std::process::id()), port), Sighting::Ours { .. }));
        drop(mine);
        // A child that another test is just starting may hold it a moment longer.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while look(nobody, None, port) != Sighting::Nobody {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    /// The kernel as it is asked here, and as it is where it refuses or breaks off.
    const KERNELS: [(&str, Sources); 3] = [
        ("answers", SYSTEM),
        ("refuses", Sources { kernel: |_| Err(Error::from_raw_os_error(1)), ..SYSTEM }),
        ("breaks off", Sources { kernel: |_| Err(ErrorKind::InvalidData.into()), ..SYSTEM }),
    ];

    #[test]
    fn the_table_is_read_where_the_kernel_does_not_answer() {
        let me = std::process::id();
        let nobody = u32::MAX;
        let bound = |at: &str| TcpListener::bind(at).ok().map(|l| (l.local_addr().unwrap(), l));
        // Without IPv6 two of them are not there.
        let mine: Vec<(SocketAddr, TcpListener)> =
            ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"].into_iter().filter_map(bound).collect();
        assert!(mine.len() >= 2);
        for (name, sources) in KERNELS {
            for (addr, _) in &mine {
                let port = addr.port();
                assert!(sources.is_listening(port), "{name}: {addr}");
                let seen = sources.look(nobody, Some(me), port);
                assert!(matches!(seen, Sighting::Ours { pid, .. } if pid == me), "{name}: {addr} {seen:?}");
                assert_eq!(sources.look(nobody, None, port), Sighting::Foreign, "{name}: {addr}");
                let others = sources.other_ports([me], port);
                let expected = mine.iter().map(|(addr, _)| addr).filter(|other| other.port() != port);
                assert!(expected.into_iter().all(|other| others.contains(other)), "{name}: {addr} {others:?}");
                assert!(others.iter().all(|other| other.port() != port), "{name}: {addr} {others:?}");
            }
        }
    }

    #[test]
    fn only_one_of_both_is_asked() {
        let at = |port: u16| Listener { addr: ([127, 0, 0, 1], port).into(), inode: 1 };
        let told = Sources { kernel: |_| Ok(Vec::new()), table: || panic!("the kernel has answered") };
        assert_eq!(told.listeners(Some(80)), []);
        assert_eq!(told.look(u32::MAX, None, 80), Sighting::Nobody);
        let refused = Sources {
            kernel: |_| Err(ErrorKind::PermissionDenied.into()),
            table: || vec![Listener { addr: ([127, 0, 0, 1], 81).into(), inode: 1 }],
        };
        // The table holds all ports, whichever was asked for.
        assert_eq!(refused.listeners(Some(80)), [at(81)]);
        assert_eq!(refused.look(u32::MAX, None, 80), Sighting::Nobody);
        assert_eq!(refused.look(u32::MAX, None, 81), Sighting::Foreign);
    }
}
