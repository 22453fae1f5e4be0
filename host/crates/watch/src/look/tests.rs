use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{DEPTH_MAX, ENTRIES_MAX, Look};
use crate::{Globs, TroubleKind, Watched, What};

fn watched(folder: &Path) -> Watched {
    let what = What::Globs(Globs::new(&["**/*.so"], &[]).unwrap());
    Watched { name: "globs", folder: folder.to_owned(), what, settle: Duration::ZERO }
}

#[test]
fn entries_end_at_the_limit() {
    let temp = tempfile::tempdir().unwrap();
    let one = temp.path().join("0.so");
    fs::write(&one, "").unwrap();
    for number in 1..ENTRIES_MAX {
        fs::hard_link(&one, temp.path().join(format!("{number}.so"))).unwrap();
    }
    let full = Look::at(&watched(temp.path()));
    assert_eq!((full.files.len(), full.cut), (ENTRIES_MAX, false));
    assert_eq!(full.troubles, []);

    fs::write(temp.path().join("more.so"), "").unwrap();
    let mut over = Look::at(&watched(temp.path()));
    assert_eq!((over.files.len(), over.cut), (ENTRIES_MAX, true));
    assert_eq!(over.troubles, [(temp.path().to_owned(), TroubleKind::TooMany(ENTRIES_MAX))]);
    // Whichever entry the folder left out, no known file counts as gone or as new.
    over.complete(&full.files, true);
    assert_eq!(over.files, full.files);
}

#[test]
fn depth_ends_at_the_limit() {
    let temp = tempfile::tempdir().unwrap();
    let deepest = (0..DEPTH_MAX).fold(temp.path().to_owned(), |folder, _| folder.join("d"));
    let below = deepest.join("d");
    fs::create_dir_all(&deepest).unwrap();
    fs::write(deepest.join("a.so"), "").unwrap();
    let look = Look::at(&watched(temp.path()));
    assert_eq!((look.files.len(), look.troubles.len()), (1, 0));

    fs::create_dir(&below).unwrap();
    fs::write(below.join("b.so"), "").unwrap();
    let look = Look::at(&watched(temp.path()));
    assert_eq!(look.files.len(), 1);
    assert_eq!(look.troubles, [(below, TroubleKind::TooDeep(DEPTH_MAX))]);
}

#[test]
fn what_could_not_be_read_counts_as_unchanged() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("bin");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.so"), "").unwrap();
    let before = Look::at(&watched(temp.path()));
    let mut after = Look { unread: vec![folder], ..Look::default() };
    after.complete(&before.files, false);
    assert_eq!(after.files, before.files);
}

#[cfg(unix)]
#[test]
fn folders_behind_links_are_not_entered() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("a.so"), "").unwrap();
    std::os::unix::fs::symlink(temp.path(), temp.path().join("loop")).unwrap();
    let files: Vec<PathBuf> = Look::at(&watched(temp.path())).files.into_keys().collect();
    assert_eq!(files, [temp.path().join("a.so")]);
}
