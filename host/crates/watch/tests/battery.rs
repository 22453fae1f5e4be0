//! Real files change, and the watcher tells: by events and by looking alone.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatelodge_watch::{Change, Globs, News, Settings, Watched, Watcher, What, find_any_case, read_bounded};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);
const BOTH: [bool; 2] = [true, false];

fn names(folder: &Path, names: &[&str]) -> Watched {
    let names = names.iter().map(OsString::from).collect();
    Watched {
        name: "names",
        folder: folder.to_owned(),
        what: What::Names { names, any_case: true },
        settle: Duration::ZERO,
    }
}

fn globs(folder: &Path, include: &[&str], exclude: &[&str], settle_ms: u64) -> Watched {
    let what = What::Globs(Globs::new(include, exclude).expect("patterns"));
    Watched { name: "globs", folder: folder.to_owned(), what, settle: Duration::from_millis(settle_ms) }
}

/// With events, looks by time are too rare to help within the deadline.
fn settings(topics: Vec<Watched>, events: bool) -> Settings {
    let poll = if events { Duration::from_secs(60) } else { Duration::from_millis(20) };
    Settings { topics, poll, events }
}

async fn start(topics: Vec<Watched>, events: bool) -> Watcher {
    let (watcher, troubles) = Watcher::start(settings(topics, events)).await.expect("thread");
    assert_eq!(troubles, []);
    watcher
}

async fn next(watcher: &Watcher) -> Change {
    match tokio::time::timeout(DEADLINE, watcher.next()).await.expect("no change was told in time") {
        News::Changed(change) => change,
        News::Troubled(trouble) => panic!("{trouble}"),
    }
}

/// Waits until a change names the file; earlier ones may be of its making.
async fn told(watcher: &Watcher, file: &Path) {
    while !next(watcher).await.files.contains(&file.to_owned()) {}
}

fn folder() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().expect("folder");
    let app = temp.path().join("app");
    fs::create_dir(&app).expect("app");
    (temp, app)
}

#[tokio::test]
async fn tells_of_all_that_can_happen_to_a_file() {
    for events in BOTH {
        let (_temp, app) = folder();
        let watcher = start(vec![names(&app, &["app_offline.htm"])], events).await;
        let file = app.join("App_Offline.HTM");
        fs::write(&file, "one").unwrap();
        told(&watcher, &file).await;
        fs::write(&file, "longer").unwrap();
        told(&watcher, &file).await;
        fs::write(app.join("new"), "replaced").unwrap();
        fs::rename(app.join("new"), &file).unwrap();
        told(&watcher, &file).await;
        let touched = fs::File::options().write(true).open(&file).unwrap();
        touched.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        told(&watcher, &file).await;
        fs::remove_file(&file).unwrap();
        told(&watcher, &file).await;
    }
}

#[tokio::test]
async fn tells_of_matches_only() {
    for events in BOTH {
        let (_temp, app) = folder();
        fs::create_dir(app.join("logs")).unwrap();
        fs::create_dir(app.join("obj")).unwrap();
        let watcher = start(vec![globs(&app, &["*.dll", "**/*.so"], &["obj/**"], 200)], events).await;
        fs::write(app.join("logs/stdout.log"), "line").unwrap();
        fs::write(app.join("logs/no.dll"), "deeper than the pattern").unwrap();
        fs::write(app.join("obj/no.so"), "left out").unwrap();
        // A folder that comes later is walked, too.
        fs::create_dir_all(app.join("bin/deep")).unwrap();
        let deep = app.join("bin/deep/lib.so");
        fs::write(&deep, "code").unwrap();
        assert_eq!(next(&watcher).await, Change { topic: "globs", files: vec![deep.clone()], more: 0 });
        let dll = app.join("app.dll");
        fs::write(&dll, "code").unwrap();
        assert_eq!(next(&watcher).await.files, std::slice::from_ref(&dll));
        fs::write(&deep, "other code").unwrap();
        assert_eq!(next(&watcher).await.files, [deep]);
    }
}

#[tokio::test]
async fn a_folder_that_comes_later_is_watched() {
    for events in BOTH {
        let (_temp, app) = folder();
        fs::remove_dir(&app).unwrap();
        let watcher = start(vec![names(&app, &["web.config"])], events).await;
        fs::create_dir(&app).unwrap();
        let file = app.join("web.config");
        fs::write(&file, "<configuration/>").unwrap();
        told(&watcher, &file).await;
        // And once more after it went with all it held.
        fs::remove_dir_all(&app).unwrap();
        told(&watcher, &file).await;
        fs::create_dir(&app).unwrap();
        fs::write(&file, "<configuration/>").unwrap();
        told(&watcher, &file).await;
        fs::write(&file, "<configuration></configuration>").unwrap();
        told(&watcher, &file).await;
    }
}

