//! From files and flags to everything that a generation needs; nothing is started.

use crate::cli::{Output, RunArgs};
use crate::lasting::{Kept, Lasting};
use crate::load::{Loaded, load};
use crate::settle::{self, Overrides, Settled, settle};
use crate::site::MappedSite;
use crate::{identity, plugins, tell, trace_key};
use config::{Position, Problem, Problems, Severity, mapping};
use observe::event::Line;
use observe::{Format, Level, Log};
use plugin::{Chain, LogSink};
use std::sync::Arc;
use wire::TraceKey;

/// Both files, understood, and what follows from them for each room but `plugin`.
pub(crate) struct Found {
    /// The files.
    pub(crate) loaded: Loaded,
    /// The rooms' settings.
    pub(crate) settled: Settled,
}

/// What was compiled and made of it.
pub(crate) struct Built {
    /// The plugins.
    pub(crate) chain: Arc<Chain>,
    /// Handler mapping.
    pub(crate) site: MappedSite,
    /// `[host] trace_key`.
    pub(crate) trace_key: Option<TraceKey>,
}

/// Reads the files, and asks the system whether it grants the application's identity and limits.
///
/// # Errors
/// Every problem of both files and of the flags; what the system would not grant.
pub(crate) fn find(args: &RunArgs) -> Result<Found, Problems> {
    let loaded = load(&args.site)?;
    let overrides = Overrides {
        workers: args.site.workers,
        log_format: args.log_format.map(|format| match format {
            Output::Text => Format::Text,
            Output::Json => Format::Json,
        }),
        verbose: args.verbose,
        no_watch: args.no_watch,
    };
    let settled = settle(&loaded, overrides);
    let ungranted = identity::ungranted(&loaded, &settled.process.identity);
    if !ungranted.is_empty() {
        let warnings = loaded.document.warnings.clone().into_vec();
        return Err(Problems::new(warnings.into_iter().chain(ungranted).collect()));
    }
    Ok(Found { loaded, settled })
}

/// Compiles, links and tries the plugins, and compiles the mappings. Takes a
/// fraction of a second per plugin: not for a worker's thread.
///
/// # Errors
/// Every problem of every plugin, with the warnings about the files.
pub(crate) fn build(found: &Found, args: &RunArgs, log: &Log, lasting: &Lasting) -> Result<Built, Problems> {
    let loaded = &found.loaded;
    open_cache(found, args, log, lasting)?;
    let sink: Arc<dyn LogSink> = Arc::new(tell::PluginLines(log.clone()));
    let rules = settle::path_rules(loaded);
    let chain = plugins::load(loaded, &args.site.plugin, rules, sink, lasting);
    let (chain, trace_key) = match (chain, trace_key::read(loaded)) {
        (Ok(chain), Ok(trace_key)) => (chain, trace_key),
        (chain, trace_key) => {
            let mut problems = loaded.document.warnings.clone().into_vec();
            problems.extend(trace_key.err());
            problems.extend(chain.err().unwrap_or_default());
            return Err(Problems::new(problems));
        }
    };
    let mapping = Arc::new(mapping::Site::compile(&loaded.document.web_config));
    Ok(Built { chain, site: MappedSite::new(mapping, &loaded.root), trace_key })
}

/// Opens the cache of compiled code before the first plugin is compiled, and tells once where it is.
///
/// # Errors
/// The folder that the file names can't be used.
fn open_cache(found: &Found, args: &RunArgs, log: &Log, lasting: &Lasting) -> Result<(), Problems> {
    let document = &found.loaded.document.plugins_toml;
    if document.plugins.is_empty() && args.site.plugin.is_empty() {
        return Ok(());
    }
    let shared = &document.host.plugins;
    let (level, message) = match lasting.open_cache(shared) {
        Ok(None | Some(Kept::Unopened)) => return Ok(()),
        Ok(Some(Kept::In(path))) => (Level::Info, format!("compiled plugins are kept in {path}")),
        Ok(Some(Kept::Nowhere(why))) => (Level::Info, format!("compiled plugins are not kept: {why}")),
        Err(what) => {
            let at = shared.cache.at.unwrap_or(Position { line: 0, column: 0 });
            let file = document.path.clone().unwrap_or_default();
            let help = Some("name a folder that belongs to the host's user alone, or write cache = \"off\"".to_owned());
            let Position { line, column } = at;
            return Err(Problems::new(vec![Problem { severity: Severity::Error, file, line, column, what, help }]));
        }
    };
    log.tell(&Line { level, name: "plugin-cache", message, fields: Vec::new() });
    Ok(())
}

/// Tells the warnings about the files.
pub(crate) fn warn(log: &Log, warnings: &Problems) {
    for problem in warnings.as_slice() {
        log.tell(&Line {
            level: Level::Warn,
            name: "configuration",
            message: format!("{}: {}", problem.place(), problem.what),
            fields: problem.help.iter().map(|help| ("help".to_owned(), help.clone())).collect(),
        });
    }
}
