//! The authority of a request: `Host` and absolute targets (RFC 9112 §3.2).

use crate::Kind;
use std::net::Ipv6Addr;

/// Longest host that is taken, in bytes: that of a DNS name (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 255;

/// Checks an authority as it stands in `Host` or in an absolute target.
///
/// Taken: a name or IPv4 address of letters, digits, `-`, `.`, `_` and `~`
/// without empty labels (one dot may end it), or an IPv6 address in brackets
/// without zone; then, if there is a colon, a port from 1 to 65535. This is
/// narrower than RFC 3986 §3.2.2, which lets names hold commas and quotes:
/// backends build links, cookies and cache keys from this value.
///
/// # Errors
/// [`Kind::BadRequest`], also for user information, which RFC 9110 §4.2.4 bans.
pub fn check_authority(authority: &[u8]) -> Result<(), Kind> {
    const BAD_HOST: Kind = Kind::BadRequest("not a valid host (RFC 9110 §7.2)");
    let (host_is_good, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let end = rest.iter().position(|&byte| byte == b']').ok_or(BAD_HOST)?;
            let (literal, tail) = rest.split_at(end);
            (is_ipv6(literal), tail.get(1..).unwrap_or_default())
        }
        None => {
            let end = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
            let (name, tail) = authority.split_at(end);
            (is_name(name), tail)
        }
    };
    if !host_is_good {
        return Err(BAD_HOST);
    }
    match port.split_first() {
        None => Ok(()),
        Some((b':', digits)) if is_port(digits) => Ok(()),
        Some((b':', _)) => Err(Kind::BadRequest("the host's port is not 1 to 65535 (RFC 9110 §4.2)")),
        Some(_) => Err(BAD_HOST),
    }
}

fn is_name(name: &[u8]) -> bool {
    if name.len() > HOST_BYTES_MAX {
        return false;
    }
    // An empty label: at the start, or before a dot.
    let mut previous = b'.';
    for &byte in name {
        match byte {
            b'.' if previous == b'.' => return false,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => previous = byte,
            _ => return false,
        }
    }
    !name.is_empty()
}

fn is_ipv6(literal: &[u8]) -> bool {
    std::str::from_utf8(literal).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn is_port(digits: &[u8]) -> bool {
    let value = digits.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        Some(sum * 10 + digit)
    });
    digits.len() <= 5 && value.is_some_and(|port| (1..=65535).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::check_authority;

    #[test]
    fn authorities_are_names_addresses_and_ports() {
        let long = "a".repeat(255);
        let too_long = "a".repeat(256);
        for (authority, taken) in [
            ("example.org", true),
            ("EXAMPLE.org.", true),
            ("a_b-c~d", true),
            ("localhost:5000", true),
            ("127.0.0.1:1", true),
            ("x:65535", true),
            ("[::1]", true),
            ("[2001:db8::1]:443", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (":80", false),
            ("x:0", false),
            ("x:65536", false),
            ("x:000080", false),
            ("x:", false),
            ("x:8a", false),
            ("x:+8", false),
            ("x:80:81", false),
            ("a b", false),
            ("a/b", false),
            ("u@x", false),
            ("x,y", false),
            ("a\"b", false),
            ("a%41", false),
            ("a..b", false),
            (".a", false),
            (".", false),
            ("::1", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[fe80::1%eth0]", false),
            ("[127.0.0.1]", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(check_authority(authority.as_bytes()).is_ok(), taken, "{authority:?}");
        }
    }
}
