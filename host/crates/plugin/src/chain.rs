//! The chain of plugins: loaded once per generation, shared by all workers.

use crate::bindings::hooks::{
    completion, lifecycle, request_body, request_head, request_whole, response_body, response_head, response_whole,
    timer,
};
use crate::code::Got;
use crate::compile::Compiled;
use crate::engine::PluginEngine;
use crate::fiber::{FiberClock, to_its_end};
use crate::instance::{Blueprint, FiberIndices, Unborn};
use crate::jose::KeySets;
use crate::link::{self, Hooks, LinkError};
use crate::log::LogSink;
use crate::manifest::Manifest;
use crate::matches::Matcher;
use crate::metrics::Metrics;
use crate::named::{Declared, Named};
use crate::plane::Plane;
use crate::registration::Registration;
use crate::schema::{Schema, Wrong};
use crate::seen::End;
use crate::selector::Access;
use crate::settings::{Isolation, OnFault, PLUGINS_MAX, PlaneSettings, PluginSettings};
use crate::state::Common;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::target::PathRules;

/// Processor time for start and `configure` of the trial instance at load.
const TRIAL: Duration = Duration::from_secs(1);

/// What a chain needs besides its settings; shared with the rest of the house.
#[derive(Clone)]
pub struct Surroundings {
    /// The process's engine.
    pub engine: Arc<PluginEngine>,
    /// Key sets by name, for `crypto.verify-*`.
    pub key_sets: Arc<KeySets>,
    /// Where lines and faults go.
    pub log: Arc<dyn LogSink>,
    /// Where plugins count.
    pub metrics: Arc<Metrics>,
    /// What the names of grants stand for.
    pub declared: Declared,
    /// How the host judges paths; a plugin's path edits are judged the same.
    pub path_rules: PathRules,
}

/// All plugins of a generation.
pub struct Chain {
    pub(crate) engine: Arc<PluginEngine>,
    pub(crate) plugins: Vec<Arc<Loaded>>,
}

/// One reason why a chain does not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// Place in [`PlaneSettings::plugins`].
    pub index: usize,
    /// Name of the plugin.
    pub plugin: String,
    /// Where its code came from.
    pub module: String,
    /// The import that is at fault, if one is.
    pub import: Option<String>,
    /// The setting that is at fault, if one is: a JSON pointer (RFC 6901) into
    /// [`PluginSettings::config_json`]; for a setting that is missing, the table that lacks it.
    pub setting: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write or do instead.
    pub help: Option<String>,
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "plugin \"{}\" ({}): {}", self.plugin, self.module, self.message)?;
        if let Some(import) = &self.import {
            write!(f, " (import {import})")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// One plugin, ready to be instantiated on any worker.
pub(crate) struct Loaded {
    pub(crate) common: Arc<Common>,
    pub(crate) blueprint: Blueprint,
    /// False for a plugin that has a timer only: workers do not know it.
    pub(crate) sees_requests: bool,
    pub(crate) registration: Arc<Registration>,
    pub(crate) matcher: Matcher,
    pub(crate) on_fault: OnFault,
    /// Its completion hook may read fields of the response: by its view, or by host calls.
    pub(crate) reads_response_at_end: bool,
    /// Grant `identity`.
    pub(crate) sets_identities: bool,
    pub(crate) isolation: Isolation,
    pub(crate) deadline: Duration,
    pub(crate) wall_max: Duration,
    pub(crate) instances_max: usize,
    pub(crate) recycle_requests: u64,
    pub(crate) hooks: Hooks,
    /// Where its code came from.
    pub(crate) module: String,
    /// Kept for the next generation, which may want the same.
    pub(crate) compiled: Arc<Compiled>,
}

impl Chain {
    /// Compiles, checks, links and tries all plugins. Takes a fraction of a second
    /// per plugin: not for a worker's thread.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, at once.
    pub fn load(settings: &PlaneSettings, around: &Surroundings) -> Result<Self, Vec<LoadError>> {
        let mut errors = check_names(&settings.plugins);
        let mut plugins = Vec::new();
        for (index, plugin) in settings.plugins.iter().enumerate().take(PLUGINS_MAX) {
            match load_one(index, plugin, around) {
                Ok(loaded) => plugins.push(Arc::new(loaded)),
                Err(whys) => errors.extend(whys.into_iter().map(|why| why.of(index, plugin))),
            }
        }
        if errors.is_empty() {
            plugins.iter().for_each(|plugin| plugin.common.named.apply(&around.declared));
        }
        if errors.is_empty() { Ok(Self { engine: Arc::clone(&around.engine), plugins }) } else { Err(errors) }
    }

    /// The chain for one worker: made on the worker's own thread.
    #[must_use]
    pub fn plane(self: &Arc<Self>) -> Plane {
        Plane::new(&self.engine, &self.plugins)
    }

    /// What each plugin says about itself, in order.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, Option<&Manifest>)> {
        self.plugins.iter().map(|plugin| (&*plugin.common.name, plugin.compiled.manifest.as_ref()))
    }
}

