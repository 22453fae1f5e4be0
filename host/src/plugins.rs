//! From `[[plugin]]` entries and `--plugin` flags to a loaded chain.

use crate::load::{Loaded, flag};
use crate::settle;
use config::plugins_toml::{self, FaultPolicy, Isolation, Module, Plugin};
use config::{Position, Problem, Severity, modules};
use plugin::{
    Chain, EngineSettings, Grants, KeySets, LogSink, MODULE_BYTES_MAX, Manifest, MatchSettings, Metrics, ModuleSource,
    OnFault, PlaneSettings, PluginEngine, PluginSettings, Surroundings,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wire::target::PathRules;

/// A plugin with the place that answers for it.
struct Entry {
    settings: PluginSettings,
    place: Place,
}

/// Where a plugin was asked for.
enum Place {
    /// `[[plugin]]` in the file.
    File { at: Position, grants: Option<Position> },
    /// `--plugin`.
    Flag(String),
}

/// Reads all modules and key sets, compiles, links and tries every plugin.
///
/// # Errors
/// Every problem of every plugin.
pub(crate) fn load(
    loaded: &Loaded,
    flags: &[String],
    path_rules: PathRules,
    log: Arc<dyn LogSink>,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Chain>, Vec<Problem>> {
    let mut problems = Vec::new();
    let document = &loaded.document.plugins_toml;
    let file = document.path.clone().unwrap_or_default();
    let key_sets = key_sets(loaded, &file, &mut problems);
    let mut entries = Vec::new();
    for plugin in &document.plugins {
        match from_file(plugin, &loaded.folder) {
            Ok(settings) => {
                let place = Place::File { at: plugin.module.at, grants: plugin.grants.at };
                entries.push(Entry { settings, place });
            }
            Err(what) => problems.push(at(&file, plugin.module.at, what, None)),
        }
    }
    for path in flags {
        match from_flag(path, &entries) {
            Ok(settings) => entries.push(Entry { settings, place: Place::Flag(path.clone()) }),
            Err(what) => {
                problems.push(flag(&format!("--plugin {path}"), what, "write builtin:NAME or a component's path"))
            }
        }
    }
    let settings = EngineSettings { compiler: Some(settle::own_executable()), ..EngineSettings::default() };
    let engine = match PluginEngine::new(&settings) {
        Ok(engine) => Arc::new(engine),
        Err(what) => {
            problems.push(flag("plugins", what, "plugins can't run on this machine"));
            return Err(problems);
        }
    };
    let around = Surroundings { engine, key_sets: Arc::new(key_sets), log, metrics: Arc::clone(metrics), path_rules };
    let settings = PlaneSettings { plugins: entries.iter().map(|entry| entry.settings.clone()).collect() };
    match Chain::load(&settings, &around) {
        Ok(chain) if problems.is_empty() => Ok(Arc::new(chain)),
        Ok(_) => Err(problems),
        Err(errors) => {
            problems.extend(errors.iter().map(|error| placed(error, entries.get(error.index), &file)));
            Err(problems)
        }
    }
}

/// A load error with its place in the file, or the flag that it came from.
fn placed(error: &plugin::LoadError, entry: Option<&Entry>, file: &str) -> Problem {
    let help = error.help.clone();
    match entry.map(|entry| &entry.place) {
        Some(Place::Flag(path)) => {
            let mut problem = flag(&format!("--plugin {path}"), error.to_string(), "");
            problem.help = help;
            problem
        }
        Some(Place::File { at: module, grants }) => {
            let place = if error.import.is_some() { grants.unwrap_or(*module) } else { *module };
            at(file, place, error.to_string(), help)
        }
        None => at(file, Position { line: 0, column: 0 }, error.to_string(), help),
    }
}

fn at(file: &str, at: Position, what: String, help: Option<String>) -> Problem {
    Problem { severity: Severity::Error, file: file.to_owned(), line: at.line, column: at.column, what, help }
}

fn key_sets(loaded: &Loaded, file: &str, problems: &mut Vec<Problem>) -> KeySets {
    let mut sets = KeySets::new();
    for (name, set) in &loaded.document.plugins_toml.key_sets {
        let path = modules::resolve(&loaded.folder, &set.file.value);
        let inserted =
            std::fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| sets.insert(name, &bytes));
        if let Err(what) = inserted {
            let what = format!("key set `{name}` ({}): {what}", set.file.value);
            problems.push(at(file, set.file.at, what, Some("a JSON Web Key Set (RFC 7517 §5) is expected".into())));
        }
    }
    sets
}

fn from_file(plugin: &Plugin, folder: &Path) -> Result<PluginSettings, String> {
    let module = match &plugin.module.value {
        Module::Builtin(name) => builtin(name)?,
        Module::File(path) => component(&modules::resolve(folder, path), path)?,
    };
    if let Some(wanted) = &plugin.sha256 {
        let found = plugin::sha256_hex(&module.bytes);
        if found != wanted.value {
            return Err(format!("the file's SHA-256 is {found}, not the pinned {}", wanted.value));
        }
    }
    let policy = |policy: FaultPolicy| match policy {
        FaultPolicy::Refuse => plugin::FaultPolicy::Refuse,
        FaultPolicy::Skip => plugin::FaultPolicy::Skip,
    };
    let on_fault = &plugin.on_fault;
    Ok(PluginSettings {
        matches: matches(&plugin.matches),
        on_fault: OnFault {
            trap: policy(on_fault.trap),
            deadline: policy(on_fault.deadline),
            memory: policy(on_fault.memory),
            bad_output: policy(on_fault.bad_output),
            configure: policy(on_fault.configure),
        },
        isolation: match plugin.isolation.value {
            Isolation::Instance => plugin::Isolation::Instance,
            Isolation::Request => plugin::Isolation::Request,
        },
        memory_bytes_max: usize::try_from(plugin.memory_bytes_max.value).unwrap_or(usize::MAX),
        deadline: Duration::from_millis(plugin.deadline_ms.value),
        instances_max: u32::try_from(plugin.instances_max.value).unwrap_or(u32::MAX),
        recycle_requests: plugin.recycle_requests.value,
        config_json: plugin.config.to_string(),
        grants: Grants {
            log: plugin.grants.log.value,
            metrics: plugin.grants.metrics.value,
            identity: plugin.grants.identity.value,
            written: plugin.grants.at.is_some(),
        },
        ..PluginSettings::new(plugin.name.value.clone(), module)
    })
}

fn matches(matches: &plugins_toml::Match) -> MatchSettings {
    let values = |list: &[config::Spanned<String>]| list.iter().map(|item| item.value.clone()).collect();
    MatchSettings {
        paths: values(&matches.path),
        methods: values(&matches.method),
        hosts: values(&matches.host),
        headers: matches.header.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
    }
}

/// A plugin that was named on the command line: a builtin is granted what its
/// manifest asks for, a file gets log and metrics.
fn from_flag(path: &str, before: &[Entry]) -> Result<PluginSettings, String> {
    let (module, stem, grants) = match path.strip_prefix("builtin:") {
        Some(name) => {
            let module = builtin(name)?;
            let manifest = Manifest::read(&module.bytes).map_err(|error| error.to_string())?.unwrap_or_default();
            (module, name.to_owned(), Grants::asked_by(&manifest))
        }
        None => {
            let stem =
                Path::new(path).file_stem().map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned());
            let grants = Grants { log: true, metrics: true, identity: false, written: false };
            (component(Path::new(path), path)?, stem, grants)
        }
    };
    let taken = |name: &str| before.iter().any(|entry| entry.settings.name == name);
    let mut name = stem.clone();
    let mut count = 1;
    while taken(&name) {
        count += 1;
        name = format!("{stem}-{count}");
    }
    Ok(PluginSettings { grants, ..PluginSettings::new(name, module) })
}

/// An embedded plugin.
///
/// # Errors
/// There is none of that name; the text names those that there are.
pub(crate) fn builtin(name: &str) -> Result<ModuleSource, String> {
    let bytes = gatelodge_builtin::find(name).ok_or_else(|| {
        format!("there is no builtin plugin `{name}`; there are {}", gatelodge_builtin::NAMES.join(", "))
    })?;
    Ok(ModuleSource { label: format!("builtin:{name}"), bytes: bytes.into() })
}

fn component(path: &Path, label: &str) -> Result<ModuleSource, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("can't be read: {error}"))?.len();
    if length > MODULE_BYTES_MAX as u64 {
        return Err(format!("the file has {length} bytes; a plugin has at most {MODULE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    Ok(ModuleSource { label: label.to_owned(), bytes: bytes.into() })
}
