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

impl std::str::FromStr for Address {
    type Err = String;

    /// Reads `auto`, `off`, `unix:PATH` or `ADDRESS:PORT`.
    ///
    /// # Errors
    /// One sentence for the operator: what it is not, or that the address is not loopback.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Off),
            _ => {}
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(format!("`{text}`: the path of a Unix socket must be absolute"));
            }
            return Ok(Self::Unix(path));
        }
        let addr: SocketAddr = text
            .parse()
            .map_err(|_| format!("`{text}` is none of: \"auto\", \"off\", \"unix:/PATH\", \"127.0.0.1:PORT\""))?;
        if !addr.ip().is_loopback() {
            return Err(format!(
                "`{text}` is not a loopback address: orders to the host are taken from this machine only; \
                 use 127.0.0.1:{port} or [::1]:{port}",
                port = addr.port()
            ));
        }
        Ok(Self::Tcp(addr))
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
    fn four_forms_are_read_and_written_back() {
        for text in ["auto", "off", "unix:/run/my app.sock", "127.0.0.1:9180", "[::1]:0", "127.9.9.9:1"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_loopback_is_refused_with_the_reason() {
        for (text, wanted) in [
            ("0.0.0.0:9180", "not a loopback address"),
            ("192.168.1.7:9180", "use 127.0.0.1:9180"),
            ("[::]:9180", "not a loopback address"),
            ("[::ffff:10.0.0.1]:1", "not a loopback address"),
            ("localhost:9180", "none of"),
            ("127.0.0.1", "none of"),
            ("127.0.0.1:65536", "none of"),
            ("", "none of"),
            ("AUTO", "none of"),
            ("unix:", "must be absolute"),
            ("unix:a.sock", "must be absolute"),
        ] {
            let problem = text.parse::<Address>().unwrap_err();
            assert!(problem.contains(wanted), "{text}: {problem}");
        }
    }
}