/// What is wrong with one plugin, before it is told whose it is.
struct Why {
    import: Option<String>,
    setting: Option<String>,
    message: String,
    help: Option<String>,
}

impl Why {
    fn new(message: impl Into<String>) -> Vec<Self> {
        vec![Self { import: None, setting: None, message: message.into(), help: None }]
    }

    fn of(self, index: usize, plugin: &PluginSettings) -> LoadError {
        LoadError {
            index,
            plugin: plugin.name.clone(),
            module: plugin.module.label.clone(),
            import: self.import,
            setting: self.setting,
            message: self.message,
            help: self.help,
        }
    }
}

impl From<LinkError> for Why {
    fn from(error: LinkError) -> Self {
        Self { import: error.import, setting: None, message: error.message, help: error.help }
    }
}

fn check_names(plugins: &[PluginSettings]) -> Vec<LoadError> {
    let mut errors = Vec::new();
    for (index, plugin) in plugins.iter().enumerate() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let why = if index >= PLUGINS_MAX {
            Some(format!("more than {PLUGINS_MAX} plugins"))
        } else if plugin.name.is_empty() || plugin.name.len() > 64 || !plugin.name.bytes().all(fits) {
            Some("a name is 1 to 64 letters, digits, - _ .".to_owned())
        } else if plugins.iter().take(index).any(|other| other.name == plugin.name) {
            Some("another plugin has this name already".to_owned())
        } else {
            None
        };
        errors.extend(why.map(|message| Why { import: None, setting: None, message, help: None }.of(index, plugin)));
    }
    errors
}

fn load_one(index: usize, settings: &PluginSettings, around: &Surroundings) -> Result<Loaded, Vec<Why>> {
    let matcher = Matcher::new(&settings.matches).map_err(Why::new)?;
    let config = check_numbers(settings)?;
    let compiled = code(settings, around)?;
    check_config(&compiled, &config)?;
    let hooks = link::check(&compiled.component, settings.grants, &settings.names)
        .map_err(|errors| errors.into_iter().map(Why::from).collect::<Vec<_>>())?;
    let named = Named::new(&settings.names, &around.declared, &around.log).map_err(Why::new)?;
    let common = Arc::new(Common {
        name: settings.name.as_str().into(),
        index: u8::try_from(index).map_err(|_| Why::new("too many plugins"))?,
        config_json: settings.config_json.clone(),
        memory_bytes_max: settings.memory_bytes_max,
        table_elements_max: compiled.slots.table_elements_max(),
        body_held_bytes_max: settings.body_held_bytes_max,
        path_rules: around.path_rules,
        log: Arc::clone(&around.log),
        may_log: settings.grants.log,
        log_meter: crate::capability::log::Meter::default(),
        metrics: around.metrics.plugin(&settings.name),
        key_sets: Arc::clone(&around.key_sets),
        named,
        started: Instant::now(),
    });
    let waits = settings.preemptible || link::waits(&compiled.component);
    let blueprint =
        blueprint(&compiled, hooks, &common, waits).map_err(|error| Why::new(crate::compile::reason(&error)))?;
    around.engine.ticker().watch(&common);
    let registration = try_out(&blueprint, around)?;
    let reads_response_at_end = hooks.completion
        && (registration.completion_view.iter().any(|access| matches!(access, Access::ResponseHeader(_)))
            || link::imports(&compiled.component, "exchange"));
    Ok(Loaded {
        common,
        blueprint,
        sees_requests: hooks.any_of_requests(),
        registration: Arc::new(registration),
        reads_response_at_end,
        matcher,
        on_fault: settings.on_fault,
        sets_identities: settings.grants.identity,
        isolation: settings.isolation,
        deadline: settings.deadline,
        wall_max: settings.wall_max,
        instances_max: usize::try_from(settings.instances_max).unwrap_or(usize::MAX),
        recycle_requests: settings.recycle_requests,
        hooks,
        module: settings.module.label.clone(),
        compiled,
    })
}

