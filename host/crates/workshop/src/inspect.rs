//! What a component says about itself without running: its outside, and how its code is made.

use crate::check::check;
use crate::contract::{Contract, Named, named};
use crate::error::Error;
use crate::module::{self, Kind};
use std::collections::BTreeSet;
use wasmparser::{Operator, Parser, Payload};

/// A component, looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Interfaces of the contract that it imports, by their short names.
    pub capabilities: BTreeSet<String>,
    /// Other imports by their full names: WASI.
    pub other_imports: BTreeSet<String>,
    /// Interfaces of the contract that it exports, `lifecycle` among them.
    pub hooks: BTreeSet<String>,
    /// Functions of all core modules inside.
    pub functions: u32,
    /// Memory that an instance begins with, bytes.
    pub memory_bytes: u64,
    /// Its code can ask for more memory; doing so inside a hook costs microseconds.
    pub grows: bool,
    /// Its functions have names, for backtraces.
    pub named: bool,
}

/// Looks at a component for the contract.
///
/// # Errors
/// It is none: as [`crate::component`] says, and for a core module what to do with it.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Error> {
    if module::look(bytes)? == Kind::Module {
        return Err(Error::Core);
    }
    check(&Contract::new(), bytes)?;
    read(bytes).map_err(|error| Error::Broken(error.to_string()))
}

fn read(bytes: &[u8]) -> Result<Inspection, wasmparser::BinaryReaderError> {
    let mut found = Inspection::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import?.name.name;
                    match named(name) {
                        Named::Ours(interface) => found.capabilities.insert(interface.to_owned()),
                        _ => found.other_imports.insert(name.to_owned()),
                    };
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    if let Named::Ours(interface) = named(export?.name.name) {
                        found.hooks.insert(interface.to_owned());
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    found.memory_bytes = found.memory_bytes.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::CodeSectionStart { count, .. } => found.functions = found.functions.saturating_add(count),
            Payload::CodeSectionEntry(body) if !found.grows => {
                for operator in body.get_operators_reader()? {
                    found.grows |= matches!(operator?, Operator::MemoryGrow { .. });
                }
            }
            Payload::CustomSection(section) if depth > 0 => found.named |= section.name() == "name",
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;

    fn component(more: &str) -> Vec<u8> {
        let text = format!(
            "(module $m (import \"gatelodge:plugin/log@0.1.0\" \"write\" (func $log (param i32 i32 i32)))
               (memory (export \"memory\") 3)
               (func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {more} i32.const 64)
               (func (export \"gatelodge_plugin_lifecycle_configure\") (result i32) i32.const 0)
               (func (export \"gatelodge_plugin_request_head_handle\") (param i32 i32) (result i32)
                 (call $log (i32.const 2) (i32.const 0) (i32.const 0)) i32.const 0))"
        );
        crate::component(&wat::parse_str(text).unwrap(), World::default()).unwrap().component
    }

    fn names(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn the_outside_of_a_component_and_its_code_are_told() {
        let found = inspect(&component("")).unwrap();
        assert_eq!(names(&found.capabilities), ["log", "types"]);
        assert_eq!(names(&found.hooks), ["lifecycle", "request-head"]);
        assert!(found.other_imports.is_empty() && found.named && !found.grows);
        assert_eq!(found.memory_bytes, 3 << 16);
        assert!(found.functions >= 3, "the encoder may add some: {}", found.functions);
        assert!(inspect(&component("(drop (memory.grow (i32.const 1)))")).unwrap().grows);
    }

    #[test]
    fn what_is_no_component_for_the_contract_is_told() {
        assert_eq!(inspect(b"text"), Err(Error::NotWasm));
        assert_eq!(inspect(&wat::parse_str("(module)").unwrap()), Err(Error::Core));
        assert_eq!(inspect(&wat::parse_str("(component)").unwrap()), Err(Error::Useless("lifecycle")));
        let whole = component("");
        for end in (8..whole.len()).step_by(97) {
            assert!(inspect(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
