//! `http://HOST:PORT` as `--listen` and `[host] listen` have it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenUrl {
    host: ListenHost,
    port: u16,
}

/// Where to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenHost {
    /// `*` or `+`: every address of the machine.
    Any,
    /// `localhost`: both loopback addresses.
    Localhost,
    /// One address.
    Ip(IpAddr),
}

/// Why a text is no address to listen at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenUrlError {
    /// Only `http://` is served by this door.
    #[error("expected http://HOST:PORT")]
    Scheme,
    /// Neither an IP address nor `localhost`, `*` or `+`.
    #[error("the host must be an IP address, localhost, * or +")]
    Host,
    /// Not a number from 0 to 65535.
    #[error("the port must be a number from 0 to 65535 (0 picks a free one)")]
    Port,
    /// Something follows the port.
    #[error("a listening address has no path; see path_base")]
    Path,
}

impl FromStr for ListenUrl {
    type Err = ListenUrlError;

    /// Reads `http://127.0.0.1:5000`, `http://[::1]:5000`, `http://localhost`,
    /// `http://*:80`; a missing port is 80.
    fn from_str(text: &str) -> Result<Self, ListenUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ListenUrlError::Scheme)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(ListenUrlError::Scheme);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ListenUrlError::Path);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (literal, port) = rest.split_once(']').ok_or(ListenUrlError::Host)?;
                let ip: Ipv6Addr = literal.parse().map_err(|_| ListenUrlError::Host)?;
                (ListenHost::Ip(ip.into()), port)
            }
            None => {
                let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                (host(name)?, port)
            }
        };
        let port = match port {
            "" => 80,
            port => number(port.strip_prefix(':').ok_or(ListenUrlError::Host)?)?,
        };
        Ok(Self { host, port })
    }
}

fn host(name: &str) -> Result<ListenHost, ListenUrlError> {
    if name == "*" || name == "+" {
        return Ok(ListenHost::Any);
    }
    if name.eq_ignore_ascii_case("localhost") {
        return Ok(ListenHost::Localhost);
    }
    let ip: Ipv4Addr = name.parse().map_err(|_| ListenUrlError::Host)?;
    Ok(ListenHost::Ip(ip.into()))
}

fn number(digits: &str) -> Result<u16, ListenUrlError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ListenUrlError::Port);
    }
    digits.parse().map_err(|_| ListenUrlError::Port)
}

impl ListenUrl {
    /// A listener that was parsed elsewhere; port 0 asks for a free one.
    #[must_use]
    pub fn new(host: ListenHost, port: u16) -> Self {
        Self { host, port }
    }

    /// The port; 0 asks for a free one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that must be had.
    pub(crate) fn first(&self) -> SocketAddr {
        let ip = match self.host {
            ListenHost::Any => Ipv4Addr::UNSPECIFIED.into(),
            ListenHost::Localhost => Ipv4Addr::LOCALHOST.into(),
            ListenHost::Ip(ip) => ip,
        };
        SocketAddr::new(ip, self.port)
    }

    /// The same place over IPv6, for names that mean both; a machine without
    /// IPv6 does without.
    pub(crate) fn second(&self, port: u16) -> Option<SocketAddr> {
        let ip = match self.host {
            ListenHost::Any => Ipv6Addr::UNSPECIFIED,
            ListenHost::Localhost => Ipv6Addr::LOCALHOST,
            ListenHost::Ip(_) => return None,
        };
        Some(SocketAddr::new(ip.into(), port))
    }

    /// The address with the port that was found, as a client may type it.
    pub(crate) fn text(&self, port: u16) -> String {
        match self.host {
            ListenHost::Any => format!("http://*:{port}"),
            ListenHost::Localhost => format!("http://localhost:{port}"),
            ListenHost::Ip(ip) => format!("http://{}", SocketAddr::new(ip, port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ListenUrl, ListenUrlError};

    #[test]
    fn urls_are_read() {
        use ListenUrlError::{Host, Path, Port, Scheme};
        for (text, want) in [
            ("http://127.0.0.1:5000", Ok(("127.0.0.1:5000", "http://127.0.0.1:5000"))),
            ("HTTP://0.0.0.0/", Ok(("0.0.0.0:80", "http://0.0.0.0:80"))),
            ("http://[::1]:8080", Ok(("[::1]:8080", "http://[::1]:8080"))),
            ("http://[::1]", Ok(("[::1]:80", "http://[::1]:80"))),
            ("http://localhost:0", Ok(("127.0.0.1:0", "http://localhost:0"))),
            ("http://*:81", Ok(("0.0.0.0:81", "http://*:81"))),
            ("http://+:65535", Ok(("0.0.0.0:65535", "http://*:65535"))),
            ("https://127.0.0.1", Err(Scheme)),
            ("127.0.0.1:80", Err(Scheme)),
            ("http://", Err(Host)),
            ("http://example.org", Err(Host)),
            ("http://::1:80", Err(Host)),
            ("http://[::1", Err(Host)),
            ("http://[::1]80", Err(Host)),
            ("http://127.0.0.1:", Err(Port)),
            ("http://127.0.0.1:65536", Err(Port)),
            ("http://127.0.0.1:+1", Err(Port)),
            ("http://127.0.0.1:80/app", Err(Path)),
        ] {
            let got = text.parse::<ListenUrl>().map(|url| (url.first().to_string(), url.text(url.port())));
            assert_eq!(got, want.map(|(addr, text)| (addr.to_owned(), text.to_owned())), "{text}");
        }
    }
}
