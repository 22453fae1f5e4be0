//! The first-party plugins: `builtin:auth-forward`, `builtin:forward-auth` and `builtin:request-log`.
//!
//! They are components like any other, and run in the same sandbox with the grants of
//! their manifests; only their bytes are at hand without a file.
#![forbid(unsafe_code)]

/// Names of all of them, in order.
pub const NAMES: [&str; 3] = ["auth-forward", "forward-auth", "request-log"];

static AUTH_FORWARD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gatelodge-auth-forward.wasm"));
static FORWARD_AUTH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gatelodge-forward-auth.wasm"));
static REQUEST_LOG: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gatelodge-request-log.wasm"));

/// The component of `builtin:<name>`.
#[must_use]
pub fn find(name: &str) -> Option<&'static [u8]> {
    match name {
        "auth-forward" => Some(AUTH_FORWARD),
        "forward-auth" => Some(FORWARD_AUTH),
        "request-log" => Some(REQUEST_LOG),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_component() {
        for name in NAMES {
            let bytes = find(name).expect(name);
            // Version 0x0d, layer 1: a component.
            assert_eq!(bytes.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]), "{name}");
            let manifest = format!("{{\"name\":\"{name}\",");
            assert!(bytes.windows(manifest.len()).any(|part| part == manifest.as_bytes()), "{name}");
        }
        assert!(find("nobody").is_none());
    }
}
