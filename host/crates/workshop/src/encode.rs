//! From a file to a component.

use crate::check::check;
use crate::contract::Contract;
use crate::error::Error;
use crate::module::{self, Kind, Module};
use crate::names;
use crate::world::{self, WASI, World};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// WASI's first version in terms of the contract, as an adapter module.
pub const SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shim.wasm"));
/// What the shim itself imports.
const SHIM_WORLD: &str = "package gatelodge:shim;\nworld shim {
    import gatelodge:plugin/log@0.1.0;\nimport gatelodge:plugin/clock@0.1.0;\nimport gatelodge:plugin/random@0.1.0;\n}";

/// A component, and what was done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The component.
    pub component: Vec<u8>,
    /// The input was a component already, and was only checked.
    pub as_it_was: bool,
    /// The shim was put below it.
    pub shimmed: bool,
}

/// Makes a component of a core module, or checks that a component is one for the contract.
///
/// # Errors
/// What it is instead, and what to do.
pub fn component(bytes: &[u8], world: World<'_>) -> Result<Built, Error> {
    let contract = Contract::new();
    if module::look(bytes)? == Kind::Component {
        if let Some(name) = world.name {
            return Err(Error::WorldOfComponent(name.to_owned()));
        }
        check(&contract, bytes)?;
        return Ok(Built { component: bytes.to_vec(), as_it_was: true, shimmed: false });
    }
    let core = typed(&contract, bytes, world)?;
    let shimmed = Module::read(&core)?.sources().contains(WASI);
    let mut encoder = ComponentEncoder::default().validate(true).module(&core).map_err(misfit)?;
    if shimmed {
        encoder = encoder.adapter(WASI, &shim(&contract)).map_err(misfit)?;
    }
    let component = encoder.encode().map_err(misfit)?;
    check(&contract, &component)?;
    Ok(Built { component, as_it_was: false, shimmed })
}

/// The module with canonical names and with its types.
fn typed(contract: &Contract, bytes: &[u8], world: World<'_>) -> Result<Vec<u8>, Error> {
    let mut core = module::renamed(bytes, &names::spellings(contract))?;
    let module = Module::read(&core)?;
    if module.typed {
        return match world.name {
            Some(name) => Err(Error::WorldTwice(name.to_owned())),
            None => Ok(core),
        };
    }
    let chosen = world.choose(contract, &module)?;
    world::imports(&module)?;
    world::exports(contract, &module, &chosen)?;
    embed_component_metadata(&mut core, &chosen.resolve, chosen.world, StringEncoding::UTF8).map_err(misfit)?;
    Ok(core)
}

/// The shim with its types.
fn shim(contract: &Contract) -> Vec<u8> {
    let mut resolve = contract.resolve.clone();
    let package = resolve.push_str("shim.wit", SHIM_WORLD).expect("a constant that a test encodes");
    let world = resolve.packages[package].worlds["shim"];
    let mut bytes = SHIM.to_vec();
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8)
        .expect("a constant that a test encodes");
    bytes
}

/// The whole chain of the encoder's words, in one line.
fn misfit(error: impl std::fmt::Display) -> Error {
    Error::Misfit(format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests;
