//! A core module from outside: what it imports and exports, and its exports renamed.

use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{Encoding, ExternalKind, Parser, Payload, Validator};

/// First bytes of every Wasm file.
const MAGIC: &[u8] = b"\0asm";
/// Custom sections of this kind hold the types that bindings left.
const TYPES: &str = "component-type";
/// Custom sections of this kind are DWARF, for debuggers: often more than all the rest.
const DEBUG: &str = ".debug_";

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Component,
}

/// Looks at the first bytes and proves the rest valid.
///
/// # Errors
/// No valid Wasm.
pub(crate) fn look(bytes: &[u8]) -> Result<Kind, Error> {
    if !bytes.starts_with(MAGIC) {
        let text = bytes.trim_ascii_start();
        let is_text = text.starts_with(b"(module") || text.starts_with(b"(component");
        return Err(if is_text { Error::Text } else { Error::NotWasm });
    }
    Validator::new().validate_all(bytes).map_err(|error| Error::Broken(error.to_string()))?;
    Ok(if Parser::is_component(bytes) { Kind::Component } else { Kind::Module })
}

/// The outside of a core module.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Functions that it imports: module and name.
    pub(crate) imports: BTreeSet<(String, String)>,
    /// Everything that it exports.
    pub(crate) exports: BTreeSet<String>,
    /// It brings its types along.
    pub(crate) typed: bool,
}

impl Module {
    /// Reads the outside of a valid module.
    ///
    /// # Errors
    /// Broken bytes.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(broken)? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        module.imports.insert((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        module.exports.insert(export.map_err(broken)?.name.to_owned());
                    }
                }
                Payload::CustomSection(section) => module.typed |= section.name().starts_with(TYPES),
                _ => {}
            }
        }
        Ok(module)
    }

    /// Names of the modules that it imports from.
    pub(crate) fn sources(&self) -> BTreeSet<&str> {
        self.imports.iter().map(|(module, _)| module.as_str()).collect()
    }
}

/// The module with its exports renamed by `spellings`; what stands there under the new name
/// already stays. Sections for debuggers go: the host shows names of functions, and those are
/// in a section of their own.
///
/// # Errors
/// Broken bytes.
pub(crate) fn renamed(bytes: &[u8], spellings: &BTreeMap<String, String>) -> Result<Vec<u8>, Error> {
    let taken = Module::read(bytes)?.exports;
    let mut out = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(broken)?;
        match payload {
            Payload::Version { encoding, .. } if encoding != Encoding::Module => {
                return Err(Error::Broken("a component where a module is expected".to_owned()));
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section {
                    let export = export.map_err(broken)?;
                    let new = spellings.get(export.name).filter(|new| !taken.contains(*new));
                    exports.export(new.map_or(export.name, String::as_str), kind(export.kind), export.index);
                }
                out.section(&exports);
            }
            Payload::CustomSection(section) if section.name().starts_with(DEBUG) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = bytes.get(range).ok_or_else(|| Error::Broken("a section ends early".to_owned()))?;
                    out.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(out.finish())
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}

fn broken(error: wasmparser::BinaryReaderError) -> Error {
    Error::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasm(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn what_is_no_module_is_told() {
        assert_eq!(look(b""), Err(Error::NotWasm));
        assert_eq!(look(b"MZ"), Err(Error::NotWasm));
        assert_eq!(look(b" (module)"), Err(Error::Text));
        assert!(matches!(look(b"\0asm\x01\0\0\0\x01"), Err(Error::Broken(_))));
        assert_eq!(look(&wasm("(module)")), Ok(Kind::Module));
        assert_eq!(look(&wasm("(component)")), Ok(Kind::Component));
    }

    #[test]
    fn only_known_names_change_and_nothing_else_does() {
        let bytes = wasm(
            "(module (memory (export \"memory\") 1) (global (export \"g\") i32 (i32.const 7))
               (func (export \"plain\") (result i32) i32.const 1) (func (export \"kept\")) (@custom \"x\" \"y\"))",
        );
        let with = wasm("(module (@custom \".debug_info\" \"y\") (@custom \"x\" \"y\"))");
        assert_eq!(renamed(&with, &BTreeMap::new()).unwrap(), wasm("(module (@custom \"x\" \"y\"))"));
        let map = BTreeMap::from([("plain".to_owned(), "a:b/c#d".to_owned()), ("kept".to_owned(), "g".to_owned())]);
        let new = renamed(&bytes, &map).unwrap();
        let names: Vec<String> = Module::read(&new).unwrap().exports.into_iter().collect();
        assert_eq!(names, ["a:b/c#d", "g", "kept", "memory"]);
        assert_eq!(look(&new), Ok(Kind::Module));
        assert_eq!(renamed(&new, &BTreeMap::new()).unwrap(), new);
    }
}
