use super::{Group, Groups, PREFIX, Step, below, clean, end, host_of, lock, own_folder};
use rustix::io::Errno;
use std::fs::{create_dir, create_dir_all, read_to_string, write};
use std::path::PathBuf;

#[test]
fn the_own_group_is_found_below_the_mount() {
    let pure = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    let mixed = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                 32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    let part = "29 23 0:26 /a/b /mnt rw - cgroup2 cgroup2 rw";
    for (mounts, groups, expected) in [
        (pure, "0::/system.slice/gate.service", Some("/sys/fs/cgroup/system.slice/gate.service")),
        (mixed, "8:pids:/x\n0::/", Some("/sys/fs/cgroup/unified/")),
        (part, "0::/a/b/c", Some("/mnt/c")),
        (part, "0::/a", None),
        (pure, "0::/../other", None),
        (pure, "1:name=systemd:/", None),
        ("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "0::/", None),
        ("", "", None),
    ] {
        assert_eq!(own_folder(mounts, groups), expected.map(PathBuf::from), "{mounts:?} {groups:?}");
    }
}

#[test]
fn only_names_of_ours_are_ours() {
    for (name, expected) in [
        ("gatelodge-12-0123456789abcdef", Some("12")),
        ("gatelodge-12-0123456789abcde", None),
        ("gatelodge--0123456789abcdef", None),
        ("gatelodge-1x-0123456789abcdef", None),
        ("gatelodge.service", None),
        ("other-12-0123456789abcdef", None),
    ] {
        assert_eq!(host_of(name), expected, "{name}");
    }
}

#[test]
fn limits_are_written_as_the_kernel_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let group = Group::create(&dir.path().join("g")).unwrap();
    for file in ["memory.max", "cpu.max"] {
        write(group.path.join(file), "").unwrap();
    }
    group.limit(Some(67_108_864), Some(150)).unwrap();
    assert_eq!(read_to_string(group.path.join("memory.max")).unwrap(), "67108864");
    assert_eq!(read_to_string(group.path.join("cpu.max")).unwrap(), "150000 100000");
    write(group.path.join("cpu.max"), "").unwrap();
    group.limit(None, Some(1)).unwrap();
    assert_eq!(read_to_string(group.path.join("cpu.max")).unwrap(), "1000 100000");
    // As where the controller is missing.
    let group = Group { path: dir.path().join("gone"), _lock: lock(dir.path()).unwrap() };
    assert_eq!(group.limit(Some(1), None), Err((Step::Memory, Errno::NOENT)));
    assert_eq!(group.limit(None, Some(1)), Err((Step::Cpu, Errno::NOENT)));
}

#[test]
fn controllers_are_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let groups = Groups { parent: dir.path().into() };
    write(dir.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
    write(dir.path().join("cgroup.subtree_control"), "cpu\n").unwrap();
    groups.have("cpu").unwrap();
    assert_eq!(read_to_string(dir.path().join("cgroup.subtree_control")).unwrap(), "cpu\n");
    write(dir.path().join("cgroup.subtree_control"), "").unwrap();
    groups.have("memory").unwrap();
    assert_eq!(read_to_string(dir.path().join("cgroup.subtree_control")).unwrap().get(..7), Some("+memory"));
    assert!(groups.have("io").unwrap_err().to_string().contains("`io` is not available"));
}

#[test]
fn only_groups_that_nobody_keeps_are_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let groups = Groups { parent: dir.path().into() };
    let named = |pid: &str| dir.path().join(format!("{PREFIX}{pid}-0123456789abcdef"));
    create_dir(named("1")).unwrap();
    create_dir(named("2")).unwrap();
    create_dir(dir.path().join("other")).unwrap();
    let _held = Group::create(&named("3")).unwrap();
    assert_eq!(groups.leftovers(|pid| pid != "2"), [named("1")]);
    // This process lives, and so do its groups. No process has the last number.
    let (own, dead) = (groups.fresh(), named("4294967295"));
    create_dir(&own).unwrap();
    create_dir(&dead).unwrap();
    clean(&named("3"));
    assert!(own.exists() && named("3").exists() && !dead.exists());
}

#[test]
fn groups_within_groups_are_removed_too() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("g");
    create_dir_all(top.join("a/b")).unwrap();
    create_dir_all(top.join("c")).unwrap();
    assert_eq!(below(&top).len(), 4);
    end(&top);
    assert!(!top.exists());
}