/// Numbers that can't be, and settings that are no JSON; gives the settings.
fn check_numbers(settings: &PluginSettings) -> Result<serde_json::Value, Vec<Why>> {
    if settings.deadline.is_zero() || settings.deadline > Duration::from_secs(60) {
        return Err(Why::new("deadline_ms is between 1 and 60000"));
    }
    if settings.instances_max == 0 || settings.recycle_requests == 0 {
        return Err(Why::new("instances_max and recycle_requests are at least 1"));
    }
    if settings.body_held_bytes_max < crate::body::CHUNK_BYTES_MAX {
        return Err(Why::new("body_held_bytes_max is at least 64 KiB: a chunk"));
    }
    serde_json::from_str(&settings.config_json).map_err(|error| Why::new(format!("its settings are not JSON: {error}")))
}

/// Holds the settings against the schema in the plugin's manifest, where it has one.
fn check_config(compiled: &Compiled, config: &serde_json::Value) -> Result<(), Vec<Why>> {
    let Some(json) = compiled.manifest.as_ref().and_then(|manifest| manifest.config.as_ref()) else { return Ok(()) };
    let schema =
        Schema::read(json).map_err(|what| Why::new(format!("the schema of its settings can't be used: {what}")))?;
    let wrongs = schema.check(config);
    if wrongs.is_empty() {
        return Ok(());
    }
    let why = |wrong: Wrong| Why { import: None, setting: Some(wrong.pointer), message: wrong.what, help: wrong.help };
    Err(wrongs.into_iter().map(why).collect())
}

/// The plugin's code; what was wrong with the code that was kept of it is told.
fn code(settings: &PluginSettings, around: &Surroundings) -> Result<Arc<Compiled>, Vec<Why>> {
    let got = around.engine.codes().get(&around.engine, &settings.module.bytes).map_err(|error| {
        vec![Why { help: error.help().map(str::to_owned), import: None, setting: None, message: error.to_string() }]
    })?;
    let Got { code, lines } = got;
    for (level, line) in &lines {
        around.log.write(&settings.name, *level, line, &[]);
    }
    Ok(code)
}

fn blueprint(compiled: &Compiled, hooks: Hooks, common: &Arc<Common>, waits: bool) -> wasmtime::Result<Blueprint> {
    let pre = link::link(&compiled.component)?;
    Ok(Blueprint {
        lifecycle: lifecycle::GuestIndices::new(&pre)?,
        request_head: hooks.request_head.then(|| request_head::GuestIndices::new(&pre)).transpose()?,
        response_head: hooks.response_head.then(|| response_head::GuestIndices::new(&pre)).transpose()?,
        request_body: hooks.request_body.then(|| request_body::GuestIndices::new(&pre)).transpose()?,
        request_whole: hooks.request_whole.then(|| request_whole::GuestIndices::new(&pre)).transpose()?,
        response_body: hooks.response_body.then(|| response_body::GuestIndices::new(&pre)).transpose()?,
        response_whole: hooks.response_whole.then(|| response_whole::GuestIndices::new(&pre)).transpose()?,
        completion: hooks.completion.then(|| completion::GuestIndices::new(&pre)).transpose()?,
        timer: hooks.timer.then(|| timer::GuestIndices::new(&pre)).transpose()?,
        fiber: waits.then(|| FiberIndices::new(&pre, hooks)).transpose()?,
        common: Arc::clone(common),
        pre,
    })
}

/// Makes one instance and asks it for its registration: what fails here would
/// otherwise fail at the first request.
fn try_out(blueprint: &Blueprint, around: &Surroundings) -> Result<Registration, Vec<Why>> {
    let pulse = around.engine.ticker().pulse();
    let running = pulse.as_ref().map(crate::ticker::Pulse::run);
    let seen = blueprint.common.metrics.shard();
    let started = match &blueprint.fiber {
        None => blueprint.start(TRIAL, true, &seen),
        Some(indices) => {
            let clock = FiberClock::new();
            to_its_end(blueprint.start_on_fiber(indices, TRIAL, true, &clock, None, &seen))
        }
    };
    drop(running);
    let (mut instance, told) = started.map_err(|unborn| {
        Why::new(match unborn {
            Unborn::Refused(text) => format!("its configure refused: {text}"),
            Unborn::Broken(broken) => format!("it failed at its start ({}): {}", broken.kind.as_str(), broken.text),
        })
    })?;
    instance.ends(End::Trial);
    Registration::new(told, blueprint.timer.is_some()).map_err(Why::new)
}
