//! `[host] admin` and `--admin`: where a running host is asked how it fares.

use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the admin listener is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Admin {
    /// Where the host puts it by itself, so that `gatelodge status APP_DIR` finds it.
    Auto,
    /// Nowhere: `status`, `reload` and `stop` have nobody to talk to.
    Off,
    /// A socket in the file system; the path is absolute.
    Unix(PathBuf),
    /// A loopback address; port 0 = a free one.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// Longest path of a socket, in bytes: what `sun_path` of unix(7) holds beside its zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Reads an admin address, also for `--admin`: `auto`, `off`, `unix:/PATH`, or
/// `ADDRESS:PORT` with a loopback address.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse_admin(text: &str) -> Result<Admin, (String, &'static str)> {
    const HELP: &str = "write \"auto\", \"off\", \"unix:/run/gatelodge/app.sock\" or \"127.0.0.1:9180\"";
    let wrong = |what: &str| Err((format!("\"{}\" {what}", text.escape_debug()), HELP));
    match text {
        "auto" => return Ok(Admin::Auto),
        "off" => return Ok(Admin::Off),
        _ => {}
    }
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.ends_with('/') {
            return wrong("names no socket by an absolute path: other commands start in other folders");
        }
        if path.len() > SOCKET_PATH_BYTES_MAX || path.chars().any(char::is_control) {
            return wrong("names a path that a socket can't have: at most 107 bytes, no control characters");
        }
        return Ok(Admin::Unix(PathBuf::from(path)));
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        return wrong("is not an admin address: an IP address and a port, or a socket");
    };
    if !address.ip().to_canonical().is_loopback() {
        return wrong("could be reached from other machines: whoever reaches it can stop the app");
    }
    Ok(Admin::Tcp(address))
}

#[cfg(test)]
mod tests {
    use super::{Admin, parse_admin};

    #[test]
    fn only_this_machine_may_ask() {
        let socket = format!("unix:/{}", "s".repeat(106));
        let table: [(&str, Result<&str, &str>); 21] = [
            ("auto", Ok("auto")),
            ("off", Ok("off")),
            ("unix:/run/a b.sock", Ok("unix:/run/a b.sock")),
            (&socket, Ok(&socket)),
            ("127.0.0.1:9180", Ok("127.0.0.1:9180")),
            ("127.9.9.9:0", Ok("127.9.9.9:0")),
            ("[::1]:65535", Ok("[::1]:65535")),
            ("[::ffff:127.0.0.1]:1", Ok("[::ffff:127.0.0.1]:1")),
            (&format!("{socket}s"), Err("at most 107 bytes")),
            ("unix:/a\nb", Err("no control characters")),
            ("unix:app.sock", Err("by an absolute path")),
            ("unix:", Err("by an absolute path")),
            ("unix:/run/", Err("by an absolute path")),
            ("0.0.0.0:9180", Err("other machines")),
            ("[::]:9180", Err("other machines")),
            ("10.0.0.1:9180", Err("other machines")),
            ("127.0.0.1:65536", Err("is not an admin address")),
            ("localhost:9180", Err("is not an admin address")),
            ("127.0.0.1", Err("is not an admin address")),
            ("http://127.0.0.1:9180", Err("is not an admin address")),
            ("Off", Err("is not an admin address")),
        ];
        for (text, expected) in table {
            match (parse_admin(text), expected) {
                (Ok(admin), Ok(shown)) => assert_eq!(admin.to_string(), shown, "{text}"),
                (Err((what, help)), Err(part)) => {
                    assert!(what.contains(part), "{text}: {what}");
                    assert!(help.contains("\"off\""), "{help}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert_eq!(parse_admin("127.0.0.1:1").ok(), "127.0.0.1:1".parse().ok().map(Admin::Tcp));
    }
}
