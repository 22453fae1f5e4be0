//! The contract, as text and understood.

use wit_parser::{Function, Interface, PackageId, Resolve, WorldItem};

/// The contract's text, as this program was built with it.
pub const WIT: &str = include_str!("../../../../wit/gatelodge-plugin.wit");
/// Its package.
pub const PACKAGE: &str = "gatelodge:plugin";
/// Its version.
pub const VERSION: &str = "0.1.0";
/// The world of every hook and capability.
const ALL: &str = "all-hooks";

/// The contract, understood.
#[derive(Clone)]
pub struct Contract {
    pub(crate) resolve: Resolve,
    pub(crate) package: PackageId,
}

impl Contract {
    /// Parses the text.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "the text is part of the program, and a test parses it")]
    pub fn new() -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("gatelodge-plugin.wit", WIT).expect("the contract is valid WIT");
        Self { resolve, package }
    }

    /// Names of its worlds.
    pub fn worlds(&self) -> impl Iterator<Item = &str> {
        self.resolve.packages[self.package].worlds.keys().map(String::as_str)
    }

    /// Interfaces that a plugin may import.
    pub fn capabilities(&self) -> Vec<&str> {
        self.interfaces(|world| &world.imports)
    }

    /// Interfaces that a plugin may export: `lifecycle` and the hooks.
    pub fn hooks(&self) -> Vec<&str> {
        self.interfaces(|world| &world.exports)
    }

    fn interfaces(
        &self,
        side: impl Fn(&wit_parser::World) -> &wit_parser::IndexMap<wit_parser::WorldKey, WorldItem>,
    ) -> Vec<&str> {
        let all = self.resolve.packages[self.package].worlds[ALL];
        let ids = side(&self.resolve.worlds[all]).values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        });
        ids.filter_map(|id| self.resolve.interfaces[id].name.as_deref()).collect()
    }

    /// An interface by its name.
    pub(crate) fn interface(&self, name: &str) -> Option<&Interface> {
        let id = self.resolve.packages[self.package].interfaces.get(name)?;
        Some(&self.resolve.interfaces[*id])
    }

    /// Functions of an interface, those of its resources among them.
    pub(crate) fn functions(&self, interface: &str) -> impl Iterator<Item = &Function> {
        self.interface(interface).into_iter().flat_map(|interface| interface.functions.values())
    }
}

impl Default for Contract {
    fn default() -> Self {
        Self::new()
    }
}

/// The full name of an interface.
pub(crate) fn full(interface: &str) -> String {
    format!("{PACKAGE}/{interface}@{VERSION}")
}

/// What a name says about the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'n> {
    /// An interface in our version.
    Ours(&'n str),
    /// An interface in another version.
    Other {
        /// The version.
        version: &'n str,
    },
    /// Nothing of the contract.
    Foreign,
}

/// Takes `gatelodge:plugin/log@0.1.0` apart. A later 0.1.z only adds functions.
pub(crate) fn named(name: &str) -> Named<'_> {
    let Some(rest) = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else {
        return Named::Foreign;
    };
    match rest.split_once('@') {
        Some((interface, version)) if version.starts_with("0.1.") => Named::Ours(interface),
        Some((_, version)) => Named::Other { version },
        None => Named::Other { version: "(none)" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_understood() {
        let contract = Contract::new();
        assert!(contract.worlds().any(|name| name == "header-plugin"));
        assert_eq!(contract.resolve.packages[contract.package].name.to_string(), format!("{PACKAGE}@{VERSION}"));
        let hooks = contract.hooks();
        assert!(hooks.contains(&"lifecycle") && hooks.contains(&"timer") && !hooks.contains(&"log"), "{hooks:?}");
        let capabilities = contract.capabilities();
        assert!(capabilities.contains(&"log") && capabilities.contains(&"types"), "{capabilities:?}");
        assert_eq!(contract.functions("request-head").count(), 1);
        assert_eq!(contract.functions("request-body").count(), 3);
    }

    #[test]
    fn names_are_taken_apart() {
        for (name, expected) in [
            ("gatelodge:plugin/log@0.1.0", Named::Ours("log")),
            ("gatelodge:plugin/log@0.1.7", Named::Ours("log")),
            ("gatelodge:plugin/log@0.2.0", Named::Other { version: "0.2.0" }),
            ("gatelodge:plugin/log", Named::Other { version: "(none)" }),
            ("gatelodge:plugins/log@0.1.0", Named::Foreign),
            ("wasi_snapshot_preview1", Named::Foreign),
        ] {
            assert_eq!(named(name), expected, "{name}");
        }
    }
}
