//! The manifest that a plugin carries: the custom section `gatelodge:manifest`,
//! one JSON object, read without running anything.

use crate::compile::CompileError;
use serde::Deserialize;
use wasmparser::{Parser, Payload};

/// Name of the custom section.
pub const SECTION: &str = "gatelodge:manifest";
/// Largest manifest, bytes.
const MANIFEST_BYTES_MAX: usize = 256 * 1024;

/// What a plugin says about itself. Members that are not listed belong to later
/// versions or to the author's own tools.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// Its own name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence: what it does.
    pub description: String,
    /// What it asks for, as in `[plugin.grants]`.
    pub grants: serde_json::Map<String, serde_json::Value>,
    /// Attributes that it sets, for the reader.
    pub attributes: Vec<String>,
    /// JSON schema of its settings.
    pub config: Option<serde_json::Value>,
}

impl Manifest {
    /// Reads the manifest of a component: the section at component level first,
    /// then the first one inside a core module. `None` without such a section.
    ///
    /// # Errors
    /// The section is too large or no JSON of the right shape, or the bytes are
    /// no readable component.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, CompileError> {
        let mut depth = 0_u32;
        let mut outer = None;
        let mut inner = None;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| CompileError::Invalid(error.to_string()))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if section.name() == SECTION => {
                    let place = if depth == 0 { &mut outer } else { &mut inner };
                    place.get_or_insert(section.data());
                }
                _ => {}
            }
        }
        outer.or(inner).map(Self::parse).transpose()
    }

    fn parse(json: &[u8]) -> Result<Self, CompileError> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(CompileError::Manifest(format!("{} bytes; at most {MANIFEST_BYTES_MAX}", json.len())));
        }
        // Through a map: a list would be taken for the members in order.
        let broken = |error: serde_json::Error| CompileError::Manifest(error.to_string());
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).map_err(broken)?;
        serde_json::from_value(members.into()).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::{Manifest, SECTION};

    fn section(json: &str) -> Vec<u8> {
        let mut body = vec![u8::try_from(SECTION.len()).expect("short")];
        body.extend(SECTION.as_bytes());
        body.extend(json.as_bytes());
        let mut out = vec![0, u8::try_from(body.len()).expect("below 128")];
        assert!(body.len() < 128);
        out.extend(body);
        out
    }

    fn component(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        parts.iter().for_each(|part| bytes.extend(part));
        bytes
    }

    fn module(json: &str) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(section(json));
        let mut out = vec![1, u8::try_from(module.len()).expect("short")];
        out.extend(module);
        out
    }

    #[test]
    fn the_component_level_comes_first() {
        let name = |bytes: &[u8]| Manifest::read(bytes).expect("readable").map(|manifest| manifest.name);
        assert_eq!(name(&component(&[])), None);
        assert_eq!(name(&component(&[module(r#"{"name":"in"}"#)])).as_deref(), Some("in"));
        let both = component(&[module(r#"{"name":"in"}"#), section(r#"{"name":"out"}"#)]);
        assert_eq!(name(&both).as_deref(), Some("out"));
    }

    #[test]
    fn a_broken_manifest_is_refused() {
        for json in ["", "[]", r#"{"name":1}"#, r#"{"name":"#] {
            assert!(Manifest::read(&component(&[section(json)])).is_err(), "{json}");
        }
        assert!(Manifest::read(b"\0asm\x0d\0\x01\0\xff\xff").is_err());
    }
}
