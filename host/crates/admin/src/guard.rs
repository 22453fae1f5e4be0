//! Who may ask, and who may order.
//!
//! A Unix socket knows its peer. A TCP connection from this machine may come
//! from any of its users, so orders bring the secret of the note; and it may come
//! from a browser that a foreign page steers, so what only a page would send is
//! refused (`Origin`, `Sec-Fetch-Site`), and so is every name in `Host` that a
//! foreign DNS server could point at this machine.

use http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Bytes from the system's random source in a secret.
const SECRET_BYTES: usize = 32;

/// What orders over TCP must bring: 64 hexadecimal digits. It has no `Debug` and no `Display`.
pub(crate) struct Secret(String);

impl Secret {
    /// A new one from the system's random source.
    pub(crate) fn draw() -> std::io::Result<Self> {
        use std::fmt::Write as _;
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let mut text = String::with_capacity(2 * SECRET_BYTES);
        for byte in bytes {
            write!(text, "{byte:02x}").map_err(std::io::Error::other)?;
        }
        Ok(Self(text))
    }

    /// For the note, which only this user can read.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Takes as long for a wrong secret as for the right one.
    fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

/// Where a connection came in.
#[derive(Clone)]
pub(crate) enum Door {
    /// A Unix socket: the peer's user, and the users that may do everything.
    Socket { peer: u32, allowed: [u32; 2] },
    /// A loopback address.
    Tcp { secret: Arc<Secret> },
}

/// A refusal: the status, and a sentence.
pub(crate) type Denied = (StatusCode, &'static str);

/// Lets a request in or not; `order` for those that change something.
pub(crate) fn check(door: &Door, head: &Parts, order: bool) -> Result<(), Denied> {
    match door {
        Door::Socket { peer, allowed } if allowed.contains(peer) => Ok(()),
        Door::Socket { .. } => {
            Err((StatusCode::FORBIDDEN, "only the user that runs the host, and root, may use this socket"))
        }
        Door::Tcp { secret } => {
            not_from_a_page(head)?;
            if order { bears(&head.headers, secret) } else { Ok(()) }
        }
    }
}

fn not_from_a_page(head: &Parts) -> Result<(), Denied> {
    if head.uri.authority().is_some() {
        return Err((StatusCode::BAD_REQUEST, "the request's target must be a path"));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err((StatusCode::BAD_REQUEST, "exactly one Host field is needed"));
    };
    let host = host.to_str().unwrap_or_default();
    if !names_an_address(host) {
        return Err((StatusCode::FORBIDDEN, "the Host field must be an IP address or localhost"));
    }
    let origin_is_own =
        |origin: &[u8]| origin.strip_prefix(b"http://").is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()));
    if !head.headers.get_all(ORIGIN).iter().all(|origin| origin_is_own(origin.as_bytes())) {
        return Err((StatusCode::FORBIDDEN, "the Origin field says that a foreign page asks"));
    }
    let site_is_own = |site: &[u8]| matches!(site, b"same-origin" | b"none");
    if !head.headers.get_all(SEC_FETCH_SITE).iter().all(|site| site_is_own(site.as_bytes())) {
        return Err((StatusCode::FORBIDDEN, "the Sec-Fetch-Site field says that a foreign page asks"));
    }
    Ok(())
}

/// Whether the value of a Host field is an IP address or `localhost`, with or without a port.
fn names_an_address(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if name.parse::<std::net::Ipv6Addr>().is_ok() => ("localhost", port),
            _ => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_good = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let name_is_good = name.eq_ignore_ascii_case("localhost") || matches!(name.parse(), Ok(IpAddr::V4(_)));
    port_is_good && name_is_good
}

fn bears(headers: &HeaderMap, secret: &Secret) -> Result<(), Denied> {
    const MISSING: Denied =
        (StatusCode::UNAUTHORIZED, "an order over TCP needs the secret that the host left for its user");
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(MISSING) };
    let Some((scheme, given)) = field.as_bytes().split_at_checked(7) else { return Err(MISSING) };
    if scheme.eq_ignore_ascii_case(b"bearer ") && secret.is(given) { Ok(()) } else { Err(MISSING) }
}

#[cfg(test)]
mod tests;
