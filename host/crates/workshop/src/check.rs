//! Is a component one for the contract? By its names and types; nothing of it runs.

use crate::contract::{Contract, Named, full, named};
use crate::error::Error;
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// What a component imports and exports, by name.
#[derive(Debug, Default)]
struct Outside {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

/// Compares a component with the contract.
///
/// # Errors
/// It imports or exports what this version of the contract does not have, has no hook, or
/// gives a function another type.
pub fn check(contract: &Contract, component: &[u8]) -> Result<(), Error> {
    let outside = outside(component)?;
    let known = contract.capabilities();
    let mut foreign = Vec::new();
    for name in &outside.imports {
        match named(name) {
            Named::Ours(interface) if known.contains(&interface) => {}
            Named::Ours(interface) => {
                return Err(Error::UnknownInterface { kind: "import", name: interface.to_owned() });
            }
            Named::Other { version } => return Err(wrong(name, version)),
            // The host answers some of these; which, it says when it loads the plugin.
            Named::Foreign if name.starts_with("wasi:") => {}
            Named::Foreign => foreign.push(name.as_str()),
        }
    }
    if !foreign.is_empty() {
        return Err(Error::Foreign(foreign.join(", ")));
    }
    let hooks = hooks(contract, &outside)?;
    if outside.imports.iter().any(|name| name.starts_with("wasi:")) {
        return Ok(());
    }
    fits(contract, &hooks, component)
}

fn hooks<'o>(contract: &Contract, outside: &'o Outside) -> Result<BTreeSet<&'o str>, Error> {
    let known = contract.hooks();
    let mut hooks = BTreeSet::new();
    for name in &outside.exports {
        match named(name) {
            Named::Ours(hook) if known.contains(&hook) => {
                hooks.insert(hook);
            }
            Named::Ours(hook) => return Err(Error::UnknownInterface { kind: "hook", name: hook.to_owned() }),
            Named::Other { version } => return Err(wrong(name, version)),
            Named::Foreign => {}
        }
    }
    if !hooks.contains("lifecycle") {
        return Err(Error::Useless("lifecycle"));
    }
    if hooks.len() == 1 {
        return Err(Error::Useless("hook"));
    }
    Ok(hooks)
}

/// Types: a component with every capability at hand and these hooks asked of it.
fn fits(contract: &Contract, hooks: &BTreeSet<&str>, component: &[u8]) -> Result<(), Error> {
    let lines = contract.capabilities().into_iter().map(|name| format!("import {};\n", full(name)));
    let lines: String = lines.chain(hooks.iter().map(|name| format!("export {};\n", full(name)))).collect();
    let mut resolve = contract.resolve.clone();
    let text = format!("package gatelodge:expected;\nworld plugin {{\n{lines}}}\n");
    let package = resolve.push_str("expected.wit", &text).map_err(|error| Error::Wit(format!("{error:#}")))?;
    let world = resolve.packages[package].worlds["plugin"];
    wit_component::targets(&resolve, world, component)
        .map_err(|error| Error::Misfit(format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn outside(component: &[u8]) -> Result<Outside, Error> {
    let broken = |error: wasmparser::BinaryReaderError| Error::Broken(error.to_string());
    let mut outside = Outside::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(broken)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outside.imports.insert(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outside.exports.insert(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(outside)
}

fn wrong(name: &str, version: &str) -> Error {
    let place = name.split('@').next().unwrap_or(name).to_owned();
    Error::WrongVersion { place, found: version.to_owned() }
}
