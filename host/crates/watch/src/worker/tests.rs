use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::events::Engine;
use crate::inbox::Inbox;
use crate::{News, Settings, TroubleKind, Watched, Watcher, What};

/// An engine whose every watch meets the system's limit.
struct Full;

impl Engine for Full {
    fn watch(&mut self, _: &Path) -> notify::Result<()> {
        Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch))
    }

    fn unwatch(&mut self, _: &Path) {}
}

fn full(_: Arc<Inbox>) -> notify::Result<Box<dyn Engine>> {
    Ok(Box::new(Full))
}

fn none(_: Arc<Inbox>) -> notify::Result<Box<dyn Engine>> {
    Err(notify::Error::io(io::Error::from_raw_os_error(24)))
}

fn settings(folder: &Path) -> Settings {
    let what = What::Names { names: vec!["web.config".into()], any_case: true };
    let watched = Watched { name: "names", folder: folder.to_owned(), what, settle: Duration::ZERO };
    Settings { topics: vec![watched], poll: Duration::from_millis(20), events: true }
}

#[tokio::test]
async fn at_the_systems_limits_it_looks_by_time_and_says_so() {
    let cases: [(crate::events::Maker, &str); 2] =
        [(full, "fs.inotify.max_user_watches"), (none, "fs.inotify.max_user_instances")];
    for (maker, setting) in cases {
        let temp = tempfile::tempdir().unwrap();
        let (watcher, troubles) = Watcher::start_with(settings(temp.path()), maker).await.unwrap();
        let [trouble] = troubles.as_slice() else { panic!("{troubles:?}") };
        assert!(trouble.to_string().contains(setting), "{trouble}");
        let file = temp.path().join("web.config");
        fs::write(&file, "<configuration/>").unwrap();
        // The change comes, and the trouble isn't told again though each look meets it.
        let news = tokio::time::timeout(Duration::from_secs(20), watcher.next()).await.unwrap();
        let News::Changed(change) = news else { panic!("{news:?}") };
        assert_eq!(change.files, [file]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_read_is_told_once() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("app");
    // A link to itself can't be read by anyone, not even by root.
    std::os::unix::fs::symlink(&folder, &folder).unwrap();
    let (watcher, troubles) = Watcher::start_with(settings(&folder), crate::events::system).await.unwrap();
    assert!(matches!(troubles.as_slice(), [trouble] if matches!(trouble.kind, TroubleKind::Unreadable(_))));
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("WEB.config"), "<configuration/>").unwrap();
    let news = tokio::time::timeout(Duration::from_secs(20), watcher.next()).await.unwrap();
    assert!(matches!(news, News::Changed(_)), "{news:?}");
}
