//! A temporary site: the app's folder, and a folder to talk with its backend.

use crate::probe::{self, Probe};
use crate::web::Web;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A site that goes with its test.
pub struct Site {
    root: TempDir,
    probe: Probe,
}

impl Site {
    /// A site without any file.
    #[must_use]
    pub fn empty() -> Self {
        let root = tempfile::Builder::new().prefix("gatelodge-e2e-").tempdir().expect("a temporary folder can be made");
        for folder in ["app", "probe"] {
            std::fs::create_dir(root.path().join(folder)).expect("the temporary folder is ours");
        }
        let probe = Probe::new(&root.path().join("probe"));
        Self { root, probe }
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

    /// The app's folder.
    #[must_use]
    pub fn app(&self) -> PathBuf {
        self.root.path().join("app")
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
