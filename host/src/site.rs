//! The handler mapping of web.config as the pipeline asks it.

use config::mapping::{Ask, Decision, FileKind, Site as Mapping};
use pipeline::{Route, Site};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use wire::{Kind, NotFound, RequestHead};

/// A site's mappings with the folder that `resourceType` looks at.
#[derive(Clone)]
pub(crate) struct MappedSite {
    mapping: Arc<Mapping>,
    root: Arc<Path>,
}

impl MappedSite {
    /// Mappings over the app's folder.
    #[must_use]
    pub(crate) fn new(mapping: Arc<Mapping>, root: &Path) -> Self {
        Self { mapping, root: root.into() }
    }

    /// Lives as long as any copy of these mappings.
    #[must_use]
    pub(crate) fn life(&self) -> Weak<Mapping> {
        Arc::downgrade(&self.mapping)
    }
}

impl Site for MappedSite {
    fn decide(&self, head: &RequestHead, path: &str) -> Result<Route, Kind> {
        let ask = Ask {
            method: head.method.as_str(),
            path,
            raw_path: head.target.path(),
            raw_query: head.target.query().unwrap_or(""),
        };
        let scope = self.mapping.scope(path);
        match scope.decide(ask, |path| on_disk(&self.root, path)) {
            Decision::Backend => {
                Ok(Route { body_bytes_max: scope.body_bytes_max, remove_server_header: scope.remove_server_header })
            }
            Decision::NoHandler => Err(Kind::NotFound(NotFound::NoHandler)),
            Decision::ForeignModule => Err(Kind::NotFound(NotFound::ForeignModule)),
            Decision::Static => Err(Kind::NotFound(NotFound::NoFile)),
            Decision::MethodNotAllowed(allow) => Err(Kind::MethodNotAllowed(allow.to_string().into())),
            Decision::AccessDenied(sub) => Err(Kind::AccessDenied(sub)),
            Decision::VerbDenied => Err(Kind::NotFound(NotFound::VerbDenied)),
            Decision::HiddenSegment => Err(Kind::NotFound(NotFound::HiddenSegment)),
            Decision::DoubleEscape => Err(Kind::NotFound(NotFound::DoubleEscape)),
            Decision::PathTooLong(_) => Err(Kind::NotFound(NotFound::PathTooLong)),
            Decision::QueryTooLong(_) => Err(Kind::NotFound(NotFound::QueryTooLong)),
        }
    }
}

/// What lies at a canonical path below the app's folder. A segment that could
/// lead out of it (`..`, a separator of another system, a drive) is nothing.
fn on_disk(root: &Path, path: &str) -> Option<FileKind> {
    let mut at = PathBuf::from(root);
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        if segment == ".." || segment.contains(['\\', ':', '\0']) {
            return None;
        }
        at.push(segment);
    }
    let metadata = std::fs::metadata(at).ok()?;
    Some(if metadata.is_dir() { FileKind::Directory } else { FileKind::File })
}

#[cfg(test)]
mod tests {
    use super::on_disk;
    use config::mapping::FileKind;

    #[test]
    fn only_what_lies_below_the_folder_is_found() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, found) in [
            ("/Cargo.toml", Some(FileKind::File)),
            ("/src", Some(FileKind::Directory)),
            ("/src//main.rs", Some(FileKind::File)),
            ("/", Some(FileKind::Directory)),
            ("/absent", None),
            ("/../Cargo.toml", None),
            ("/src/..\\Cargo.toml", None),
            ("/c:/x", None),
        ] {
            assert_eq!(on_disk(root, path), found, "{path}");
        }
    }
}
