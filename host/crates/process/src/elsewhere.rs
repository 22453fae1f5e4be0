//! Systems where no backend can be supervised: every start fails, saying so.

use crate::report::{News, Sighting};
use crate::settings::{Identity, Settings, Ungranted};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::PairingToken;

/// There is no keeper here; the process should end with the returned code.
#[must_use]
pub fn keeper_main(_arguments: impl IntoIterator<Item = OsString>) -> i32 {
    2
}

/// Whether the path is a file.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Nothing is known to be reserved.
pub(crate) fn reserved_ports() -> String {
    String::new()
}

/// Nothing is known of outgoing connections.
pub(crate) fn ephemeral_ports() -> Option<(u16, u16)> {
    None
}

/// Keeps a port for whoever holds it; there is none here.
#[derive(Debug)]
pub(crate) enum PortClaim {}

/// Nothing can be claimed.
///
/// # Errors
/// Always.
pub(crate) fn claim_port(_port: u16) -> std::io::Result<PortClaim> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Every port may be free.
pub(crate) fn is_free(_port: u16) -> bool {
    true
}

/// Nothing is known to listen.
pub(crate) fn is_listening(_port: u16) -> bool {
    false
}

/// Nothing is known to listen.
pub(crate) fn look(_keeper: u32, _likely: Option<u32>, _port: u16) -> Sighting {
    Sighting::Nobody
}

/// Nothing is known to listen.
pub(crate) fn other_ports(_keeper: u32, _port: u16) -> Vec<SocketAddr> {
    Vec::new()
}

/// Nothing is known of memory.
pub(crate) fn memory_bytes(_keeper: u32) -> Option<u64> {
    None
}

/// What would be started.
pub(crate) struct Launch {
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Working directory.
    pub(crate) directory: PathBuf,
    /// The whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Whether its output is read.
    pub(crate) capture: bool,
    /// Nothing.
    pub(crate) confine: Confine,
    /// As it was written.
    pub(crate) identity: Identity,
}

/// No identity but the host's own.
pub(crate) struct Confine;

/// An identity in numbers.
pub(crate) struct Resolved {
    pub(crate) confine: Confine,
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// Accepts no identity but the host's own.
///
/// # Errors
/// A sentence that says what to leave out.
pub fn check_identity(identity: &Identity) -> Result<(), Vec<Ungranted>> {
    resolve_identity(identity).map(|_| ()).map_err(|what| vec![Ungranted { setting: "identity", what }])
}

/// Accepts no identity but the host's own.
pub(crate) fn resolve_identity(identity: &Identity) -> Result<Resolved, String> {
    if *identity == Identity::default() {
        return Ok(Resolved { confine: Confine, variables: Vec::new() });
    }
    Err("[host.backend.identity] works on Linux only: leave it out.".to_owned())
}

/// What would be prepared.
pub(crate) struct Recipe {
    grouped: bool,
}

impl Recipe {
    /// What an application would be started by.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { grouped: crate::environment::grouped(settings) }
    }
}

/// Nothing is started ahead.
pub(crate) struct Spares;

impl Spares {
    /// An empty place.
    pub(crate) fn new(_recipe: Recipe) -> Arc<Self> {
        Arc::new(Self)
    }

    /// It stays empty.
    pub(crate) fn want(&self, _count: usize) {}
}

/// There is nothing to tend.
pub(crate) async fn tend(_spares: Arc<Spares>) {}

/// Never made.
pub(crate) struct Kept(Infallible);

impl Kept {
    /// Refuses.
    pub(crate) async fn launch(
        spares: &Spares,
        recipe: &Recipe,
        launch: &Launch,
        _pair: (PairingToken, u16),
    ) -> Result<(Self, Option<tokio::io::Empty>), Error> {
        let Launch { program, arguments, directory, environment, capture, confine: Confine, identity } = launch;
        let (Recipe { grouped }, Spares) = (recipe, spares);
        let text = format!(
            "backends can't be supervised on this system yet ({} in {} with {} arguments and {} variables, \
             output read: {capture}, own group: {grouped}, {identity:?})",
            program.display(),
            directory.display(),
            arguments.len(),
            environment.len()
        );
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    pub(crate) fn keeper(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) async fn news(&mut self) -> News {
        match self.0 {}
    }

    pub(crate) async fn terminate(&mut self) {
        match self.0 {}
    }

    pub(crate) async fn kill(&mut self) {
        match self.0 {}
    }
}

/// Never made.
pub(crate) struct Owner(Infallible);

impl Owner {
    /// There is nobody to watch.
    pub(crate) fn watch(_pid: u32) -> Option<Self> {
        None
    }

    pub(crate) async fn ended(&self) {
        match self.0 {}
    }
}
