//! Why there is no component.

use crate::contract::{PACKAGE, VERSION};

/// Why something is not made into a plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No Wasm at all.
    #[error("this is no WebAssembly file: it does not begin with \\0asm")]
    NotWasm,
    /// Text format.
    #[error("this is WebAssembly text, not a binary")]
    Text,
    /// Broken bytes; the parser's words.
    #[error("this WebAssembly file is broken: {0}")]
    Broken(String),
    /// A module that says neither by custom sections nor by names what it is for.
    #[error("this core module names nothing of {PACKAGE}, and no world was given")]
    NoWorld,
    /// A world was named for a module that brings its own.
    #[error("the module brings its types along, so there is nothing to do for the world \"{0}\"")]
    WorldTwice(String),
    /// A world was named for a component.
    #[error("this is a component already, so there is nothing to do for the world \"{0}\"")]
    WorldOfComponent(String),
    /// A core module where only a component will do.
    #[error("this is a core module, not yet a component")]
    Core,
    /// No such world.
    #[error("there is no world \"{name}\"")]
    UnknownWorld {
        /// What was asked for.
        name: String,
        /// What there is, joined.
        known: String,
    },
    /// WIT of the author that can't be read.
    #[error("the WIT of this plugin can't be used: {0}")]
    Wit(String),
    /// Built for another version of the contract.
    #[error("{place} is of {PACKAGE}@{found}; this host speaks {PACKAGE}@{VERSION}")]
    WrongVersion {
        /// The import or export.
        place: String,
        /// Its version.
        found: String,
    },
    /// An interface that the contract lacks.
    #[error("{PACKAGE}@{VERSION} has no {kind} \"{name}\"")]
    UnknownInterface {
        /// "import" or "hook".
        kind: &'static str,
        /// The interface.
        name: String,
    },
    /// Imports that no host function answers.
    #[error("it imports what no plugin can have: {0}")]
    Foreign(String),
    /// Functions of exported interfaces that the module lacks.
    #[error("these exports are missing: {0}")]
    MissingExports(String),
    /// No `lifecycle`, or no hook.
    #[error("it exports no {0}")]
    Useless(&'static str),
    /// What the encoder says of a module that contradicts the contract.
    #[error("the module does not fit the contract: {0}")]
    Misfit(String),
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotWasm | Self::Broken(_) => "give what the compiler left behind for a wasm target".to_owned(),
            Self::Text => "turn it into a binary first (`wasm-tools parse`, `wat2wasm`)".to_owned(),
            Self::NoWorld => format!(
                "export functions by the contract's names, such as `{PACKAGE}/request-head@{VERSION}#handle` or \
                 `gatelodge_plugin_request_head_handle`; or name the world that it was made for: --world header-plugin"
            ),
            Self::WorldTwice(_) | Self::WorldOfComponent(_) => "leave the world out".to_owned(),
            Self::Core => "make one of it: gatelodge plugin build FILE".to_owned(),
            Self::UnknownWorld { known, .. } => format!("there are: {known}"),
            Self::WrongVersion { .. } => format!("build it against {PACKAGE}@{VERSION}, the WIT that this program has"),
            Self::Foreign(names) if names.contains("env.") => {
                "it wants a C library, or functions that nobody defines: link for wasip1, or define them".to_owned()
            }
            Self::Foreign(_) => {
                "a plugin imports the contract, and wasi_snapshot_preview1, which is shimmed".to_owned()
            }
            Self::Useless(_) => "a plugin exports `lifecycle` and at least one hook".to_owned(),
            Self::MissingExports(_) => {
                "every function of an exported interface must be there; either spelling will do".to_owned()
            }
            Self::UnknownInterface { .. } | Self::Wit(_) | Self::Misfit(_) => return None,
        })
    }
}
