//! Which port the application is told to listen on.

use crate::pairing::random_below;
use crate::platform::{self, PortClaim};
use std::io::ErrorKind;

/// Lowest random port.
const RANDOM_MIN: u16 = 10_000;
/// Highest port, random or configured.
const MAX: u16 = 48_000;
/// Lowest configured port.
const CONFIGURED_MIN: u16 = 1_025;
/// Draws before the start fails, as ANCM has it.
const DRAWS_MAX: u32 = 10;
/// So many of them respect what other hosts claim. No more: any program of the
/// machine can claim every port, and must not keep this host from starting.
const CLAIMS_RESPECTED_MAX: u32 = 5;

/// A range that has fewer ports than this is too small to draw from.
const RANGE_MIN: u16 = 1_000;

/// The port of an attempt.
#[derive(Debug)]
pub(crate) struct Port {
    /// Its number.
    pub(crate) number: u16,
    /// Keeps other hosts of this machine off a drawn port until this is dropped.
    /// None for a configured port, and where nothing can be claimed.
    pub(crate) claim: Option<PortClaim>,
}

/// The port of an attempt: the configured one, or a random free one.
///
/// # Errors
/// A sentence for the report. A configured port that is no port is not worth a
/// second attempt; no free port may be.
pub(crate) fn choose(configured: Option<&str>) -> Result<Port, NoPort> {
    match configured {
        Some(text) if !text.is_empty() => {
            parse(text).map(|number| Port { number, claim: None }).map_err(NoPort::Configured)
        }
        _ => {
            let reserved = platform::reserved_ports();
            let (first, last) = range(platform::ephemeral_ports());
            let next = || first + u16::try_from(random_below(u32::from(last - first) + 1)).unwrap_or(0);
            draw_claimed(next, |port| listed(&reserved, port) || !platform::is_free(port))
        }
    }
}

/// Draws a port that is neither busy nor claimed by another host, and claims it.
fn draw_claimed(next: impl FnMut() -> u16, busy: impl Fn(u16) -> bool) -> Result<Port, NoPort> {
    let (mut claim, mut respected) = (None, 0);
    let number = draw(next, |port| {
        // Before the look: two that look at once would disturb each other.
        claim = match platform::claim_port(port) {
            Ok(claim) => Some(claim),
            Err(error) if error.kind() == ErrorKind::AddrInUse && respected < CLAIMS_RESPECTED_MAX => {
                respected += 1;
                return true;
            }
            Err(_) => None,
        };
        busy(port)
    })?;
    Ok(Port { number, claim })
}

/// Where ports are drawn from: the larger part of 10,000–48,000 that outgoing
/// connections don't use. One of those could take the port at any moment before
/// the application does. All of it if too little would be left.
fn range(ephemeral: Option<(u16, u16)>) -> (u16, u16) {
    let Some((first, last)) = ephemeral else { return (RANDOM_MIN, MAX) };
    let below = (RANDOM_MIN, MAX.min(first.saturating_sub(1)));
    let above = (RANDOM_MIN.max(last.saturating_add(1)), MAX);
    let size = |(first, last): (u16, u16)| last.saturating_sub(first);
    let larger = if size(above) > size(below) { above } else { below };
    if size(larger) < RANGE_MIN { (RANDOM_MIN, MAX) } else { larger }
}

/// Why there is no port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoPort {
    /// The configured one is out of range.
    Configured(String),
    /// All draws were busy.
    AllBusy(String),
}

fn parse(text: &str) -> Result<u16, String> {
    text.trim().parse().ok().filter(|port| (CONFIGURED_MIN..=MAX).contains(port)).ok_or_else(|| {
        format!(
            "The port set in environmentVariables, {text:?}, is not a number from {CONFIGURED_MIN} to {MAX}; \
             without it a free port is chosen."
        )
    })
}

fn draw(mut next: impl FnMut() -> u16, mut busy: impl FnMut(u16) -> bool) -> Result<u16, NoPort> {
    for _ in 0..DRAWS_MAX {
        let port = next();
        if !busy(port) {
            return Ok(port);
        }
    }
    Err(NoPort::AllBusy(format!(
        "No free port was found from {RANDOM_MIN} to {MAX}: {DRAWS_MAX} draws were all in use or reserved."
    )))
}

