//! As whom, and within which limits, the application runs.

use crate::harness::House;
use gatelodge_process::{Identity, Settings, Ungranted, check_identity};
use std::os::unix::fs::PermissionsExt as _;
use wire::StartFailure;

/// A script that tells about itself and leaves.
fn telling(settings: &mut Settings, script: &str) {
    std::fs::set_permissions(&settings.root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = settings.root.join("tell");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\nexit 7\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    settings.process_path = "tell".into();
}

/// What a script prints that runs so.
async fn tell(identity: Identity, script: &str) -> Vec<String> {
    let mut house = House::with("", |s| {
        telling(s, script);
        s.identity = identity;
    });
    let report = house.fail().await;
    assert_eq!(report.ended.as_deref(), Some("exit code 7"), "{report:?}");
    report.last_lines.clone()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn limits_umask_and_niceness_arrive() {
    let identity = Identity {
        umask: Some(0o027),
        nice: Some(3),
        open_files_max: Some(77),
        // Root is refused it.
        processes_max: (!is_root()).then_some(5_000),
        address_space_bytes_max: Some(1 << 32),
        core_bytes_max: Some(0),
        ..Identity::default()
    };
    let nice = rustix::process::getpriority_process(None).unwrap();
    let script = "umask; ulimit -n; ulimit -Hn; ulimit -v; ulimit -c; cut -d' ' -f19 /proc/$$/stat\n\
                  awk '/processes/ { print $3, $4 }' /proc/$$/limits";
    let told = tell(identity, script).await;
    let nice = (nice + 3).min(19).to_string();
    let (head, processes) = told.split_at(6);
    assert_eq!(head, ["0027", "77", "77", "4194304", "0", &nice]);
    assert!(is_root() || processes == ["5000 5000"], "{processes:?}");
}

/// The kernel holds root to no number of processes, so that a limit would be a lie.
#[tokio::test]
async fn a_number_of_processes_needs_a_user_under_root() {
    if !is_root() {
        return;
    }
    let limit =
        |user: Option<&str>| Identity { user: user.map(Into::into), processes_max: Some(5_000), ..Identity::default() };
    for user in [None, Some("root"), Some("0")] {
        let refused = check_identity(&limit(user)).unwrap_err();
        let [Ungranted { setting: "processes_max", what: refused }] = refused.as_slice() else { panic!("{refused:?}") };
        assert!(refused.contains("processes_max = 5000") && refused.contains("Set `user` too"), "{refused}");
    }
    let told = tell(limit(Some("nobody")), "awk '/processes/ { print $3, $4 }' /proc/$$/limits").await;
    assert_eq!(told, ["5000 5000"]);
}

#[tokio::test]
async fn nothing_asked_is_nothing_changed() {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let told = tell(Identity::default(), "cat /proc/$$/limits").await;
    assert_eq!(told, own.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn another_user_is_another_user_in_all_respects() {
    if !is_root() {
        return;
    }
    let identity = Identity { user: Some("nobody".into()), ..Identity::default() };
    let script = "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/$$/status | tr '\\t' ' '; echo $HOME $USER $LOGNAME\n\
                  touch here 2>/dev/null || echo may not write here";
    let told = tell(identity, script).await;
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> = passwd.lines().find(|l| l.starts_with("nobody:")).unwrap().split(':').collect();
    let [_, _, uid, gid, _, home, ..] = fields.as_slice() else { panic!("{fields:?}") };
    let expected = [
        format!("Uid: {uid} {uid} {uid} {uid}"),
        format!("Gid: {gid} {gid} {gid} {gid}"),
        format!("Groups: {gid} "),
        "CapEff: 0000000000000000".to_owned(),
        format!("{home} nobody nobody"),
        "may not write here".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn numbers_do_where_no_name_is_known() {
    if !is_root() {
        return;
    }
    let identity = Identity { user: Some("4001".into()), group: Some("4002".into()), ..Identity::default() };
    let told = tell(identity, "id -u; id -g; id -G").await;
    assert_eq!(told, ["4001", "4002", "4002"]);
}

#[tokio::test]
async fn another_user_is_still_tied_to_the_keeper_and_listens() {
    if !is_root() {
        return;
    }
    let mut house = House::with("", |s| {
        std::fs::set_permissions(&s.root, std::fs::Permissions::from_mode(0o777)).unwrap();
        // Where strangers may not go the program is copied to where they may.
        let copy = s.root.join("probe");
        std::fs::copy(crate::harness::PROBE, &copy).unwrap();
        s.process_path = copy.to_string_lossy().into_owned();
        s.identity.user = Some("4001".into());
        s.identity.group = Some("4001".into());
    });
    house.up().await;
    let (pid, _) = house.pids();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t4001\t4001"), "{status}");
    let keeper = crate::tree::parent(pid);
    crate::tree::kill(keeper);
    house.idle().await;
    let gone = || !crate::harness::alive(pid);
    crate::harness::eventually("gone with its keeper", std::time::Duration::from_secs(1), gone).await;
}

#[tokio::test]
async fn a_folder_closed_to_the_user_is_told() {
    if !is_root() {
        return;
    }
    let mut house = House::with("", |s| {
        std::fs::set_permissions(&s.root, std::fs::Permissions::from_mode(0o700)).unwrap();
        s.identity.user = Some("nobody".into());
    });
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::System);
    assert!(report.summary.contains("Permission denied"), "{}", report.summary);
}

#[tokio::test]
async fn what_the_system_refuses_fails_the_start_at_once() {
    let hopeless = [
        Identity { user: Some("no-such-user".into()), ..Identity::default() },
        Identity { open_files_max: Some(u64::MAX), ..Identity::default() },
        Identity { nice: Some(99), ..Identity::default() },
    ];
    for identity in hopeless {
        let asked = identity.clone();
        let mut house = House::with("", |s| s.identity = identity);
        let report = house.fail().await;
        assert_eq!(report.failure, StartFailure::System, "{report:?}");
        assert_eq!(report.attempts, 1);
        let told: Vec<String> = check_identity(&asked).unwrap_err().into_iter().map(|one| one.what).collect();
        assert_eq!(told, std::slice::from_ref(&report.summary));
        assert!(house.record().all("pid").is_empty());
    }
}
