use super::{Place, Stamp};
use std::path::Path;

const NOW: Stamp = Stamp { time: 20_261_123_213_000, number: 1, pid: 42 };

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// L52: `<path>_<YYYYMMDDhhmmss>_<host's process number>.log`, in UTC.
#[test]
fn names_follow_the_module() {
    for (raw, expected) in [
        (r".\logs\stdout", "/srv/app/logs/stdout_20261123213000_42.log"),
        (r"logs\stdout", "/srv/app/logs/stdout_20261123213000_42.log"),
        (r"\\?\logs\x", "/srv/app/logs/x_20261123213000_42.log"),
        ("/var/log/x", "/var/log/x_20261123213000_42.log"),
        (" log ", "/srv/app/log_20261123213000_42.log"),
        (r".\logs\", "/srv/app/logs/_20261123213000_42.log"),
        ("\u{fc}n\u{ef} code", "/srv/app/\u{fc}n\u{ef} code_20261123213000_42.log"),
    ] {
        assert_eq!(Place::new(Path::new("/srv/app"), raw).path(NOW), Path::new(expected), "{raw}");
    }
    let now = Stamp::now();
    assert!(now.time > NOW.time - 10_000_000_000_000 && now.pid == std::process::id());
}

#[test]
fn only_names_of_our_form_are_ours() {
    let place = Place::new(Path::new("/srv"), "out_put");
    for number in [1, 2, 10] {
        let stamp = Stamp { number, ..NOW };
        let path = place.path(stamp);
        assert_eq!(place.parse(path.file_name().unwrap().to_str().unwrap()), Some(stamp));
    }
    for name in [
        "out_put_20261123213000_42.log.gz",
        "out_put_20261123213000_42",
        "out_put_2026112321300_42.log",
        "out_put_+2026112321300_42.log",
        "out_put_20261123213000_.log",
        "out_put_20261123213000_042.log",
        "out_put_20261123213000_42_1.log",
        "out_put_20261123213000_42_02.log",
        "out_put_20261123213000_42_2_2.log",
        "out_put_20261123213000_99999999999.log",
        "out_put_20261123213000_4x.log",
        "xout_put_20261123213000_42.log",
        "out_20261123213000_42.log",
        "out_put_extra_20261123213000_42.log",
        "out_put_.log",
    ] {
        assert_eq!(place.parse(name), None, "{name}");
    }
}

#[test]
fn files_of_one_second_get_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), "x");
    let created: Vec<Stamp> = (0..3).map(|_| place.create(NOW, None).unwrap().1).collect();
    assert_eq!(created.iter().map(|s| s.number).collect::<Vec<_>>(), [1, 2, 3]);
    // A name that became free is not taken again: it would look older than it is.
    std::fs::remove_file(place.path(NOW)).unwrap();
    assert_eq!(place.create(NOW, None).unwrap().1.number, 4);
    std::fs::remove_file(place.path(Stamp { number: 4, ..NOW })).unwrap();
    assert_eq!(place.create(NOW, Some(Stamp { number: 4, ..NOW })).unwrap().1.number, 5);
    // A clock that was put back makes nothing older either.
    let before = Stamp { time: NOW.time - 100, ..NOW };
    assert_eq!(place.create(before, Some(NOW)).unwrap().1, Stamp { number: 6, ..NOW });
}

#[test]
fn what_is_there_is_never_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let place = Place::new(dir.path(), "logs/x");
    // A folder may be a link: somebody put it there on purpose. The file may not.
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("logs")).unwrap();
    std::os::unix::fs::symlink(&victim, place.path(NOW)).unwrap();
    std::os::unix::fs::symlink("nowhere", place.path(Stamp { number: 2, ..NOW })).unwrap();
    std::fs::create_dir(place.path(Stamp { number: 3, ..NOW })).unwrap();
    assert_eq!(place.create(NOW, None).unwrap().1.number, 4);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    assert!(!elsewhere.path().join("nowhere").exists());
}

#[test]
fn the_newest_files_are_kept_and_others_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), "x");
    let ours = |time: u64, number: u32, pid: u32| place.path(Stamp { time: 20_260_101_000_000 + time, number, pid });
    for (time, number, pid) in [(1, 1, 9), (2, 1, 8), (2, 2, 8), (2, 10, 8), (3, 1, 7)] {
        std::fs::write(ours(time, number, pid), "old").unwrap();
    }
    let foreign = ["x_20200101000000_1.log.gz", "x_2020_1.log", "y_20200101000000_1.log", "x_note.log"];
    for name in foreign {
        std::fs::write(dir.path().join(name), "foreign").unwrap();
    }
    std::os::unix::fs::symlink("x_note.log", ours(0, 1, 1)).unwrap();
    std::fs::create_dir(ours(0, 1, 2)).unwrap();
    place.prune(3);
    let left = ["x_20260101000002_8_10.log", "x_20260101000002_8_2.log", "x_20260101000003_7.log"];
    let mut expected = [&foreign[..], &left, &["x_20260101000000_1.log", "x_20260101000000_2.log"]].concat();
    expected.sort_unstable();
    assert_eq!(names(dir.path()), expected);
    place.prune(2);
    assert!(!ours(2, 2, 8).exists() && ours(2, 10, 8).exists());
}

#[test]
fn a_file_that_is_written_stays_however_old() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new(dir.path(), "x");
    let (held, oldest) = place.create(NOW, None).unwrap();
    let (_held, newest) = place.create(NOW, None).unwrap();
    // Not even with a limit of none.
    for files_max in [1, 0] {
        place.prune(files_max);
        assert!(place.path(oldest).exists() && place.path(newest).exists(), "{files_max}");
    }
    drop(held);
    place.prune(1);
    assert!(!place.path(oldest).exists() && place.path(newest).exists());
}
