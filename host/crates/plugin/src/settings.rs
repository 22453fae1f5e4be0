//! What the room is told: each value already parsed, with its unit in its name.

use std::sync::Arc;
use std::time::Duration;
use wire::fault::PluginFault;

/// Most plugins in one chain: a bit of [`wire::exchange::Shared::ran`] each.
pub const PLUGINS_MAX: usize = 64;

/// A plugin's code as it was read.
#[derive(Clone)]
pub struct ModuleSource {
    /// Where it came from, for messages: `builtin:auth-forward`, `plugins/auth.wasm`.
    pub label: String,
    /// The component's bytes.
    pub bytes: Arc<[u8]>,
}

/// Which requests a plugin sees. An empty list means: all.
#[derive(Clone, Debug, Default)]
pub struct MatchSettings {
    /// Path patterns, `*` for any run of characters. ASCII case does not matter,
    /// as on IIS; `/api/*` also matches `/api`.
    pub paths: Vec<String>,
    /// Methods, compared exactly (RFC 9110 §9.1).
    pub methods: Vec<String>,
    /// Host names without port; `*.example.com` matches any name below it.
    pub hosts: Vec<String>,
    /// Request fields that must be there with this value in one line; `*`: any value.
    pub headers: Vec<(String, String)>,
}

/// What a fault does to the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultPolicy {
    /// The request fails.
    #[default]
    Refuse,
    /// The request goes on as if the plugin were not there; what it had changed is undone.
    Skip,
}

/// The policy per kind of fault; refuses by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnFault {
    /// For [`PluginFault::Trap`].
    pub trap: FaultPolicy,
    /// For [`PluginFault::Deadline`].
    pub deadline: FaultPolicy,
    /// For [`PluginFault::Memory`].
    pub memory: FaultPolicy,
    /// For [`PluginFault::BadOutput`].
    pub bad_output: FaultPolicy,
    /// For [`PluginFault::Configure`].
    pub configure: FaultPolicy,
}

impl OnFault {
    /// The same policy for every kind.
    #[must_use]
    pub fn all(policy: FaultPolicy) -> Self {
        Self { trap: policy, deadline: policy, memory: policy, bad_output: policy, configure: policy }
    }

    /// The policy for one kind; for [`PluginFault::HeldBack`], which follows the kinds that
    /// led to it, the strictest of all.
    #[must_use]
    pub fn of(&self, kind: PluginFault) -> FaultPolicy {
        match kind {
            PluginFault::Trap => self.trap,
            PluginFault::Deadline => self.deadline,
            PluginFault::Memory => self.memory,
            PluginFault::BadOutput => self.bad_output,
            PluginFault::Configure => self.configure,
            PluginFault::HeldBack => {
                let all = [self.trap, self.deadline, self.memory, self.bad_output, self.configure];
                if all.contains(&FaultPolicy::Refuse) { FaultPolicy::Refuse } else { FaultPolicy::Skip }
            }
        }
    }
}

/// How long a plugin's memory lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Instances are pooled: memory survives from one request to the next.
    #[default]
    Instance,
    /// Fresh memory for each request: nothing of one reaches another.
    Request,
}

/// What a plugin may use. Deny by default; what is not listed here is granted by name
/// ([`GrantedNames`]), needs no grant (`exchange`, `identity` to read, `config`, `clock`, `random`, `crypto`) or is not offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// May write to the log.
    pub log: bool,
    /// May count.
    pub metrics: bool,
    /// May say who the caller is and which credential goes on.
    pub identity: bool,
    /// True where the operator wrote these grants for this plugin: a grant that
    /// nothing imports is then refused as a mistake. False for grants given by rule.
    pub written: bool,
}

impl Grants {
    /// What a manifest asks for: the grants of a plugin that is trusted as it is,
    /// such as those that come with the host.
    #[must_use]
    pub fn asked_by(manifest: &crate::manifest::Manifest) -> Self {
        let asks = |name: &str| manifest.grants.get(name).and_then(serde_json::Value::as_bool) == Some(true);
        Self { log: asks("log"), metrics: asks("metrics"), identity: asks("identity"), written: false }
    }
}

