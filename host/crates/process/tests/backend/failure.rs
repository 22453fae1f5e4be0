//! Starts that fail, and what is told about them.

use crate::harness::{House, alive, eventually};
use gatelodge_process::Event;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use wire::StartFailure;

#[tokio::test]
async fn an_app_that_exits_is_tried_twice() {
    let mut house = House::new("print=boom exit=3");
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::Exited);
    assert_eq!(report.attempts, 2);
    assert_eq!(report.ended.as_deref(), Some("exit code 3"));
    assert_eq!(report.last_lines, ["boom"]);
    assert_eq!(report.retry_after, None);
    let port = report.port.unwrap();
    assert!(report.summary.contains(&format!("exited with code 3 before it listened on port {port}")), "{report:?}");
    assert!(report.command.contains("print=boom"));
    assert_eq!(report.directory, house.dir.path().to_str().unwrap());
    let record = house.record();
    for name in ["ASPNETCORE_PORT", "ASPNETCORE_TOKEN"] {
        let values = record.env(name);
        assert!(matches!(values.as_slice(), [a, b] if a != b), "{name} {values:?}");
    }
    assert_eq!(house.ids(), [1000, 1000, 1020]);
    assert_eq!(house.retries(), [true, false]);

    // The next request is tried at once, the one after that waits.
    let again = house.fail().await;
    assert!(again.retry_after.is_some_and(|wait| wait >= Duration::from_secs(1)), "{again:?}");
    let refused = house.fail().await;
    assert_eq!(refused.failure, StartFailure::BackingOff);
    assert!(refused.summary.contains("exited with code 3"), "{}", refused.summary);
    assert_eq!(house.record().all("pid").len(), 4);
    house.stop().await;
}

#[tokio::test]
async fn a_signal_is_named() {
    let mut house = House::new("abort");
    let report = house.fail().await;
    assert_eq!(report.ended.as_deref(), Some("signal 6 (SIGABRT)"));
}

#[tokio::test]
async fn one_limit_holds_for_a_silent_app() {
    let mut house = House::with("never", |s| s.start_limit = Duration::from_millis(600));
    let before = Instant::now();
    let report = house.fail().await;
    assert!((Duration::from_millis(600)..Duration::from_secs(3)).contains(&before.elapsed()), "{:?}", before.elapsed());
    assert_eq!(report.failure, StartFailure::TimedOut);
    assert!(report.summary.contains("0.6 s"), "{}", report.summary);
    let record = house.record();
    let pids = record.all("pid");
    assert_eq!(pids.len(), 1);
    let pid = pids.first().unwrap().parse().unwrap();
    eventually("it is gone", Duration::from_secs(2), || !alive(pid)).await;
}

#[tokio::test]
async fn a_limit_of_zero_is_one_look() {
    let mut house = House::with("never", |s| s.start_limit = Duration::ZERO);
    assert_eq!(house.fail().await.failure, StartFailure::TimedOut);
}

#[tokio::test]
async fn the_wrong_port_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut house = House::with(&format!("port={other}"), |s| s.start_limit = Duration::from_secs(1));
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::WrongPort);
    assert!(report.summary.contains(&format!("127.0.0.1:{other}")), "{}", report.summary);
}

#[tokio::test]
async fn a_stranger_at_the_port_is_never_ready() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    if !(1025..=48000).contains(&port) {
        return;
    }
    let mut house = House::with("never", |s| s.variables = vec![("ASPNETCORE_PORT".into(), port.to_string())]);
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::ForeignListener);
    assert_eq!(report.attempts, 2);
}

/// L09: refused at once, without a process or a second attempt.
#[tokio::test]
async fn a_port_out_of_range_starts_nothing() {
    for port in ["80", "48001", "abc"] {
        let mut house = House::with("", |s| s.variables = vec![("ASPNETCORE_PORT".into(), port.into())]);
        let report = house.fail().await;
        assert_eq!(report.failure, StartFailure::NoPort, "{port}");
        assert_eq!(report.attempts, 1);
        assert!(house.record().all("pid").is_empty());
    }
}

