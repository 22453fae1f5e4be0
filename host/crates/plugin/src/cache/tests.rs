//! The cache against whatever may lie in its folder.

use super::{CodeCache, KEY_FILE, NotLoaded, TEMPORARY_BEGIN};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

struct Place {
    _root: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("a/b/cache");
    Place { _root: root, path }
}

impl Place {
    fn open(&self) -> CodeCache {
        CodeCache::open(&self.path, super::CACHE_BYTES_MAX).expect("a cache")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.code"))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).expect("the folder").map(|entry| {
            let entry = entry.expect("an entry");
            entry.file_name().into_string().expect("a name")
        });
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

fn rejection(cache: &CodeCache, name: &str) -> String {
    match cache.load(name) {
        Err(NotLoaded::Rejected(what)) => what,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_was_stored_is_loaded_by_the_next_host() {
    let place = place();
    place.open().store("one", b"code").expect("room");
    assert_eq!(place.open().load("one"), Ok(b"code".to_vec()));
    assert_eq!(place.open().load("two"), Err(NotLoaded::Missing));
    assert_eq!(place.names(), [KEY_FILE, "one.code"], "nothing is left behind");
    assert_eq!((mode(&place.path), mode(&place.file("one")), mode(&place.path.join(KEY_FILE))), (0o700, 0o600, 0o600));
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_never_loaded() {
    let whole = {
        let place = place();
        place.open().store("one", b"machine code").expect("room");
        std::fs::read(place.file("one")).expect("the file")
    };
    let place = place();
    let cache = place.open();
    cache.store("one", b"machine code").expect("room");
    let own = std::fs::read(place.file("one")).expect("the file");
    let bent = |at: usize| {
        let mut bytes = own.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut longer = own.clone();
    longer.push(0);
    let acts = [
        ("another host's", whole),
        ("a bent digest", bent(20)),
        ("the first byte bent", bent(48)),
        ("the last byte bent", bent(own.len() - 1)),
        ("one byte less", own[..own.len() - 1].to_vec()),
        ("cut in the digest", own[..30].to_vec()),
        ("cut in the magic", own[..3].to_vec()),
        ("empty", Vec::new()),
        ("one byte more", longer),
        ("something else", b"\x7fELF and so on".to_vec()),
    ];
    for (act, bytes) in acts {
        std::fs::write(place.file("one"), bytes).expect("room");
        assert!(rejection(&cache, "one").contains("one.code"), "{act}");
        assert_eq!(cache.load("one"), Err(NotLoaded::Missing), "{act}: it is deleted");
        cache.store("one", b"machine code").expect("room");
        assert_eq!(cache.load("one"), Ok(b"machine code".to_vec()), "{act}");
    }
    std::fs::rename(place.file("one"), place.file("two")).expect("ours");
    assert!(rejection(&cache, "two").contains("digest"), "a file is bound to its name");
}

#[test]
fn files_that_others_could_have_written_are_never_loaded() {
    let place = place();
    let cache = place.open();
    for open_to in [0o620, 0o602, 0o644] {
        cache.store("one", b"code").expect("room");
        set_mode(&place.file("one"), open_to);
        assert!(rejection(&cache, "one").contains("others may use it"), "{open_to:o}");
    }
    let outside = place.path.with_file_name("outside");
    cache.store("one", b"code").expect("room");
    std::fs::rename(place.file("one"), &outside).expect("ours");
    symlink(&outside, place.file("one")).expect("ours");
    assert!(rejection(&cache, "one").contains("symbolic link"));
    std::fs::create_dir(place.file("folder")).expect("ours");
    assert!(rejection(&cache, "folder").contains("no plain file"));
    assert!(outside.exists(), "what a link points to is left alone");
}

#[test]
fn a_folder_that_is_not_ours_alone_is_not_used() {
    let refusal = |path: &Path| CodeCache::open(path, super::CACHE_BYTES_MAX).err().expect("refused");
    for open_to in [0o755, 0o770, 0o701] {
        let place = place();
        drop(place.open());
        set_mode(&place.path, open_to);
        assert!(refusal(&place.path).contains("others may use it"), "{open_to:o}");
    }
    let place = place();
    drop(place.open());
    let link = place.path.with_file_name("link");
    symlink(&place.path, &link).expect("ours");
    assert!(refusal(&link).contains("symbolic link"));
    std::fs::write(place.path.with_file_name("file"), b"").expect("ours");
    assert!(refusal(&place.path.with_file_name("file")).contains("can't be made"));
    assert!(refusal(Path::new("relative")).contains("not absolute"));
    assert!(refusal(Path::new("/proc/gatelodge")).contains("can't be made"));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&place.path, Some(65_534), None).expect("root may");
        assert!(refusal(&place.path).contains("belongs to user 65534"));
    } else {
        set_mode(&place.path, 0o700);
        assert!(refusal(Path::new("/")).contains("belongs to user 0"));
    }
}

#[test]
fn a_spoiled_key_makes_all_files_foreign() {
    for spoil in [&b"short"[..], b""] {
        let place = place();
        place.open().store("one", b"code").expect("room");
        std::fs::write(place.path.join(KEY_FILE), spoil).expect("ours");
        let cache = place.open();
        assert!(rejection(&cache, "one").contains("digest"));
        cache.store("one", b"code").expect("room");
        assert_eq!(place.open().load("one"), Ok(b"code".to_vec()), "the new key stays");
    }
    let place = place();
    place.open().store("one", b"code").expect("room");
    set_mode(&place.path.join(KEY_FILE), 0o644);
    assert!(rejection(&place.open(), "one").contains("digest"), "a key that others could read is made anew");
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let place = place();
    let each = b"0123456789".len() as u64 + 48;
    let cache = CodeCache::open(&place.path, 2 * each).expect("a cache");
    let used_ago = |name: &str, seconds: u64| {
        let file = std::fs::File::options().write(true).open(place.file(name)).expect("it is there");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("ours");
    };
    cache.store("old", b"0123456789").expect("room");
    cache.store("older", b"0123456789").expect("room");
    assert_eq!(place.names(), [KEY_FILE, "old.code", "older.code"], "exactly the limit");
    used_ago("old", 20);
    used_ago("older", 30);
    // Loading is using.
    cache.load("older").expect("kept");
    cache.store("new", b"0123456789").expect("room");
    assert_eq!(place.names(), [KEY_FILE, "new.code", "older.code"]);
}

#[test]
fn what_a_crash_left_is_cleared_and_what_is_being_written_stays() {
    let place = place();
    let cache = place.open();
    for (name, seconds) in [("abandoned", 3_700), ("running", 60)] {
        let file = std::fs::File::create(place.path.join(format!("{TEMPORARY_BEGIN}{name}"))).expect("ours");
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("ours");
    }
    cache.store("one", b"code").expect("room");
    assert_eq!(place.names(), [".new-running", KEY_FILE, "one.code"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half() {
    use std::io::Write as _;
    let place = place();
    let cache = place.open();
    cache.store("one", b"old").expect("room");
    let full = |_: &mut std::fs::File| std::fs::File::options().write(true).open("/dev/full")?.write_all(b"new");
    let placed = std::cell::Cell::new(false);
    let told = cache.folder.fresh(full, |_| {
        placed.set(true);
        Ok(())
    });
    assert!(told.expect_err("no room").contains("No space left"));
    assert!(!placed.get(), "it never got its name");
    assert_eq!(place.names(), [KEY_FILE, "one.code"]);
    assert_eq!(cache.load("one"), Ok(b"old".to_vec()));
}

#[test]
fn hosts_that_start_at_once_share_one_key() {
    let place = place();
    let caches: Vec<CodeCache> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|turn| {
                let place = &place;
                scope.spawn(move || {
                    let cache = place.open();
                    for round in 0..20 {
                        cache.store(&format!("n{}", round % 3), b"same").expect("room");
                        match cache.load(&format!("n{}", (round + turn) % 3)) {
                            Ok(code) => assert_eq!(code, b"same"),
                            Err(why) => assert_eq!(why, NotLoaded::Missing),
                        }
                    }
                    cache
                })
            })
            .collect();
        starts.into_iter().map(|start| start.join().expect("no panic")).collect()
    });
    for cache in caches {
        assert_eq!(cache.load("n0"), Ok(b"same".to_vec()));
    }
    assert_eq!(place.names(), [KEY_FILE, "n0.code", "n1.code", "n2.code"]);
}

#[test]
fn the_folder_follows_the_user() {
    let folder = |home: Option<&str>, xdg: Option<&str>| {
        let variable = |name: &str| match name {
            "HOME" => home.map(PathBuf::from),
            "XDG_CACHE_HOME" => xdg.map(PathBuf::from),
            _ => None,
        };
        super::system::folder(variable).map(|path| path.display().to_string())
    };
    let root = rustix::process::geteuid().is_root();
    for (home, xdg, expected) in [
        (Some("/home/a"), None, Some("/home/a/.cache/gatelodge")),
        (Some("/home/a"), Some("/c"), Some("/c/gatelodge")),
        (Some("/home/a"), Some("relative"), Some("/home/a/.cache/gatelodge")),
        (Some("relative"), None, None),
        (None, None, None),
    ] {
        let expected = if root { Some("/var/cache/gatelodge") } else { expected };
        assert_eq!(folder(home, xdg).as_deref(), expected);
    }
    for (given, expected) in [("/run/c", Some("/run/c")), ("/run/c:/run/d", Some("/run/c")), ("c", None), ("", None)] {
        let variable = |name: &str| (name == "CACHE_DIRECTORY").then(|| PathBuf::from(given));
        let expected = expected.or_else(|| root.then_some("/var/cache/gatelodge")).map(PathBuf::from);
        assert_eq!(super::system::folder(variable), expected, "{given}");
    }
}
