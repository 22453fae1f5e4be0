//! Field names with a meaning of their own: hop-by-hop, reserved, forwarded.

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
    name.len() >= RESERVED_PREFIX.len()
        && name.iter().zip(RESERVED_PREFIX.as_bytes()).all(|(a, b)| fold(*a) == *b)
}

/// Lower case, and `_` as `-`.
fn fold(byte: u8) -> u8 {
    match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// True if `name` means `other` once `_` is read as `-` but is not `other` itself:
/// `X_Forwarded_For`, `Content_Length`.
#[must_use]
pub fn is_look_alike(name: &str) -> bool {
    if !name.contains('_') {
        return false;
    }
    let folded: Vec<u8> = name.bytes().take(64).map(fold).collect();
    let Ok(folded) = std::str::from_utf8(&folded) else { return false };
    is_reserved(folded)
        || is_hop_by_hop_name(folded)
        || is_forwarded_name(folded)
        || matches!(folded, "content-length" | "host" | "x-iis-windowsauthtoken")
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
    matches!(name.as_str(), "proxy" | "x-original-url" | "x-rewrite-url" | "x-iis-windowsauthtoken")
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
