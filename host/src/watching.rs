//! Changed files, as orders: app_offline.htm takes the app off, others ask for a reload.

use crate::cli::RunArgs;
use crate::load::{self, Loaded};
use crate::prepare::Found;
use crate::reload::{Ask, Cause};
use ::watch::{Change, Globs, News, Settings, Trouble, Watched, Watcher, What, find_any_case, read_bounded};
use bytes::Bytes;
use config::modules;
use config::plugins_toml::Module;
use observe::event::Line;
use observe::{Level, Log};
use process::Control;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The file that takes the app off, in any case.
const OFFLINE_FILE: &str = "app_offline.htm";
/// Longest page of it that is served, bytes.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const OFFLINE: &str = "app-offline";
const WEB_CONFIG: &str = "web-config";
const PLUGINS: &str = "plugins";
const WATCHED: &str = "watched";

/// What is watched for one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    /// The app's folder as it was named: a link that is turned to another release counts as a change.
    app_dir: PathBuf,
    settle: Duration,
    globs: Vec<String>,
    /// plugins.toml and the files that it names.
    files: Vec<PathBuf>,
    /// False: only app_offline.htm is looked for.
    live: bool,
}

impl Targets {
    /// What is watched while the files are read for the first time, so that no
    /// change slips in between.
    fn before(args: &RunArgs) -> Self {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self {
            app_dir: absolute(&args.site.app_dir),
            settle: Duration::from_millis(500),
            globs: Vec::new(),
            files: vec![absolute(&load::toml_path(&args.site))],
            live: !args.no_watch,
        }
    }

    /// What this configuration wants watched.
    pub(crate) fn of(found: &Found) -> Self {
        let loaded = &found.loaded;
        let host = &loaded.document.plugins_toml.host;
        let mut globs: Vec<String> = host.backend.watch.iter().map(|glob| glob.value.clone()).collect();
        globs.extend(
            loaded.document.web_config.backend.recycle_files.iter().filter_map(|file| below(loaded, &file.value)),
        );
        Self {
            app_dir: loaded.app_dir.clone(),
            settle: Duration::from_millis(host.backend.watch_settle_ms.value),
            globs,
            files: files(loaded),
            live: found.settled.watch,
        }
    }

    /// For the watcher; and patterns that can't be watched, a sentence each.
    fn settings(&self) -> (Settings, Vec<String>) {
        let mut faults = Vec::new();
        let named = |name, folder: &Path, names: Vec<OsString>, any_case, settle| Watched {
            name,
            folder: folder.to_owned(),
            what: What::Names { names, any_case },
            settle,
        };
        let mut topics = vec![named(OFFLINE, &self.app_dir, vec![OFFLINE_FILE.into()], true, Duration::ZERO)];
        if self.live {
            topics.push(named(WEB_CONFIG, &self.app_dir, vec!["web.config".into()], true, self.settle));
            let mut folders: BTreeMap<&Path, Vec<OsString>> = BTreeMap::new();
            for file in &self.files {
                if let (Some(folder), Some(name)) = (file.parent(), file.file_name()) {
                    folders.entry(folder).or_default().push(name.to_owned());
                }
            }
            topics.extend(folders.into_iter().map(|(folder, names)| named(PLUGINS, folder, names, false, self.settle)));
            match Globs::new(&self.globs, &[]) {
                Ok(globs) if !self.globs.is_empty() => topics.push(Watched {
                    name: WATCHED,
                    folder: self.app_dir.clone(),
                    what: What::Globs(globs),
                    settle: self.settle,
                }),
                Ok(_) => {}
                Err(fault) => faults.push(format!("{}: {}", fault.glob, fault.reason)),
            }
        }
        (Settings { topics, ..Settings::default() }, faults)
    }
}

/// A file of `recycleOnFileChange` as a pattern below the app's folder.
fn below(loaded: &Loaded, path: &str) -> Option<String> {
    let path = PathBuf::from(path.replace('\\', "/"));
    let path = if path.is_absolute() { path.strip_prefix(&loaded.root).ok()?.to_owned() } else { path };
    let tidy: PathBuf = path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    Some(globset_escape(&tidy.to_string_lossy()))
}

