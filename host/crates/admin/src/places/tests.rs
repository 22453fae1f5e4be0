use super::Places;
use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn folders(variables: &[(&str, &Path)]) -> Vec<PathBuf> {
    let environment = |name: &str| -> Option<OsString> {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str().to_owned())
    };
    Places::of_user(environment).folders
}

#[test]
fn the_users_own_directory_comes_first_and_the_temporary_one_last() {
    let root = tempfile::tempdir().unwrap();
    let uid = rustix::process::geteuid();
    let own = format!("gatelodge-{}", uid.as_raw());
    let of_root = if uid.is_root() { vec![PathBuf::from("/run/gatelodge")] } else { Vec::new() };
    let last = [Path::new("/tmp").join(&own)];
    let runtime = [root.path().join("gatelodge")];
    let temporary = [Path::new("/var/tmp").join(&own)];
    let (relative, missing) = (Path::new("run"), root.path().join("none"));
    for (variables, wanted) in [
        (vec![], [&of_root[..], &last].concat()),
        (vec![("XDG_RUNTIME_DIR", root.path())], [&runtime[..], &of_root, &last].concat()),
        (
            vec![("XDG_RUNTIME_DIR", root.path()), ("TMPDIR", Path::new("/var/tmp"))],
            [&runtime[..], &of_root, &temporary, &last].concat(),
        ),
        // A relative path would mean another folder to each process.
        (vec![("XDG_RUNTIME_DIR", relative), ("TMPDIR", relative)], [&of_root[..], &last].concat()),
        (vec![("XDG_RUNTIME_DIR", missing.as_path())], [&of_root[..], &last].concat()),
    ] {
        assert_eq!(folders(&variables), wanted, "{variables:?}");
    }
}

#[test]
fn another_users_runtime_directory_is_passed_over() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(root.path(), Some(65_000), None).unwrap();
    let found = folders(&[("XDG_RUNTIME_DIR", root.path())]);
    assert!(found.iter().all(|folder| !folder.starts_with(root.path())), "{found:?}");
}

#[test]
fn the_first_folder_that_is_good_is_used_and_each_bad_one_explained() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name);
    std::fs::create_dir(folder("open")).unwrap();
    std::fs::set_permissions(folder("open"), Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder("file"), "").unwrap();
    let bad = [folder("open"), folder("file"), folder("none/deeper")];
    let places = Places { folders: bad.clone().into() };
    let problem = places.make(usize::MAX).unwrap_err();
    let wanted = [
        format!("{0} is not used: its mode is 755; `chmod 700 {0}` makes it private", bad[0].display()),
        format!("{} is not used: it is not a directory (a link is refused as well)", bad[1].display()),
        format!("{} can't be made: No such file or directory (os error 2)", bad[2].display()),
    ];
    assert_eq!(problem, wanted.join("; "));
    let (good, problems) = places.existing();
    assert!(good.is_empty());
    // What is not there is no problem for whoever looks only.
    assert_eq!(problems, wanted[..2]);

    let places = Places { folders: bad.into_iter().chain([folder("good"), folder("better")]).collect() };
    assert_eq!(places.make(usize::MAX).unwrap(), folder("good"));
    assert!(!folder("better").exists());
    assert_eq!(places.make(usize::MAX).unwrap(), folder("good"), "and again");
    assert_eq!(places.existing().0, [folder("good")]);
    assert_eq!(Places { folders: Vec::new() }.make(1).unwrap_err(), "no folder of this user is known");
}

#[test]
fn a_mended_folder_is_used() {
    let root = tempfile::tempdir().unwrap();
    let places = Places::only(root.path().join("g"));
    std::fs::create_dir(root.path().join("g")).unwrap();
    std::fs::set_permissions(root.path().join("g"), Permissions::from_mode(0o750)).unwrap();
    assert!(places.make(usize::MAX).is_err());
    std::fs::set_permissions(root.path().join("g"), Permissions::from_mode(0o700)).unwrap();
    assert!(places.make(usize::MAX).is_ok());
}
