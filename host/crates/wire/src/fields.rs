//! Field names with a meaning of their own: hop-by-hop, reserved, forwarded.

use crate::trace::TRACE;
use http::{HeaderMap, HeaderName};

/// All names that belong between host and backend begin so (ANCM: `MS-ASPNETCORE`).
pub const RESERVED_PREFIX: &str = "ms-aspnetcore";

/// The pairing token's field.
pub const TOKEN: &str = "ms-aspnetcore-token";

/// The field that carries the host's own events to the backend (`shutdown`).
pub const EVENT: &str = "ms-aspnetcore-event";

/// True for a name that only host and backend may use: every name that begins
/// with `MS-ASPNETCORE`, also when written with `_` for `-` (CGI look-alikes).
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let name = name.as_bytes();
    name.len() >= RESERVED_PREFIX.len() && name.iter().zip(RESERVED_PREFIX.as_bytes()).all(|(a, b)| fold(*a) == *b)
}

/// Lower case, and `_` as `-`.
fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// Longest name with a meaning of its own, in bytes; no look-alike is longer.
const MEANING_BYTES_MAX: usize = 32;

/// True if `name` would mean a field with a meaning of its own once `_` is read
/// as `-`, as CGI-like environments do, but is not that name itself:
/// `X_Forwarded_For`, `Content_Length`.
#[must_use]
pub fn is_look_alike(name: &str) -> bool {
    if !name.contains('_') {
        return false;
    }
    if is_reserved(name) {
        return true;
    }
    let mut folded = [0_u8; MEANING_BYTES_MAX];
    let Some(folded) = folded.get_mut(..name.len()) else { return false };
    for (to, from) in folded.iter_mut().zip(name.bytes()) {
        *to = fold(from);
    }
    let Ok(folded) = std::str::from_utf8(folded) else { return false };
    is_hop_by_hop_name(folded)
        || is_forwarded_name(folded)
        || is_never_name(folded)
        || matches!(folded, "content-length" | "host" | "expect" | TRACE)
}

/// What admission does with a field of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Goes on.
    EndToEnd,
    /// Becomes the authority.
    Host,
    /// Becomes the framing.
    Framing,
    /// Becomes `expects_continue`.
    Expect,
    /// Names further fields that go no further.
    Connection,
    /// Goes no further.
    HopByHop,
    /// Goes on from trusted peers.
    Forwarded,
    /// As above, and its list has a limit.
    ForwardedFor,
    /// Asks what becomes of the request; goes to the pipeline only.
    Trace,
    /// Never taken from a client.
    Never,
}

/// The class of a name, which is in lower case as in any [`HeaderName`].
///
/// This runs for each field of each request: the first letter tells most names
/// apart from the few that mean something here, look-alikes included.
pub(crate) fn classify(name: &str) -> Class {
    let special = match name.as_bytes().first() {
        Some(b'c') => match name {
            "connection" => return Class::Connection,
            "content-length" => return Class::Framing,
            _ => None,
        },
        Some(b'h') => (name == "host").then_some(Class::Host),
        Some(b'e') => (name == "expect").then_some(Class::Expect),
        Some(b't') if name == "transfer-encoding" => Some(Class::Framing),
        Some(b'x') if name == "x-forwarded-for" => Some(Class::ForwardedFor),
        Some(b't' | b'k' | b'p' | b'u') if is_hop_by_hop_name(name) => Some(Class::HopByHop),
        Some(b'f' | b'x') if is_forwarded_name(name) => Some(Class::Forwarded),
        Some(b'p' | b'x') if is_never_name(name) => Some(Class::Never),
        Some(b'g') if name == TRACE => return Class::Trace,
        Some(b'm') => is_reserved(name).then_some(Class::Never),
        Some(b't' | b'k' | b'p' | b'u' | b'f' | b'x' | b'g') => None,
        _ => return Class::EndToEnd,
    };
    match special {
        Some(class) => class,
        None if is_look_alike(name) => Class::Never,
        None => Class::EndToEnd,
    }
}

/// Hop-by-hop fields of RFC 9110 §7.6.1, with the historic `Keep-Alive` and
/// `Proxy-Connection`. `Upgrade` is one; an upgrade request is handled apart.
#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    is_hop_by_hop_name(name.as_str())
}

fn is_hop_by_hop_name(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization"
    )
}

/// Names by which a proxy tells where a request came from. Believed from trusted
/// peers only; from others they are removed.
#[must_use]
pub fn is_forwarded(name: &HeaderName) -> bool {
    is_forwarded_name(name.as_str())
}

fn is_forwarded_name(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "forwarded"
            | "x-real-ip"
            | "x-original-for"
            | "x-original-proto"
            | "x-original-host"
    )
}

