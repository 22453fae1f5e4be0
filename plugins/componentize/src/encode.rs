//! From a core module to a component.

use wit_component::ComponentEncoder;

/// Wraps the module by the types that its bindings left in custom sections, and
/// checks the result.
///
/// The module's other sections stay as they are: function names for backtraces,
/// and the manifest.
///
/// # Errors
/// No core module, or one whose bindings are missing or contradict its exports; the
/// text is the encoder's.
pub fn component(core: &[u8]) -> Result<Vec<u8>, String> {
    // `{:#}` of the encoder's errors is the whole chain in one line.
    let mut encoder = ComponentEncoder::default().validate(true).module(core).map_err(|error| format!("{error:#}"))?;
    encoder.encode().map_err(|error| format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_module() {
        let error = component(b"not wasm").unwrap_err();
        assert!(!error.is_empty());
    }

    #[test]
    fn makes_a_component_of_an_empty_module() {
        // Magic and version 1 of a core module; a component's layer field is 1.
        let component = component(b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(component.get(..8), Some(&b"\0asm\x0d\0\x01\0"[..]));
    }
}
