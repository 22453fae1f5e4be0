//! From `[[plugin]]` entries and `--plugin` flags to a loaded chain.

use crate::lasting::Lasting;
use crate::load::{Loaded, flag};
use config::plugins_toml::{self, FaultPolicy, Isolation, Module, Plugin};
use config::{Position, Problem, Severity, modules};
use plugin::{
    Chain, Declared, DiskSettings, GrantedNames, Grants, KeySets, LimiterSettings, LogSink, MODULE_BYTES_MAX, Manifest,
    MatchSettings, ModuleSource, OnFault, PlaneSettings, PluginSettings, SECRET_BYTES_MAX, Secrets, StoreSettings,
    Stores, Surroundings, UpstreamSettings, WhenFull,
};
use std::collections::BTreeMap;
use std::io::Read as _;
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
    File { at: Position, grants: Option<Position>, settings: BTreeMap<String, Position> },
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
    lasting: &Lasting,
) -> Result<Arc<Chain>, Vec<Problem>> {
    let mut problems = Vec::new();
    let document = &loaded.document.plugins_toml;
    let file = document.path.clone().unwrap_or_default();
    let key_sets = key_sets(loaded, &file, &mut problems);
    let declared = declared(loaded, &file, &lasting.stores, &mut problems);
    let mut entries = Vec::new();
    for plugin in &document.plugins {
        match from_file(plugin, &loaded.folder) {
            Ok(settings) => {
                let (grants, places) = (plugin.grants.at, plugin.config_places.clone());
                let place = Place::File { at: plugin.module.at, grants, settings: places };
                entries.push(Entry { settings, place });
            }
            Err(what) => {
                let what = format!("plugin \"{}\": {what}", plugin.name.value);
                problems.push(at(&file, plugin.module.at, what, None));
            }
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
    let engine = match lasting.engine(&document.host.plugins) {
        Ok(engine) => engine,
        Err(what) => {
            problems.push(flag("plugins", what, "plugins can't run on this machine"));
            return Err(problems);
        }
    };
    let (key_sets, metrics) = (Arc::new(key_sets), Arc::clone(&lasting.metrics));
    let around = Surroundings { engine, key_sets, log, metrics, declared, path_rules };
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
        Some(Place::File { at: module, grants, settings }) => {
            let grants = error.import.as_ref().and(*grants);
            let setting = error.setting.as_deref().and_then(|pointer| setting(settings, pointer));
            let place = grants.or(setting).unwrap_or(*module);
            at(file, place, error.to_string(), help)
        }
        None => at(file, Position { line: 0, column: 0 }, error.to_string(), help),
    }
}

/// Where a setting is written, or the nearest table that holds it and has a place.
fn setting(places: &BTreeMap<String, Position>, pointer: &str) -> Option<Position> {
    let mut above = std::iter::successors(Some(pointer), |pointer| Some(pointer.rsplit_once('/')?.0));
    above.find_map(|pointer| places.get(pointer).copied())
}

pub(crate) fn at(file: &str, at: Position, what: String, help: Option<String>) -> Problem {
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

/// What plugins are granted by name.
fn declared(loaded: &Loaded, file: &str, stores: &Arc<Stores>, problems: &mut Vec<Problem>) -> Declared {
    let document = &loaded.document.plugins_toml;
    let declared = document.stores.iter().map(|(name, store)| {
        let when_full = match store.when_full.value {
            plugins_toml::WhenFull::Evict => WhenFull::Evict,
            plugins_toml::WhenFull::Refuse => WhenFull::Refuse,
        };
        (name.clone(), StoreSettings { bytes_max: store.bytes_max.value, when_full })
    });
    let disks = document.stores.iter().filter_map(|(name, store)| {
        let path = modules::resolve(&loaded.folder, &store.path.as_ref()?.value);
        let path = std::path::absolute(&path).unwrap_or(path);
        let flush = Duration::from_millis(store.flush_ms.value.into());
        Some((name.clone(), DiskSettings { path, flush }))
    });
    let limiters = document.limiters.iter().map(|(name, limiter)| {
        let (rate, per_ms) = (limiter.rate.value, limiter.per_ms.value);
        let (burst, keys_max) = (limiter.burst.value, limiter.keys_max.value);
        (name.clone(), LimiterSettings { rate, per_ms, burst, keys_max })
    });
    Declared {
        registry: Arc::clone(stores),
        stores: declared.collect(),
        disks: disks.collect(),
        limiters: limiters.collect(),
        secrets: secrets(loaded, file, problems),
        upstreams: upstreams(loaded, file, problems),
        resolver: None,
    }
}

/// Where plugins may call.
fn upstreams(loaded: &Loaded, file: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, UpstreamSettings> {
    let mut upstreams = BTreeMap::new();
    for (name, upstream) in &loaded.document.plugins_toml.upstreams {
        let ca = match &upstream.ca {
            None => None,
            Some(path) => match std::fs::read(modules::resolve(&loaded.folder, &path.value)) {
                Ok(pem) => Some(Arc::from(pem)),
                Err(error) => {
                    let what = format!("upstream `{name}`: {} can't be read: {error}", path.value);
                    problems.push(at(file, path.at, what, None));
                    continue;
                }
            },
        };
        match UpstreamSettings::new(&upstream.url.value) {
            Ok(settings) => {
                let settings = UpstreamSettings {
                    private: upstream.private.value,
                    ca,
                    connect_ms_max: upstream.connect_ms_max.value,
                    total_ms_max: upstream.total_ms_max.value,
                    request_bytes_max: upstream.request_bytes_max.value,
                    response_bytes_max: upstream.response_bytes_max.value,
                    calls_max: u32::try_from(upstream.calls_max.value).unwrap_or(u32::MAX),
                    ..settings
                };
                upstreams.insert(name.clone(), settings);
            }
            Err(what) => problems.push(at(file, upstream.url.at, format!("upstream `{name}`: {what}"), None)),
        }
    }
    upstreams
}

/// Reads the secrets anew. No message holds a part of one.
fn secrets(loaded: &Loaded, file: &str, problems: &mut Vec<Problem>) -> Secrets {
    let mut secrets = Secrets::new();
    for (name, secret) in &loaded.document.plugins_toml.secrets {
        let (place, read) = read_secret(loaded, secret);
        if let Err(what) = read.and_then(|bytes| secrets.insert(name, bytes)) {
            problems.push(at(file, place.at, format!("secret `{name}` ({}): {what}", place.value), None));
        }
    }
    secrets
}

/// Where a secret comes from, and its bytes or what was wrong with that.
pub(crate) fn read_secret<'a>(
    loaded: &Loaded,
    secret: &'a plugins_toml::Secret,
) -> (&'a config::Spanned<String>, Result<Vec<u8>, String>) {
    match secret {
        plugins_toml::Secret::Env(variable) => {
            let value = std::env::var_os(&variable.value).map(std::ffi::OsString::into_encoded_bytes);
            (variable, value.ok_or_else(|| format!("the host's environment has no variable {}", variable.value)))
        }
        plugins_toml::Secret::File(path) => (path, secret_file(&modules::resolve(&loaded.folder, &path.value))),
    }
}

/// A secret's file, as much of it as tells whether it is too long.
fn secret_file(path: &Path) -> Result<Vec<u8>, String> {
    // Room for all of it at once: a copy left behind by growing would not be wiped.
    let mut bytes = Vec::with_capacity(SECRET_BYTES_MAX + 4);
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    // A line break at its end does not count.
    let most = SECRET_BYTES_MAX as u64 + 3;
    file.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
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
        body_held_bytes_max: usize::try_from(plugin.body_held_bytes_max.value).unwrap_or(usize::MAX),
        deadline: Duration::from_millis(plugin.deadline_ms.value),
        preemptible: plugin.preemptible.value,
        wall_max: Duration::from_millis(plugin.wall_ms_max.value),
        instances_max: u32::try_from(plugin.instances_max.value).unwrap_or(u32::MAX),
        recycle_requests: plugin.recycle_requests.value,
        config_json: plugin.config.to_string(),
        grants: Grants {
            log: plugin.grants.log.value,
            metrics: plugin.grants.metrics.value,
            identity: plugin.grants.identity.value,
            written: plugin.grants.at.is_some(),
        },
        names: GrantedNames {
            state: values(&plugin.grants.state),
            limits: values(&plugin.grants.limits),
            keys: values(&plugin.grants.keys),
            secrets: values(&plugin.grants.secrets),
            http: values(&plugin.grants.http),
        },
        ..PluginSettings::new(plugin.name.value.clone(), module)
    })
}

fn matches(matches: &plugins_toml::Match) -> MatchSettings {
    MatchSettings {
        paths: values(&matches.path),
        methods: values(&matches.method),
        hosts: values(&matches.host),
        headers: matches.header.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
    }
}

fn values(list: &[config::Spanned<String>]) -> Vec<String> {
    list.iter().map(|item| item.value.clone()).collect()
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
