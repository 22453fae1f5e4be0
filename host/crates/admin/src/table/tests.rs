use super::{age, render, size};
use crate::status::{
    AppPart, EnginePart, ExitPart, HostPart, InstancePart, PluginPart, ReloadPart, ReportPart, SlotsPart, StatusPage,
};

/// A page with something in every field.
pub(crate) fn sample() -> StatusPage {
    let ready = InstancePart {
        number: 1,
        start: 5,
        state: "ready".to_owned(),
        pid: Some(4712),
        listening_pid: Some(4713),
        port: Some(12_345),
        uptime_s: 7_385.25,
        requests: 1_234_567,
        outstanding: 3,
        ejected: true,
        health_failures: 2,
        memory_bytes: Some(89_338_675),
    };
    let waiting = InstancePart { number: 2, start: 6, state: "waiting".to_owned(), ..InstancePart::default() };
    StatusPage {
        host: HostPart {
            version: "0.1.0".to_owned(),
            pid: 4711,
            uptime_s: 266_400.0,
            app_dir: "/srv/shop".to_owned(),
            listen: vec!["http://127.0.0.1:8080".to_owned(), "http://[::1]:8080".to_owned()],
            workers: 4,
            generation: 3,
            last_reload: Some(ReloadPart {
                ok: false,
                ago_s: 302.5,
                problems: vec!["plugins.toml:3:1: unknown key `lissten`".to_owned()],
            }),
        },
        app: AppPart {
            state: "ready".to_owned(),
            since_s: 7_386.0,
            next_start_in_s: Some(3.2),
            crashes_in_window: 2,
            crashes_allowed: 10,
            starts: 6,
            start_failures: 1,
            crashes: 2,
            replacements: 1,
            replacement_failures: 0,
            kills: 1,
            health_failures: 2,
            last_exit: Some(ExitPart {
                start: 4,
                how: Some("signal 11 (SIGSEGV)".to_owned()),
                asked: false,
                ago_s: 59.9,
            }),
            report: Some(ReportPart {
                reason: "exited".to_owned(),
                summary: "the application ended before it listened".to_owned(),
                command: "dotnet Shop.dll".to_owned(),
                ended: Some("exit code 3".to_owned()),
                attempts: 2,
            }),
            last_lines: vec!["Unhandled exception.".to_owned(), "\u{1b}[31mred\u{202e}\ttab".to_owned()],
        },
        instances: vec![ready, waiting],
        plugins: vec![PluginPart {
            name: "auth".to_owned(),
            module: "plugins/auth.wasm".to_owned(),
            sha256: "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb".to_owned(),
            hooks: vec!["request-head".to_owned(), "completion".to_owned()],
            isolation: "instance".to_owned(),
            slots: "small".to_owned(),
            waits: true,
            calls: 2_469_134,
            faults: 6,
            pauses: 1,
            held_back: 40,
            instances: 4,
            memory_bytes: 1_114_112,
        }],
        engine: Some(EnginePart {
            small_slots: SlotsPart { reserved: Some(1_000), in_use: Some(4) },
            large_slots: None,
            reset: "pagemap-scan".to_owned(),
            concurrency: false,
            code_cache: Some("/var/cache/gatelodge".to_owned()),
            code_cache_off: None,
            compiled: 1,
            from_cache: 2,
            cache_rejected: 0,
        }),
        counters: [("host_connections_accepted_total".to_owned(), 42)].into(),
    }
}

