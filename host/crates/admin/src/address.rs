//! Where the admin listener binds, and where the client looks for it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The value of `[host] admin` and of `--admin`. Default [`Address::Auto`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket in the private folder of the user; off where there are no Unix sockets.
    #[default]
    Auto,
    /// No listener.
    Off,
    /// A Unix socket at this absolute path.
    Unix(PathBuf),
    /// A loopback address; port 0 = a free one.
    Tcp(SocketAddr),
}

impl Address {
    /// The address that a host wrote into its note. What an operator writes is read by
    /// the room of settings, which is stricter.
    ///
    /// # Errors
    /// The note holds something else.
    pub(crate) fn of_note(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("unix:").map(PathBuf::from).filter(|path| path.is_absolute());
        let tcp = || text.parse().ok().filter(|address: &SocketAddr| address.ip().to_canonical().is_loopback());
        path.map(Self::Unix)
            .or_else(|| tcp().map(Self::Tcp))
            .ok_or_else(|| format!("`{}` in a host's note is no admin address", text.escape_debug()))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(addr) => addr.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn what_a_host_wrote_is_read_back() {
        for text in ["unix:/run/my app.sock", "127.0.0.1:9180", "[::1]:65535", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(Address::of_note(text).expect("an address").to_string(), text);
        }
    }

    #[test]
    fn what_no_host_wrote_is_refused() {
        for text in ["0.0.0.0:9180", "[::ffff:10.0.0.1]:1", "localhost:1", "127.0.0.1", "unix:a", "unix:", "auto", ""] {
            assert!(Address::of_note(text).is_err(), "{text}");
        }
    }
}
