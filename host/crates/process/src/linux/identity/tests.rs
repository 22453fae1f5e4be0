use super::{Account, CapabilitySet, Confine, Host, check, controllers, refused, resolve};
use crate::linux::confine::Step;
use crate::settings::{Identity, Ungranted};
use std::io::Error;

fn stranger() -> Host {
    Host { uid: 1000, gid: 1000, capable: CapabilitySet::empty() }
}

fn www() -> (u32, Option<Account>) {
    let account = Account { name: "www".into(), uid: 33, gid: 33, home: "/var/www".into(), groups: vec![33, 4] };
    (33, Some(account))
}

#[test]
fn what_nobody_can_have_is_refused_in_words() {
    let none = Identity::default;
    let cases = [
        (Identity { user: Some("no-such-user".into()), ..none() }, "write its number"),
        (Identity { user: Some("4000000".into()), ..none() }, "Write `group` as well"),
        (Identity { group: Some("no-such-group".into()), ..none() }, "write its number"),
        (Identity { nice: Some(20), ..none() }, "write -20 to 19"),
        (Identity { nice: Some(-21), ..none() }, "write -20 to 19"),
        (Identity { umask: Some(0o1000), ..none() }, "write \"000\" to \"777\""),
        (Identity { open_files_max: Some(u64::MAX), ..none() }, "Write at most"),
    ];
    for (identity, expected) in cases {
        let told = resolve(&identity).map(|_| ()).unwrap_err();
        assert!(told.contains(expected), "{told}");
        let [one] = &check(&identity).unwrap_err()[..] else { panic!("{identity:?}") };
        assert_eq!(one.what, told);
        assert!(told.starts_with(&format!("{} = ", one.setting)), "{one:?}");
    }
    for identity in [none(), Identity { nice: Some(19), umask: Some(0o777), open_files_max: Some(16), ..none() }] {
        assert_eq!(check(&identity), Ok(()));
    }
    assert!(resolve(&none()).is_ok_and(|r| r.confine == Confine::default() && r.variables.is_empty()));
}

#[test]
fn all_that_is_refused_is_told_at_once() {
    let all = Identity {
        group: Some("no-such-group".into()),
        umask: Some(0o1000),
        nice: Some(20),
        open_files_max: Some(u64::MAX),
        processes_max: Some(1),
        core_bytes_max: Some(0),
        ..Identity::default()
    };
    let settings = |identity: &Identity| -> Vec<&str> {
        check(identity).unwrap_err().into_iter().map(|ungranted| ungranted.setting).collect()
    };
    assert_eq!(settings(&all), ["group", "umask", "nice", "open_files_max"]);
    assert_eq!(settings(&Identity { user: Some("no-such-user".into()), ..all }).first(), Some(&"user"));
}

#[test]
fn a_host_without_rights_may_only_be_itself() {
    let identity = Identity { user: Some("www".into()), ..Identity::default() };
    let mut confine = Confine::default();
    let told = stranger().credentials(&identity, &Some(www()), None, &mut confine).unwrap_err();
    assert!(told.contains("user = \"www\"") && told.contains("runs as user 1000") && told.contains("root"), "{told}");
    let told = stranger().credentials(&identity, &None, Some(33), &mut confine).unwrap_err();
    assert!(told.contains("may not start programs as somebody else"), "{told}");
    stranger().credentials(&identity, &Some((1000, None)), Some(1000), &mut confine).unwrap();
    assert_eq!(confine, Confine::default());
}

#[test]
fn groups_come_with_the_user() {
    let root = Host { uid: 0, gid: 0, capable: CapabilitySet::all() };
    let identity = Identity::default();
    for (user, group, expected) in [
        (Some(www()), None, (Some(33), Some(33), vec![33, 4])),
        (Some(www()), Some(50), (Some(33), Some(50), vec![33, 4, 50])),
        (Some((70, None)), Some(50), (Some(70), Some(50), vec![50])),
        (None, Some(50), (None, Some(50), vec![50])),
        (Some((0, None)), None, (None, None, vec![])),
    ] {
        let mut confine = Confine::default();
        root.credentials(&identity, &user, group, &mut confine).unwrap();
        assert_eq!((confine.uid, confine.gid, confine.groups), expected);
    }
}

#[test]
fn hard_limits_and_niceness_hold_without_rights() {
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap();
    let asked = |open_files| Confine { open_files: Some(open_files), ..Confine::default() };
    assert_eq!(stranger().limits(&asked(hard)), Ok(()));
    let told = stranger().limits(&asked(hard + 1)).unwrap_err();
    assert!(told.contains(&format!("Write at most {hard}")) && told.contains("LimitNOFILE"), "{told}");
    assert!(stranger().nice(Some(-1)).unwrap_err().contains("write 0 or more"));
    assert!(stranger().nice(Some(1)).unwrap().is_some());
    assert_eq!(stranger().nice(None), Ok(None));
}

#[test]
fn controllers_are_there_or_the_start_is_refused() {
    let identity = Identity { memory_bytes_max: Some(1 << 30), ..Identity::default() };
    match controllers(&identity) {
        Ok(()) => assert_eq!(check(&identity), Ok(())),
        Err(told) => {
            assert!(told.starts_with("memory_bytes_max = 1073741824") && told.contains("Delegate=yes"), "{told}");
            let setting = "memory_bytes_max";
            assert_eq!(check(&identity), Err(vec![Ungranted { setting, what: told }]));
        }
    }
}

#[test]
fn a_late_refusal_names_setting_value_and_way_out() {
    let identity = Identity {
        user: Some("www".into()),
        nice: Some(-5),
        open_files_max: Some(70),
        cpu_percent_max: Some(50),
        ..Identity::default()
    };
    let e = Error::from_raw_os_error(1);
    for (step, expected) in [
        (Step::User, "user = www in [host.backend.identity]: the system refuses it: Operation not permitted"),
        (Step::Group, "group = www in"),
        (Step::Nice, "nice = -5 in"),
        (Step::OpenFiles, "open_files_max = 70 in"),
        (Step::Cpu, "cpu_percent_max = 50 in"),
        (Step::Cgroup, "control group"),
    ] {
        let told = refused(&identity, step, &e);
        assert!(told.starts_with(expected) || told.contains(expected), "{told}");
    }
}