#[tokio::test]
async fn programs_that_cannot_run_are_explained() {
    use std::os::unix::fs::PermissionsExt as _;
    let cases = [
        ("nothing-like-it", None, "There is no program"),
        ("./script", Some("#!/no/such/interpreter\n"), "interpreter"),
    ];
    for (path, content, expected) in cases {
        let mut house = House::with("", |s| {
            s.process_path = path.into();
            if let Some(content) = content {
                let file = s.root.join(path);
                std::fs::write(&file, content).unwrap();
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        });
        let report = house.fail().await;
        assert_eq!(report.failure, StartFailure::NoProgram, "{path} {report:?}");
        assert!(report.summary.contains(expected), "{path}: {}", report.summary);
        assert_eq!(report.attempts, 1);
    }
}

#[tokio::test]
async fn a_missing_folder_is_told() {
    let mut house = House::with("", |s| s.root = s.root.join("gone"));
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::System);
    assert!(report.summary.contains("gone"), "{}", report.summary);
}

#[tokio::test]
async fn too_many_crashes_block_the_next_start() {
    let mut house = House::with("", |s| s.rapid_fails_per_minute = 1);
    for _ in 0..2 {
        let paired = house.up().await;
        let _ = crate::harness::get(&paired, "/crash").await;
        house.idle().await;
    }
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::BackingOff);
    assert!(report.summary.contains("crashed 2 times"), "{}", report.summary);
    assert!(report.retry_after.is_some_and(|wait| wait > Duration::from_secs(30)));
    assert_eq!(house.record().all("pid").len(), 2);
    // What is left of the crashed one is removed beside it.
    assert!(house.ids().contains(&1003));
}

#[tokio::test]
async fn a_missing_keeper_is_told() {
    let mut house = House::with("", |s| s.keeper = "/no/such/keeper".into());
    let report = house.fail().await;
    assert_eq!(report.failure, StartFailure::System);
    assert!(report.summary.contains("keeper"), "{}", report.summary);
}

#[tokio::test]
async fn queued_wakes_are_answered_by_one_start() {
    // It fails before anything can take the other wakes out of the channel.
    let mut house = House::with("", |s| s.variables = vec![("ASPNETCORE_PORT".into(), "80".into())]);
    for _ in 0..10 {
        house.signal(wire::ports::BackendSignal::Wake).await;
    }
    house.fail().await;
    house.stop().await;
    let starts = house.events.lock().unwrap().iter().filter(|e| matches!(e, Event::Starting { .. })).count();
    assert_eq!(starts, 1);
}

#[tokio::test]
async fn a_configured_token_in_the_arguments_is_not_told() {
    let mut house = House::with("exit=1 --key my-own-token", |s| {
        s.variables = vec![("ASPNETCORE_TOKEN".into(), "my-own-token".into())];
    });
    let report = house.fail().await;
    assert!(report.command.contains("--key [pairing token]"), "{}", report.command);
    assert!(!house.told().contains("my-own-token"));
}

#[tokio::test]
async fn the_app_inherits_no_descriptor_and_no_input() {
    use std::os::unix::fs::PermissionsExt as _;
    let script = "#!/bin/sh\nls -l /proc/$$/fd\nexit 1\n";
    let mut house = House::with("", |s| {
        let file = s.root.join("run");
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        s.process_path = "run".into();
    });
    let report = house.fail().await;
    // Lines such as `lr-x------ 1 me me 64 Jan 1 00:00 0 -> /dev/null`.
    let link = |line: &str| {
        line.split_once(" -> ").map(|(l, target)| (l.rsplit(' ').next().unwrap().to_owned(), target.to_owned()))
    };
    let open: BTreeMap<String, String> = report.last_lines.iter().filter_map(|line| link(line)).collect();
    assert_eq!(open.get("0").map(String::as_str), Some("/dev/null"));
    assert!(open.get("1").unwrap().starts_with("pipe:") && open.get("1") == open.get("2"), "{open:?}");
    for (number, target) in open {
        let standard = matches!(number.as_str(), "0" | "1" | "2");
        // The shell's own for its script, or what whoever started this test left open for everybody.
        assert!(standard || target.ends_with("/run") || left_open(&number), "{number} {target}");
    }
}

/// Whether this process would leave the descriptor to any program it executes.
fn left_open(number: &str) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|l| u32::from_str_radix(l.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
}

#[tokio::test]
async fn a_hidden_page_and_development_are_passed_on() {
    let mut house = House::with("exit=1", |s| {
        s.show_page = false;
        s.variables = vec![("ASPNETCORE_ENVIRONMENT".into(), "Development".into())];
    });
    let report = house.fail().await;
    assert!(!report.show_page && report.development);
}