/// What a plugin may use by name: each must be declared in [`crate::Declared`]. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedNames {
    /// Stores of `kv`.
    pub state: Vec<String>,
    /// Limiters of `rate-limit`.
    pub limits: Vec<String>,
    /// Secrets that it may use without seeing them: `keys`, stored credentials.
    pub keys: Vec<String>,
    /// Secrets that it may read.
    pub secrets: Vec<String>,
    /// Upstreams of `http-out`.
    pub http: Vec<String>,
}

/// One plugin of the chain.
#[derive(Clone)]
pub struct PluginSettings {
    /// Unique in the chain; in logs, metrics, pages.
    pub name: String,
    /// Its code.
    pub module: ModuleSource,
    /// Which requests it sees.
    pub matches: MatchSettings,
    /// What its faults do.
    pub on_fault: OnFault,
    /// How long its memory lives.
    pub isolation: Isolation,
    /// Most linear memory of one instance, all its memories together. Default 16 MiB.
    /// A growth beyond it fails inside the plugin; if it dies of that, the fault is `memory`.
    pub memory_bytes_max: usize,
    /// Most bytes of one body that the host holds for this plugin: of a whole body, and of
    /// what one chunk or end gives back. Default 1 MiB. At the edge: a `whole` that asks for
    /// more, and output above it, are the fault `bad-output`.
    pub body_held_bytes_max: usize,
    /// Most processor time of one hook, start and `configure` of a fresh instance included;
    /// waiting for a processor is not counted (where the system does not tell processor time
    /// by safe calls, it is). Default 50 ms; at the edge, or at most 2 ms after it, the hook is
    /// stopped: fault `deadline`. So it is after four times this and at least one second
    /// more than this by the clock on the wall, on a machine that has no time for it.
    pub deadline: Duration,
    /// Its hooks give way to other requests of their worker every 2 ms at most, as those of a
    /// plugin granted `http-out` always do; each call costs more for that. Default false: a hook
    /// holds its worker until it ends, at most for its deadline.
    pub preemptible: bool,
    /// Most time of one hook that may wait or is preemptible, its waits and the wait for an
    /// instance included. Default 2 s. At the edge the hook is stopped: fault `deadline`.
    pub wall_max: Duration,
    /// Most instances per worker. A plugin whose hooks never wait uses one, and one more for
    /// each exchange that it holds a body of; with this many held, the next that asks for a
    /// body is the fault `memory`.
    /// `isolation = "request"` holds up to this many between request and response,
    /// after that the oldest is dropped and its response hook gets a fresh one. Default 64.
    pub instances_max: u32,
    /// Hooks after which an instance is replaced. Default 1,000,000.
    pub recycle_requests: u64,
    /// Its settings as one JSON document.
    pub config_json: String,
    /// What it may use.
    pub grants: Grants,
    /// What it may use by name.
    pub names: GrantedNames,
}

impl PluginSettings {
    /// A plugin with every default.
    #[must_use]
    pub fn new(name: impl Into<String>, module: ModuleSource) -> Self {
        Self {
            name: name.into(),
            module,
            matches: MatchSettings::default(),
            on_fault: OnFault::default(),
            isolation: Isolation::Instance,
            memory_bytes_max: 16 * 1024 * 1024,
            body_held_bytes_max: 1024 * 1024,
            deadline: Duration::from_millis(50),
            preemptible: false,
            wall_max: Duration::from_secs(2),
            instances_max: 64,
            recycle_requests: 1_000_000,
            config_json: "{}".to_owned(),
            grants: Grants::default(),
            names: GrantedNames::default(),
        }
    }
}

/// The chain: order in the list = order on the way in.
#[derive(Clone, Default)]
pub struct PlaneSettings {
    /// At most [`PLUGINS_MAX`].
    pub plugins: Vec<PluginSettings>,
}
