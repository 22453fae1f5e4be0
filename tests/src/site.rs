//! A temporary site: the app's folder, and a folder to talk with its backend.

use crate::probe::{self, Probe};
use crate::web::Web;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A site that goes with its test.
pub struct Site {
    root: Arc<TempDir>,
    app: PathBuf,
    probe: Probe,
}

impl Site {
    /// A site without any file.
    #[must_use]
    pub fn empty() -> Self {
        let root = tempfile::Builder::new().prefix("gatelodge-e2e-").tempdir().expect("a temporary folder can be made");
        Self::below(Arc::new(root), "app")
    }

    /// A site without any file in a folder beside this one's.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self::below(Arc::clone(&self.root), name)
    }

    fn below(root: Arc<TempDir>, name: &str) -> Self {
        let (app, probe) = (root.path().join(name), root.path().join(format!("{name}-probe")));
        for folder in [&app, &probe] {
            std::fs::create_dir(folder).expect("the temporary folder is ours");
        }
        Self { root, app, probe: Probe::new(&probe) }
    }

    /// A site with this web.config; its program is told the probe's folder.
    #[must_use]
    pub fn new(web: Web) -> Self {
        let site = Self::empty();
        site.web(web);
        site
    }

    /// Writes web.config anew.
    pub fn web(&self, web: Web) {
        let folder = self.probe.folder().to_str().expect("temporary folders have plain names");
        self.file("web.config", web.env(probe::FOLDER, folder).text());
    }

    /// Writes plugins.toml.
    pub fn plugins(&self, text: &str) {
        self.file("plugins.toml", text);
    }

    /// Writes a file below the app's folder.
    pub fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.app().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the site is ours");
        std::fs::write(&path, bytes).expect("the site is ours");
        path
    }

    /// Writes a file as a careful deploy does: beside, then renamed over.
    pub fn swap(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let draft = self.root.path().join(".draft");
        std::fs::write(&draft, bytes).expect("the site is ours");
        std::fs::rename(draft, self.app().join(path)).expect("the site is ours");
    }

    /// Writes a file's own bytes anew: what `touch` and a needless save do.
    pub fn touch(&self, path: &str) {
        let path = self.app().join(path);
        let bytes = std::fs::read(&path).expect("the file is there");
        std::fs::write(&path, bytes).expect("the site is ours");
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.app().join(path)).expect("the file is there");
    }

    /// The app's folder.
    #[must_use]
    pub fn app(&self) -> PathBuf {
        self.app.clone()
    }

    /// The folder shared with the backend.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Every file below the app's folder with its bytes: logs among them.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.app(), &mut found);
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
}