/// Names that no client may bring, trusted or not: `Proxy` (httpoxy) and the
/// rewrite fields that some frameworks obey in place of the target.
#[must_use]
pub fn is_never_from_client(name: &HeaderName) -> bool {
    is_never_name(name.as_str())
}

fn is_never_name(name: &str) -> bool {
    matches!(name, "proxy" | "x-original-url" | "x-rewrite-url" | "x-iis-windowsauthtoken")
}

/// The names that `Connection` lists (RFC 9110 §7.6.1), lower case. At most 32
/// are looked at; a head with more is not one that a client of good faith sends.
pub fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(http::header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .take(32)
}

#[cfg(test)]
mod tests {
    use super::{Class, classify, is_forwarded_name, is_hop_by_hop_name, is_look_alike, is_never_name, is_reserved};

    #[test]
    fn names_have_their_class() {
        for (name, class) in [
            ("accept", Class::EndToEnd),
            ("x_custom", Class::EndToEnd),
            ("ms-aspnet", Class::EndToEnd),
            ("cookie", Class::EndToEnd),
            ("host", Class::Host),
            ("content-length", Class::Framing),
            ("transfer-encoding", Class::Framing),
            ("expect", Class::Expect),
            ("connection", Class::Connection),
            ("te", Class::HopByHop),
            ("trailer", Class::HopByHop),
            ("keep-alive", Class::HopByHop),
            ("proxy-connection", Class::HopByHop),
            ("proxy-authorization", Class::HopByHop),
            ("upgrade", Class::HopByHop),
            ("x-forwarded-for", Class::ForwardedFor),
            ("x-forwarded-host", Class::Forwarded),
            ("forwarded", Class::Forwarded),
            ("x-real-ip", Class::Forwarded),
            ("x-original-proto", Class::Forwarded),
            ("proxy", Class::Never),
            ("x-original-url", Class::Never),
            ("x-rewrite-url", Class::Never),
            ("ms-aspnetcore", Class::Never),
            ("ms-aspnetcore-token", Class::Never),
            ("ms-aspnetcore-event", Class::Never),
            ("ms_aspnetcore_token", Class::Never),
            ("ms_aspnetcore-token", Class::Never),
            ("x_forwarded_for", Class::Never),
            ("x_forwarded-for", Class::Never),
            ("content_length", Class::Never),
            ("transfer_encoding", Class::Never),
            ("x_original_url", Class::Never),
            ("x-iis_windowsauthtoken", Class::Never),
        ] {
            assert_eq!(classify(name), class, "{name}");
        }
    }

    /// [`classify`] by the plain questions, without its short cuts.
    fn plainly(name: &str) -> Class {
        match name {
            "host" => Class::Host,
            "content-length" | "transfer-encoding" => Class::Framing,
            "expect" => Class::Expect,
            "connection" => Class::Connection,
            "x-forwarded-for" => Class::ForwardedFor,
            _ if is_hop_by_hop_name(name) => Class::HopByHop,
            _ if is_forwarded_name(name) => Class::Forwarded,
            _ if is_never_name(name) || is_reserved(name) || is_look_alike(name) => Class::Never,
            _ => Class::EndToEnd,
        }
    }

    #[test]
    fn short_cuts_change_no_class() {
        for name in NAMES {
            for name in [name.to_string(), name.replacen('-', "_", 1), name.replace('-', "_"), format!("{name}x")] {
                assert_eq!(classify(&name), plainly(&name), "{name}");
                assert_eq!(classify(&name[1..]), plainly(&name[1..]), "{name}");
            }
        }
    }

    const NAMES: [&str; 28] = [
        "host",
        "expect",
        "content-length",
        "content-type",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authenticate",
        "proxy-authorization",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "forwarded",
        "x-real-ip",
        "x-original-for",
        "x-original-proto",
        "x-original-host",
        "proxy",
        "x-original-url",
        "x-rewrite-url",
        "x-iis-windowsauthtoken",
        "ms-aspnetcore-token",
    ];

    #[test]
    fn reserved_is_a_prefix_in_any_spelling() {
        for (name, reserved) in [
            ("MS-ASPNETCORE-TOKEN", true),
            ("Ms_AspNetCore_X", true),
            ("ms-aspnetcorex", true),
            ("ms-aspnetcor", false),
            ("x-ms-aspnetcore-token", false),
        ] {
            assert_eq!(is_reserved(name), reserved, "{name}");
        }
        let long = format!("ms_aspnetcore_{}", "x".repeat(500));
        assert!(is_look_alike(&long));
        assert!(!is_look_alike(&"x_".repeat(500)));
    }
}
