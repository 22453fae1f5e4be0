//! Components of the test guests: one program in `programs/examples` per behaviour.
//!
//! To add one: a file `programs/examples/<name>.rs` and its `[[example]]` stanza in
//! `programs/Cargo.toml`. What no compiler would write is a file `programs/wat/<name>.wat`.
#![forbid(unsafe_code)]

/// All components, in order of their names.
pub static ALL: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The component of the guest `name`.
///
/// # Panics
/// If there is no such guest; the message lists those there are. Only tests call this.
#[must_use]
pub fn component(name: &str) -> &'static [u8] {
    ALL.iter().find(|(known, _)| *known == name).map_or_else(
        || panic!("no guest `{name}`; known: {}", ALL.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ")),
        |(_, bytes)| bytes,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_a_component() {
        assert!(!ALL.is_empty());
        for (name, bytes) in ALL {
            // Version 0x0d, layer 1: a component, where a core module has 1 and 0.
            assert_eq!(bytes.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]), "{name}");
            assert!(std::ptr::eq(component(name), *bytes));
        }
    }

    #[test]
    #[should_panic(expected = "no guest `nobody`; known: ")]
    fn an_unknown_name_lists_the_known_ones() {
        let _ = component("nobody");
    }
}
