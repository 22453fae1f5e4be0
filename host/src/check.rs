//! `check` and `version`: what is printed and nothing started.

use crate::cli::{CheckArgs, Output};
use crate::exit::Exit;
use crate::lasting::Lasting;
use crate::load::{Loaded, load};
use crate::settle::{self, Overrides};
use crate::{identity, plugins};
use config::effective::Effective;
use config::{Problem, Problems, Severity};
use plugin::{Level, LogSink};
use std::io::Write;
use std::sync::Arc;

/// What plugins say while they are tried; the result is printed anyway.
struct Silent;

impl LogSink for Silent {
    fn enabled(&self, _: &str, _: Level) -> bool {
        false
    }
    fn write(&self, _: &str, _: Level, _: &str, _: &[(String, String)]) {}
}

/// Reads everything, loads every plugin, asks the system for the app's identity, prints the effective configuration to
/// standard output and every problem to standard error.
pub(crate) fn check(args: &CheckArgs) -> Exit {
    let (loaded, problems) = examine(args);
    let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    let printed = match args.format {
        Output::Text => print_text(loaded.as_ref(), problems, refused),
        Output::Json => print_json(loaded.as_ref(), &problems, refused),
    };
    match (refused, printed) {
        (true, _) => Exit::Refused,
        (false, Err(_)) => Exit::Failed,
        (false, Ok(())) => Exit::Clean,
    }
}

fn examine(args: &CheckArgs) -> (Option<Loaded>, Vec<Problem>) {
    match load(&args.site) {
        Err(problems) => (None, problems.into_vec()),
        Ok(loaded) => {
            let mut problems = loaded.document.warnings.clone().into_vec();
            let asked = settle::settle(&loaded, Overrides::default()).process.identity;
            problems.extend(identity::ungranted(&loaded, &asked));
            let rules = settle::path_rules(&loaded);
            if let Err(found) =
                plugins::load(&loaded, &args.site.plugin, rules, Arc::new(Silent), &Lasting::for_a_look())
            {
                problems.extend(found);
            }
            (Some(loaded), problems)
        }
    }
}

fn print_text(loaded: Option<&Loaded>, problems: Vec<Problem>, refused: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(loaded) = loaded {
        write!(out, "{}", Effective::new(&loaded.document))?;
    }
    out.flush()?;
    let (errors, warnings) = count(&problems);
    let mut err = std::io::stderr().lock();
    write!(err, "{}", Problems::new(problems))?;
    let verdict = if refused { "refused" } else { "good to run" };
    writeln!(err, "{verdict}: {errors} errors, {warnings} warnings")
}

fn print_json(loaded: Option<&Loaded>, problems: &[Problem], refused: bool) -> std::io::Result<()> {
    let report = serde_json::json!({
        "good": !refused,
        "problems": problems,
        "effective": loaded.map(|loaded| Effective::new(&loaded.document).json()),
    });
    writeln!(std::io::stdout().lock(), "{report:#}")
}

fn count(problems: &[Problem]) -> (usize, usize) {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    (errors, problems.len() - errors)
}

/// Prints the version.
pub(crate) fn version(format: Output) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let text = match format {
        Output::Text => format!("gatelodge {version}\n"),
        Output::Json => {
            let contract = plugin::CONTRACT;
            format!("{}\n", serde_json::json!({ "name": "gatelodge", "version": version, "plugin_contract": contract }))
        }
    };
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Exit::Clean,
        Err(_) => Exit::Failed,
    }
}