/// The characters of a file's name that a pattern would understand.
fn globset_escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for letter in name.chars() {
        if "*?[]{}".contains(letter) {
            escaped.extend(['[', letter, ']']);
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// plugins.toml with the modules and key sets that it names, and those of `--plugin`.
fn files(loaded: &Loaded) -> Vec<PathBuf> {
    let document = &loaded.document.plugins_toml;
    let mut files = vec![loaded.toml_path.clone()];
    files.extend(document.plugins.iter().filter_map(|plugin| match &plugin.module.value {
        Module::File(path) => Some(modules::resolve(&loaded.folder, path)),
        Module::Builtin(_) => None,
    }));
    files.extend(document.key_sets.values().map(|set| modules::resolve(&loaded.folder, &set.file.value)));
    files.into_iter().filter_map(|file| std::path::absolute(file).ok()).collect()
}

/// A watcher that watches before anything has been read.
pub(crate) struct Early {
    watcher: Watcher,
    troubles: Vec<Trouble>,
}

impl Early {
    /// Begins to watch.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) async fn start(args: &RunArgs) -> std::io::Result<Self> {
        let (watcher, troubles) = Watcher::start(Targets::before(args).settings().0).await?;
        Ok(Self { watcher, troubles })
    }
}

/// The watcher with what it saw of app_offline.htm.
pub(crate) struct Watching {
    watcher: Watcher,
    app_dir: PathBuf,
    page: Option<Bytes>,
    log: Log,
}

impl Watching {
    /// Goes on with what the configuration wants.
    pub(crate) async fn new(early: Early, targets: &Targets, log: &Log) -> Self {
        let (settings, faults) = targets.settings();
        let later = early.watcher.retarget(settings).await;
        let troubles = early.troubles.iter().chain(&later).map(ToString::to_string);
        troubles.chain(faults).for_each(|found| trouble(log, found));
        Self { watcher: early.watcher, app_dir: targets.app_dir.clone(), page: None, log: log.clone() }
    }

    /// Looks for app_offline.htm and tells supervision what has changed.
    pub(crate) async fn look(&mut self, control: &Control) {
        let app_dir = self.app_dir.clone();
        let looked = tokio::task::spawn_blocking(move || read_page(&app_dir)).await;
        let page = match looked {
            Ok(Ok(page)) => page,
            // It is there, so the app is off; what it says can't be read.
            Ok(Err(what)) => {
                trouble(&self.log, what);
                Some(Bytes::new())
            }
            Err(_) => return,
        };
        if page != self.page {
            self.page.clone_from(&page);
            control.offline(page).await;
        }
    }

    /// Turns changes into orders until nobody takes them any more.
    pub(crate) async fn run(
        mut self,
        mut targets: watch::Receiver<Arc<Targets>>,
        control: Control,
        asks: mpsc::Sender<Ask>,
    ) {
        loop {
            tokio::select! {
                news = self.watcher.next() => match news {
                    News::Troubled(found) => trouble(&self.log, found.to_string()),
                    News::Changed(change) if change.topic == OFFLINE => self.look(&control).await,
                    News::Changed(change) => {
                        let Some(cause) = cause(change) else { continue };
                        if asks.send(Ask { cause, done: None }).await.is_err() {
                            return;
                        }
                    }
                },
                changed = targets.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let (settings, faults) = targets.borrow_and_update().settings();
                    let troubles = self.watcher.retarget(settings).await;
                    let troubles = troubles.iter().map(ToString::to_string);
                    troubles.chain(faults).for_each(|found| trouble(&self.log, found));
                }
            }
        }
    }
}

fn cause(change: Change) -> Option<Cause> {
    let file = change.files.into_iter().next()?;
    match change.topic {
        WEB_CONFIG => Some(Cause::WebConfig(file)),
        PLUGINS => Some(Cause::Plugins(file)),
        WATCHED => Some(Cause::Watched(file)),
        _ => None,
    }
}

/// The page, if the file is there.
///
/// # Errors
/// It is there and can't be read, or is too long.
fn read_page(app_dir: &Path) -> Result<Option<Bytes>, String> {
    let Some(path) = find_any_case(app_dir, OFFLINE_FILE.as_ref()).filter(|path| path.is_file()) else {
        return Ok(None);
    };
    match read_bounded(&path, PAGE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes.into())),
        // It went between the two looks.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} is there, but its page can't be served: {error}", path.display())),
    }
}

fn trouble(log: &Log, message: String) {
    let fields = vec![("ancm_event".to_owned(), "1024".to_owned())];
    log.tell(&Line { level: Level::Warn, name: "watch", message, fields });
}

#[cfg(test)]
mod tests {
    use super::{globset_escape, read_page};

    #[test]
    fn the_page_is_found_in_any_case_and_only_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_page(folder.path()), Ok(None));
        std::fs::create_dir(folder.path().join("app_offline.htm")).unwrap();
        assert_eq!(read_page(folder.path()), Ok(None));
        std::fs::remove_dir(folder.path().join("app_offline.htm")).unwrap();
        std::fs::write(folder.path().join("App_Offline.HTM"), "away").unwrap();
        assert_eq!(read_page(folder.path()), Ok(Some("away".into())));
    }

    #[test]
    fn a_page_of_the_longest_length_is_served_and_a_longer_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app_offline.htm");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(super::PAGE_BYTES_MAX).unwrap();
        let page = read_page(folder.path()).unwrap().unwrap();
        assert_eq!(page.len() as u64, super::PAGE_BYTES_MAX);
        file.set_len(super::PAGE_BYTES_MAX + 1).unwrap();
        assert!(read_page(folder.path()).unwrap_err().contains("app_offline.htm"));
    }

    #[test]
    fn names_are_no_patterns() {
        assert_eq!(globset_escape("a[1]*.dll"), "a[[]1[]][*].dll");
    }
}
