use super::{Overrides, Settled, cores, settle};
use crate::load::tests::loaded;
use config::plugins_toml::{LIMITS, parse_listener};
use observe::{Format, Level};

fn settled(toml: &str, overrides: Overrides) -> Settled {
    settle(&loaded(toml), overrides)
}

fn one_worker() -> Overrides {
    Overrides { workers: Some(1), ..Overrides::default() }
}

fn count(value: usize) -> u64 {
    u64::try_from(value).expect("64 bits hold it")
}

type Reach = (&'static str, fn(&Settled) -> u64);

/// Where each limit arrives, with one worker.
const REACHES: &[Reach] = &[
    ("head_bytes_max", |to| count(to.edge.head_bytes_max)),
    ("header_count_max", |to| count(to.edge.rules.header_count_max)),
    ("target_bytes_max", |to| count(to.edge.rules.target_bytes_max)),
    ("connections_max", |to| count(to.edge.connections_max)),
    ("first_byte_ms_max", |to| to.edge.first_byte_ms_max),
    ("head_ms_max", |to| to.edge.head_ms_max),
    ("keep_alive_ms_max", |to| to.edge.idle_ms_max),
    ("body_idle_ms_max", |to| to.edge.body_idle_ms_max),
    ("body_total_ms_max", |to| to.edge.body_total_ms_max),
    ("write_idle_ms_max", |to| to.edge.write_idle_ms_max),
    ("waiting_requests_max", |to| count(to.forward.waiting_requests_max)),
    ("connect_ms_max", |to| to.forward.connect_ms_max),
    ("backend_first_byte_ms_max", |to| to.forward.first_byte_ms_max),
    ("backend_head_bytes_max", |to| count(to.forward.head_bytes_max)),
    ("backend_header_count_max", |to| count(to.forward.header_count_max)),
    ("backend_idle_connections_max", |to| count(to.forward.idle_connections_max)),
    ("backend_keep_alive_ms_max", |to| to.forward.idle_connection_ms_max),
    ("drain_ms_max", |to| u64::try_from(to.drain.as_millis()).expect("64 bits hold it")),
];

#[test]
fn every_limit_reaches_its_room() {
    let names: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
    assert_eq!(REACHES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    let by_default = settled("", one_worker());
    for (limit, (name, reach)) in LIMITS.iter().zip(REACHES) {
        // No limit at all is a very large one there.
        let default = if *name == "body_total_ms_max" { u64::MAX } else { limit.default };
        assert_eq!(reach(&by_default), default, "{name}");
        for value in [limit.max, limit.min.max(1)] {
            let written = settled(&format!("[host.limits]\n{name} = {value}\n"), one_worker());
            assert_eq!(reach(&written), value, "{name}");
        }
    }
}

#[test]
fn the_rooms_own_defaults_are_the_documented_ones() {
    let settled = settled("", one_worker());
    let rooms = Settled {
        edge: edge::EdgeSettings::default(),
        forward: forward::ForwardSettings::default(),
        ..self::settled("", one_worker())
    };
    for (name, reach) in REACHES {
        assert_eq!(reach(&rooms), reach(&settled), "{name}");
    }
}

#[test]
fn connections_are_shared_out_evenly_and_rounded_up() {
    for (max, workers, share) in [(10, 1, 10), (10, 3, 4), (9, 3, 3), (1, 8, 1), (10_000, 16, 625)] {
        let toml = format!("[host]\nworkers = {workers}\n[host.limits]\nconnections_max = {max}\n");
        let settled = settled(&toml, Overrides::default());
        assert_eq!((settled.workers, settled.edge.connections_max), (workers, share), "{max} by {workers}");
    }
}

#[test]
fn without_a_word_there_is_one_worker_per_core_at_a_loopback_address() {
    let settled = settled("", Overrides::default());
    assert_eq!(settled.workers, cores());
    assert_eq!(
        format!("{:?}", settled.listen),
        format!("{:?}", vec!["http://127.0.0.1:8080".parse::<edge::ListenUrl>().expect("a URL")])
    );
    assert_eq!((settled.log.format, settled.log.level), (Format::Text, Level::Info));
    assert_eq!(&*settled.rules.path_base, "");
    assert_eq!((settled.process.app_path.as_str(), settled.forward.idle_ms_max), ("/", 120_000));
}

#[test]
fn flags_go_before_the_file() {
    let toml = "[host]\nworkers = 3\nlisten = [\"http://127.0.0.1:1\"]\npath_base = \"/file\"\n[host.log]\nformat = \"json\"\n";
    let mut files = loaded(toml);
    let settled = settle(&files, Overrides::default());
    assert_eq!((settled.workers, settled.listen.len(), &*settled.rules.path_base), (3, 1, "/file"));
    assert_eq!(settled.log.format, Format::Json);

    files.listen = ["http://127.0.0.1:2", "http://127.0.0.1:3"].map(|url| parse_listener(url).expect("a URL")).to_vec();
    files.path_base = Some("/flag".to_owned());
    let overrides = Overrides { workers: Some(7), log_format: Some(Format::Text), ..Overrides::default() };
    let settled = settle(&files, overrides);
    assert_eq!((settled.workers, settled.listen.len(), &*settled.rules.path_base), (7, 2, "/flag"));
    assert_eq!((settled.process.app_path.as_str(), settled.log.format), ("/flag", Format::Text));
}

#[test]
fn verbose_never_says_less_than_the_file() {
    for (written, verbose, level) in [
        ("error", 0, Level::Error),
        ("warn", 0, Level::Warn),
        ("info", 0, Level::Info),
        ("debug", 0, Level::Debug),
        ("trace", 0, Level::Trace),
        ("error", 1, Level::Debug),
        ("trace", 1, Level::Trace),
        ("info", 2, Level::Trace),
        ("info", 9, Level::Trace),
    ] {
        let overrides = Overrides { verbose, ..Overrides::default() };
        let settled = settled(&format!("[host.log]\nlevel = \"{written}\"\n"), overrides);
        assert_eq!(settled.log.level, level, "{written} and {verbose}");
    }
}

#[test]
fn every_word_about_the_apps_life_reaches_its_room() {
    let settled = settled(
        r#"
[host]
admin = "127.0.0.1:9180"
[host.backend]
instances = 3
overlap = false
watch_settle_ms = 750
idle_ms_max = 60_000
affinity_cookie = "Lodge"
eject_faults_max = 7
eject_ms = 1500
[host.backend.health]
path = "/healthz"
interval_ms = 1000
timeout_ms = 300
failures_max = 4
[host.backend.warm_up]
paths = ["/", "/warm?x=1"]
timeout_ms = 9000
[host.backend.recycle]
requests_max = 1000
age_ms_max = 3_600_000
memory_bytes_max = "512MiB"
at = ["03:30", "15:00"]
jitter_percent = 5
[host.backend.identity]
user = "www-data"
group = "33"
umask = "027"
nice = 5
open_files_max = 4096
processes_max = 100
address_space_bytes_max = "4GiB"
core_bytes_max = 0
memory_bytes_max = "1GiB"
cpu_percent_max = 150
[host.backend.output]
file_bytes_max = "1MiB"
file_age_ms_max = 86_400_000
files_max = 3
to_log = true
"#,
        one_worker(),
    );
    let seconds = std::time::Duration::from_secs;
    let wanted = process::Settings {
        instances: 3,
        overlap: false,
        idle_limit: Some(seconds(60)),
        health: Some(process::Health {
            path: "/healthz".into(),
            interval: seconds(1),
            timeout: std::time::Duration::from_millis(300),
            failures_max: 4,
        }),
        warm_up: process::WarmUp { paths: vec!["/".into(), "/warm?x=1".into()], timeout: seconds(9) },
        recycle: process::Recycle {
            requests_max: Some(1000),
            age_max: Some(seconds(3600)),
            memory_bytes_max: Some(512 << 20),
            minutes_of_day: vec![210, 900],
            jitter_percent: 5,
        },
        identity: process::Identity {
            user: Some("www-data".into()),
            group: Some("33".into()),
            umask: Some(0o027),
            nice: Some(5),
            open_files_max: Some(4096),
            processes_max: Some(100),
            address_space_bytes_max: Some(4 << 30),
            core_bytes_max: Some(0),
            memory_bytes_max: Some(1 << 30),
            cpu_percent_max: Some(150),
        },
        output: process::OutputSettings {
            file_bytes_max: 1 << 20,
            file_age_max: Some(seconds(86_400)),
            files_max: 3,
            to_log: true,
        },
        ..settled.process.clone()
    };
    assert_eq!(settled.process, wanted);
    assert_eq!(settled.admin.to_string(), "127.0.0.1:9180");
    let cookie = settled.forward.affinity_cookie.expect("it is written");
    assert_eq!((&*cookie.name, &*cookie.path), ("Lodge", "/"));
    assert_eq!((settled.forward.eject_faults_max, settled.forward.eject_ms), (7, 1500));
}

#[test]
fn the_rooms_defaults_for_the_apps_life_are_the_files() {
    let settled = settled("", one_worker());
    let room = process::Settings::new(settled.process.root.clone(), settled.process.process_path.clone());
    let life = |settings: &process::Settings| {
        let process::Settings { instances, overlap, start_mode, idle_limit, drain_limit, attempts_max, .. } = settings;
        (*instances, *overlap, *start_mode, *idle_limit, *drain_limit, *attempts_max, settings.output.clone())
    };
    assert_eq!(life(&settled.process), life(&room));
    assert!(settled.watch && settled.shutdown_delay.is_zero() && !settled.keeps_app_on_change);
    let quiet = settle(&loaded(""), Overrides { no_watch: true, ..one_worker() });
    assert!(!quiet.watch);
}