#[tokio::test]
async fn another_folder_in_its_place_is_another() {
    for events in BOTH {
        let (temp, app) = folder();
        let file = app.join("app.dll");
        fs::write(&file, "same").unwrap();
        let other = temp.path().join("other");
        fs::create_dir(&other).unwrap();
        // Even with the very same file in it.
        fs::hard_link(&file, other.join("app.dll")).unwrap();
        let watcher = start(vec![globs(&app, &["*.dll"], &[], 200)], events).await;
        fs::rename(&app, temp.path().join("old")).unwrap();
        fs::rename(&other, &app).unwrap();
        assert_eq!(next(&watcher).await.files, std::slice::from_ref(&file));
        fs::write(&file, "changed").unwrap();
        assert_eq!(next(&watcher).await.files, [file]);
    }
}

#[tokio::test]
async fn many_files_at_once_are_few_changes() {
    for events in BOTH {
        let (_temp, app) = folder();
        let watcher = start(vec![globs(&app, &["*.dll"], &[], 200)], events).await;
        for number in 0..5_000 {
            fs::write(app.join(format!("{number:04}.dll")), "code").unwrap();
        }
        let (mut files, mut changes) = (0, 0);
        while files < 5_000 {
            let change = next(&watcher).await;
            assert!(change.files.len() <= 16);
            files += change.files.len() + change.more;
            changes += 1;
        }
        assert!(changes <= 5, "{changes} changes");
    }
}

#[tokio::test]
async fn other_settings_lose_no_change() {
    for events in BOTH {
        let (temp, app) = folder();
        let watcher = start(vec![globs(&app, &["*.dll"], &[], 100)], events).await;
        let dll = app.join("app.dll");
        fs::write(&dll, "code").unwrap();
        let topics = vec![globs(&app, &["*.dll", "*.so"], &[], 100), names(temp.path(), &["plugins.toml"])];
        assert_eq!(watcher.retarget(settings(topics, events)).await, []);
        assert_eq!(next(&watcher).await.files, [dll]);
        let plugins = temp.path().join("plugins.toml");
        fs::write(&plugins, "[host]").unwrap();
        told(&watcher, &plugins).await;
    }
}

#[test]
fn patterns_that_leave_the_folder_are_refused() {
    for glob in ["", "/etc/passwd", "../x", "a/../b", "./x", "[", "{a"] {
        assert!(Globs::new(&[glob], &[]).is_err(), "{glob:?}");
        assert!(Globs::new(&[], &[glob]).is_err(), "{glob:?}");
    }
}

#[test]
fn finds_and_reads_what_it_should() {
    let (_temp, app) = folder();
    let name = OsString::from("web.config");
    assert_eq!(find_any_case(&app, &name), None);
    fs::create_dir(app.join("WEB.CONFIG")).unwrap();
    assert_eq!(find_any_case(&app, &name), None, "a folder is no file");
    for (file, found) in [("web.CONFIG", "web.CONFIG"), ("Web.config", "Web.config"), ("web.config", "web.config")] {
        fs::write(app.join(file), "12345").unwrap();
        assert_eq!(find_any_case(&app, &name), Some(app.join(found)));
    }
    let file = app.join("web.config");
    assert_eq!(read_bounded(&file, 5).unwrap(), b"12345");
    assert_eq!(read_bounded(&file, 4).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    assert!(read_bounded(&app, 4).is_err());
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_is_followed() {
        for events in BOTH {
            let (temp, one) = folder();
            let two = temp.path().join("two");
            fs::create_dir(&two).unwrap();
            fs::write(one.join("app.dll"), "one").unwrap();
            fs::write(two.join("app.dll"), "two").unwrap();
            let current = temp.path().join("current");
            symlink(&one, &current).unwrap();
            let watcher = start(vec![globs(&current, &["*.dll"], &[], 200)], events).await;
            symlink(&two, temp.path().join("next")).unwrap();
            fs::rename(temp.path().join("next"), &current).unwrap();
            assert_eq!(next(&watcher).await.files, [current.join("app.dll")]);
            fs::write(two.join("app.dll"), "changed").unwrap();
            assert_eq!(next(&watcher).await.files, [current.join("app.dll")]);
        }
    }

    #[tokio::test]
    async fn a_name_need_not_be_text() {
        for events in BOTH {
            let (_temp, app) = folder();
            let watcher = start(vec![globs(&app, &["*.dll"], &[], 200)], events).await;
            let file = app.join(OsStr::from_bytes(b"\xff\xfe.dll"));
            fs::write(&file, "code").unwrap();
            assert_eq!(next(&watcher).await.files, [file]);
        }
    }
}
