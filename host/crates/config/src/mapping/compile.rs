//! The document's scopes -> scopes that answer fast.

use super::hidden::Hidden;
use super::pattern::Pattern;
use super::{Demand, Entry, Scope, Site, Target, Verbs};
use crate::web_config::{self, Access, Handlers, Module, Resource, WebConfig};
use std::sync::Arc;

/// Mappings beyond this many verb lists share one `Allow`.
const SETS_MAX: u32 = 8;

impl Site {
    /// Compiles the scopes of a document.
    #[must_use]
    pub fn compile(document: &WebConfig) -> Self {
        let mut locations: Vec<(Box<str>, Scope)> = document
            .locations
            .iter()
            .map(|location| (prefix(&location.path.value), Scope::compile(&location.scope)))
            .collect();
        locations.sort_by_key(|(path, _)| std::cmp::Reverse(path.matches('/').count()));
        Self { root: Scope::compile(&document.root), locations }
    }
}

fn prefix(path: &str) -> Box<str> {
    let segments = path.split('/').filter(|segment| !segment.is_empty() && *segment != ".");
    segments.map(|segment| format!("/{}", segment.to_lowercase())).collect::<String>().into()
}

impl Scope {
    fn compile(scope: &web_config::Scope) -> Self {
        let filtering = &scope.filtering;
        let entries = entries(&scope.handlers);
        let everything = entries.first().is_some_and(|entry| {
            entry.pattern == Pattern::Any
                && entry.verbs.is_empty()
                && entry.demand == Demand::None
                && entry.target == Target::Backend
        });
        Self {
            body_bytes_max: filtering.limits.body_bytes_max.value,
            path_bytes_max: filtering.limits.path_bytes_max.value,
            query_bytes_max: filtering.limits.query_bytes_max.value,
            remove_server_header: filtering.remove_server_header.value,
            allow_double_escaping: filtering.allow_double_escaping.value,
            hidden: Hidden::new(filtering.hidden_segments.iter().map(|hidden| hidden.segment.as_str())),
            verbs: Verbs {
                deny_unlisted: !filtering.verbs_allow_unlisted.value,
                rules: filtering.verbs.iter().map(|rule| (rule.verb.as_str().into(), rule.allowed)).collect(),
            },
            everything,
            allow: allow(&entries),
            entries,
        }
    }
}

fn entries(handlers: &Handlers) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut sets = 0;
    for handler in handlers.list.iter().filter(|handler| handler.active) {
        let target = match handler.module {
            Module::Backend => Target::Backend,
            Module::Static => Target::Static,
            Module::Foreign(_) => Target::Foreign,
            // We answer TRACE ourselves, and OPTIONS like any method that nobody wants.
            Module::Protocol => continue,
        };
        let target = if handlers.grants(handler.access) { target } else { Target::Denied(denied(handler.access)) };
        let serves = !handler.verbs.is_empty() && target != Target::Foreign;
        let bit = if serves {
            sets = (sets + 1).min(SETS_MAX);
            1 << (sets - 1)
        } else {
            0
        };
        entries.push(Entry {
            pattern: Pattern::new(&handler.path, handler.allow_path_info),
            verbs: handler.verbs.iter().map(|verb| verb.as_str().into()).collect(),
            demand: match handler.resource {
                Resource::Unspecified => Demand::None,
                Resource::File => Demand::File,
                Resource::Directory => Demand::Directory,
                Resource::Either => Demand::Either,
            },
            target,
            bit,
        });
    }
    entries
}

/// IIS's sub-status of 403.
fn denied(access: Access) -> u16 {
    match access {
        Access::Read => 2,
        Access::Write => 3,
        Access::None | Access::Script | Access::Execute => 1,
    }
}

/// The `Allow` field of every set of entries that a path may match.
fn allow(entries: &[Entry]) -> Vec<(u64, Arc<str>)> {
    let bits = entries.iter().fold(0, |bits, entry| bits | entry.bit);
    (1..=bits)
        .filter(|key| key & bits == *key)
        .map(|key| {
            let mut verbs: Vec<&str> = Vec::new();
            for verb in entries.iter().filter(|entry| entry.bit & key != 0).flat_map(|entry| &entry.verbs) {
                if !verbs.contains(&&**verb) {
                    verbs.push(verb);
                }
            }
            (key, verbs.join(", ").into())
        })
        .collect()
}
