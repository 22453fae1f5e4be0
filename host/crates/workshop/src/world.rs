//! Which world a core module is made for: the one that was named, or exactly what it
//! imports and exports.

use crate::contract::{Contract, Named, PACKAGE, VERSION, full, named};
use crate::error::Error;
use crate::module::Module;
use crate::names;
use std::collections::BTreeSet;
use std::path::Path;
use wit_parser::{Resolve, SourceMap, WorldId, WorldItem, WorldKey};

/// The module of WASI's first version, which the shim answers.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";
/// What stands before the interface where a module handles resources that it exports.
const OWN: &str = "[export]";

/// A WIT file of the author's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitFile {
    /// As messages show it.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Which world a module is made for.
#[derive(Clone, Copy, Debug, Default)]
pub struct World<'w> {
    /// Its name: one of the author's WIT, or of the contract. Left out: what the module
    /// imports and exports.
    pub name: Option<&'w str>,
    /// The author's own WIT: one package.
    pub wit: &'w [WitFile],
}

/// The types of a world.
pub(crate) struct Chosen {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
}

impl World<'_> {
    /// Finds the world.
    ///
    /// # Errors
    /// There is none of this name, or the WIT can't be read.
    pub(crate) fn choose(&self, contract: &Contract, module: &Module) -> Result<Chosen, Error> {
        let Some(name) = self.name else { return derived(contract, module) };
        let mut resolve = contract.resolve.clone();
        let mut known: Vec<&str> = Vec::new();
        let mut own = None;
        if !self.wit.is_empty() {
            let package = own_package(&mut resolve, self.wit)?;
            own = resolve.packages[package].worlds.get(name).copied();
        }
        let found = own.or_else(|| resolve.packages[contract.package].worlds.get(name).copied());
        if let Some(world) = found {
            return Ok(Chosen { resolve, world });
        }
        known.extend(resolve.worlds.iter().map(|(_, world)| world.name.as_str()));
        known.sort_unstable();
        Err(Error::UnknownWorld { name: name.to_owned(), known: known.join(", ") })
    }
}

fn own_package(resolve: &mut Resolve, files: &[WitFile]) -> Result<wit_parser::PackageId, Error> {
    let told = |error: String| {
        // The parser says which package it lacks, but not why it lacks it.
        let other = error.split(PACKAGE).skip(1).filter_map(|rest| rest.strip_prefix('@')).find_map(|rest| {
            let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            (!version.starts_with(VERSION)).then_some(version)
        });
        match other {
            Some(found) => Error::WrongVersion { place: "the WIT of this plugin".to_owned(), found },
            None => Error::Wit(error),
        }
    };
    let mut sources = SourceMap::default();
    for file in files {
        sources.push(Path::new(&file.path), file.text.clone());
    }
    let group = sources.parse().map_err(|(map, error)| told(error.render(&map)))?;
    let map = group.source_map.clone();
    resolve.push_group(group).map_err(|error| told(error.render(&map)))
}

/// A world of what the module names.
fn derived(contract: &Contract, module: &Module) -> Result<Chosen, Error> {
    let hooks = exported(contract, module)?;
    if hooks.is_empty() {
        return Err(Error::NoWorld);
    }
    let mut imports = BTreeSet::new();
    for source in module.sources() {
        match named(source) {
            Named::Ours(interface) if contract.capabilities().contains(&interface) => {
                imports.insert(interface);
            }
            Named::Ours(interface) => {
                return Err(Error::UnknownInterface { kind: "import", name: interface.to_owned() });
            }
            Named::Other { version } => return Err(wrong(source, version)),
            Named::Foreign => {}
        }
    }
    let lines = imports.iter().map(|name| format!("import {};\n", full(name)));
    let lines: String = lines.chain(hooks.iter().map(|name| format!("export {};\n", full(name)))).collect();
    let text = format!("package gatelodge:derived;\nworld plugin {{\n{lines}}}\n");
    let mut resolve = contract.resolve.clone();
    let package = resolve.push_str("derived.wit", &text).map_err(|error| Error::Wit(format!("{error:#}")))?;
    let world = resolve.packages[package].worlds["plugin"];
    Ok(Chosen { resolve, world })
}

/// Hook interfaces of which the module exports anything.
fn exported<'m>(contract: &Contract, module: &'m Module) -> Result<BTreeSet<&'m str>, Error> {
    let known = contract.hooks();
    let mut hooks = BTreeSet::new();
    for name in &module.exports {
        let Some((interface, _)) = name.split_once('#') else { continue };
        let interface = interface.strip_prefix("cabi_post_").unwrap_or(interface);
        match named(interface) {
            Named::Ours(hook) if known.contains(&hook) => {
                hooks.insert(hook);
            }
            Named::Ours(hook) => return Err(Error::UnknownInterface { kind: "hook", name: hook.to_owned() }),
            Named::Other { version } => return Err(wrong(interface, version)),
            Named::Foreign => {}
        }
    }
    Ok(hooks)
}

fn wrong(place: &str, version: &str) -> Error {
    let place = place.split('@').next().unwrap_or(place).to_owned();
    Error::WrongVersion { place, found: version.to_owned() }
}

/// Imports that nobody would answer, and versions of the contract that nobody speaks.
///
/// # Errors
/// All such imports at once.
pub(crate) fn imports(module: &Module) -> Result<(), Error> {
    let mut foreign = Vec::new();
    for (source, name) in &module.imports {
        match named(source.strip_prefix(OWN).unwrap_or(source)) {
            Named::Ours(_) => {}
            Named::Other { version } => return Err(wrong(source, version)),
            Named::Foreign if source == WASI => {}
            Named::Foreign => foreign.push(format!("{source}.{name}")),
        }
    }
    if foreign.is_empty() { Ok(()) } else { Err(Error::Foreign(foreign.join(", "))) }
}

/// Functions that the world asks of the module and that it lacks.
///
/// # Errors
/// All of them at once, in both spellings.
pub(crate) fn exports(contract: &Contract, module: &Module, chosen: &Chosen) -> Result<(), Error> {
    let world = &chosen.resolve.worlds[chosen.world];
    let mut missing = Vec::new();
    for (key, item) in &world.exports {
        let (WorldKey::Interface(_), WorldItem::Interface { id, .. }) = (key, item) else { continue };
        let Some(name) = chosen.resolve.interfaces[*id].name.as_deref() else { continue };
        for export in names::required(contract, name) {
            if !module.exports.contains(&export.canonical) {
                missing.push(format!("{} ({})", export.canonical, export.plain));
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::MissingExports(missing.join(", "))) }
}