#[test]
fn a_full_page_reads_like_this() {
    let wanted = r"ready for 2h 3m: /srv/shop, next start in 4s
host 0.1.0, process 4711, up 3d 2h, 4 workers, configuration 3, http://127.0.0.1:8080, http://[::1]:8080
last reload refused 5m 2s ago
  plugins.toml:3:1: unknown key `lissten`
starts 6 (1 failed), crashes 2 (2 of 10 allowed within a minute), replacements 1 (0 failed)
stops by force 1, bad answers about health 2

INSTANCE  START  STATE     PID   PORT  UPTIME  REQUESTS  RUNNING    MEMORY  NOTES
       1      5  ready    4712  12345   2h 3m   1234567        3  85.1 MiB  ejected, 2 bad health answers in a row, process 4713 listens
       2      6  waiting     -      -       -         0        0         -

PLUGIN  HOOKS                    ISOLATION    CALLS  FAULTS  INSTANCES   MEMORY  NOTES
auth    request-head completion  instance   2469134       6          4  1.0 MiB  1 pause, 40 calls held back, may wait
plugins run in 1000 slots, 4 in use, reset by PAGEMAP_SCAN
compiled code is kept in /var/cache/gatelodge; 1 compiled, 2 from there

last exit: start 4, signal 11 (SIGSEGV), not asked for, 59s ago

last failed start (exited): the application ended before it listened
  command: dotnet Shop.dll
  2 attempts, exit code 3

last lines of output:
  Unhandled exception.
  \u{1b}[31mred\u{202e}\ttab
";
    assert_eq!(render(&sample()), wanted);
}

#[test]
fn an_idle_application_needs_three_lines() {
    let mut page = StatusPage::default();
    page.app.state = "idle".to_owned();
    page.host = HostPart {
        version: "0.1.0".to_owned(),
        pid: 7,
        app_dir: "/a".to_owned(),
        workers: 1,
        generation: 1,
        ..page.host
    };
    let wanted = "idle for 0s: /a
host 0.1.0, process 7, up 0s, 1 worker, configuration 1
starts 0 (0 failed), crashes 0 (0 of 0 allowed within a minute), replacements 0 (0 failed)
";
    assert_eq!(render(&page), wanted);
}

#[test]
fn nothing_of_anyone_steers_the_terminal() {
    let evil = "a\u{1b}]0;x\u{7}\r\nb\u{9b}31m\u{2028}\u{2066}";
    let mut page = sample();
    page.host.app_dir = evil.to_owned();
    page.host.version = evil.to_owned();
    page.host.listen = vec![evil.to_owned()];
    page.app.state = evil.to_owned();
    page.app.last_lines = vec![evil.to_owned(), evil.to_owned()];
    page.instances[0].state = evil.to_owned();
    page.app.report.as_mut().unwrap().command = evil.to_owned();
    page.app.last_exit.as_mut().unwrap().how = Some(evil.to_owned());
    let text = render(&page);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{2028}', '\u{2066}']), "{text:?}");
    assert_eq!(text.lines().count(), render(&sample()).lines().count());
}

#[test]
fn a_line_is_cut_after_its_limit() {
    let mut page = StatusPage::default();
    page.app.last_lines = vec!["ü".repeat(400), "ü".repeat(401)];
    let text = render(&page);
    let mut lines = text.lines().rev();
    assert_eq!(lines.next().unwrap(), format!("  {}…", "ü".repeat(400)));
    assert_eq!(lines.next().unwrap(), format!("  {}", "ü".repeat(400)));
}

#[test]
fn ages_have_two_units_and_sizes_one_decimal() {
    for (seconds, wanted) in [
        (0.0, "0s"),
        (59.999, "59s"),
        (60.0, "1m 0s"),
        (3_599.0, "59m 59s"),
        (3_600.0, "1h 0m"),
        (86_399.0, "23h 59m"),
        (86_400.0, "1d 0h"),
        (-1.0, "0s"),
        (f64::NAN, "0s"),
        (f64::INFINITY, "0s"),
    ] {
        assert_eq!(age(seconds), wanted, "{seconds}");
    }
    for (bytes, wanted) in
        [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), ((1 << 20) - 1, "1023.9 KiB"), (3 << 29, "1.5 GiB")]
    {
        assert_eq!(size(bytes), wanted);
    }
    assert!(size(u64::MAX).ends_with(" GiB"));
}