/// Whether a list such as `8080,9148-9150` names the port.
fn listed(list: &str, port: u16) -> bool {
    list.trim().split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&port),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{NoPort, Port, choose, draw, draw_claimed, listed, parse, range};

    /// L09: which ports may be configured.
    #[test]
    fn configured_ports_have_a_range() {
        for text in ["80", "1024", "48001", "65536", "-1", "abc", "5055x"] {
            assert!(matches!(choose(Some(text)), Err(NoPort::Configured(_))), "{text}");
        }
        for text in ["1025", "5055", "48000"] {
            assert_eq!(parse(text).map(|p| p.to_string()).as_deref(), Ok(text));
        }
    }

    /// L07, L10: random ports are from 10,000 to 48,000, also for an empty value.
    #[test]
    fn an_empty_one_means_a_random_one() {
        for _ in 0..50 {
            let port = choose(Some("")).unwrap();
            assert!((10_000..=48_000).contains(&port.number));
        }
        let kept = [(); 3].map(|()| choose(None).unwrap());
        assert!(kept[0].number != kept[1].number && kept[1].number != kept[2].number);
    }

    #[test]
    fn ten_draws_and_no_more() {
        let mut drawn = 0;
        let refused = draw(
            || {
                drawn += 1;
                10_000 + drawn
            },
            |_| true,
        );
        assert!(matches!(refused, Err(NoPort::AllBusy(_))));
        assert_eq!(drawn, 10);
        let mut drawn = 0;
        let tenth = draw(
            || {
                drawn += 1;
                10_000 + drawn
            },
            |port| port < 10_010,
        );
        assert_eq!(tenth, Ok(10_010));
    }

    /// Two hosts that start at once do not draw the same port; a program that
    /// claims all of them does not keep a host from starting.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_claimed_port_is_left_alone_five_times() {
        // Beyond those that are drawn at random, and for each run others.
        let first = 49_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 16;
        let draw_next = || {
            let mut next = first..;
            let Port { number, claim } = draw_claimed(|| next.next().unwrap(), |_| false).unwrap();
            (number - first, claim)
        };
        let held: Vec<_> = (0..6).map(|_| draw_next()).collect();
        for (wanted, (number, claim)) in (0..).zip(&held) {
            assert!(*number == wanted && claim.is_some(), "{wanted}: {number}");
        }
        let (number, claim) = draw_next();
        assert!(number == 5 && claim.is_none(), "{number} is claimed by another");
        drop(held);
        assert_eq!(draw_next().0, 0, "a claim ends with its holder");
    }

    #[test]
    fn reserved_ranges_are_read() {
        for (list, port, expected) in [
            ("", 1, false),
            ("\n", 1, false),
            ("8080,9148-9150\n", 8080, true),
            ("8080,9148-9150\n", 9149, true),
            ("8080,9148-9150\n", 9151, false),
        ] {
            assert_eq!(listed(list, port), expected, "{list:?} {port}");
        }
    }

    #[test]
    fn ports_of_outgoing_connections_are_left_alone() {
        for (ephemeral, expected) in [
            (None, (10_000, 48_000)),
            (Some((32_768, 60_999)), (10_000, 32_767)),
            (Some((1_024, 20_000)), (20_001, 48_000)),
            (Some((20_000, 30_000)), (30_001, 48_000)),
            (Some((49_152, 65_535)), (10_000, 48_000)),
            (Some((1_024, 65_535)), (10_000, 48_000)),
            (Some((11_000, 65_535)), (10_000, 48_000)),
            (Some((11_001, 65_535)), (10_000, 11_000)),
        ] {
            assert_eq!(range(ephemeral), expected, "{ephemeral:?}");
        }
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        use std::net::{TcpListener, TcpStream};
        for addr in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(addr) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(crate::platform::is_listening(port), "{addr}");
            assert!(!crate::platform::is_free(port), "{addr}");
        }
        // The near end of a connection holds its port as well.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = stream.local_addr().unwrap().port();
        assert!(!crate::platform::is_listening(port) && !crate::platform::is_free(port));
    }
}
