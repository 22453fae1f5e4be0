//! What a watcher holds of the system, it gives back. Alone in its process, so
//! that descriptors and threads can be counted.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use gatelodge_watch::{Globs, Settings, Watched, Watcher, What};

fn count(folder: &str) -> usize {
    fs::read_dir(folder).expect("proc").count()
}

fn settings(folder: &Path) -> Settings {
    let what = What::Globs(Globs::new(&["**/*.dll"], &[]).expect("pattern"));
    let watched = Watched { name: "globs", folder: folder.to_owned(), what, settle: Duration::from_millis(100) };
    Settings { topics: vec![watched], ..Settings::default() }
}

#[tokio::test]
async fn nothing_leaks_over_retargets_and_drops() {
    let temp = tempfile::tempdir().unwrap();
    let folders = [temp.path().join("one"), temp.path().join("two")];
    for folder in &folders {
        fs::create_dir_all(folder.join("deep")).unwrap();
    }
    let threads = count("/proc/self/task");
    let bare = count("/proc/self/fd");
    let (watcher, _) = Watcher::start(settings(&folders[0])).await.unwrap();
    let held = count("/proc/self/fd");
    for turn in 0..100 {
        assert_eq!(watcher.retarget(settings(&folders[turn % 2])).await, []);
    }
    assert_eq!(count("/proc/self/fd"), held);
    drop(watcher);
    let deadline = Instant::now() + Duration::from_secs(20);
    while count("/proc/self/task") > threads || count("/proc/self/fd") > bare {
        assert!(Instant::now() < deadline, "threads or descriptors are left");
        tokio::task::yield_now().await;
    }
}
