//! What the backend prints, and the log file.

use crate::harness::{House, PROBE};
use gatelodge_process::{Event, OutputSettings, Settings};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The log files in a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// Runs a line of shell instead of the probe.
fn shell(settings: &mut Settings, line: &str) {
    settings.process_path = "/bin/sh".into();
    settings.arguments = format!("-c \"{line}\"");
    settings.attempts_max = 1;
}

/// The lines that were told for the host's log.
fn lines(house: &House) -> Vec<String> {
    let line = |event: &Event| match event {
        Event::OutputLine { instance: 1, line, .. } => Some(line.clone()),
        _ => None,
    };
    house.events.lock().unwrap().iter().filter_map(line).collect()
}

/// L52: named as the ASP.NET Core module names it.
#[tokio::test]
async fn both_streams_reach_the_log_file() {
    let mut house = House::with("print=to-out eprint=to-err", |s| s.stdout_log = Some(r".\logs\stdout".into()));
    house.up().await;
    house.stop().await;
    let files: Vec<_> = std::fs::read_dir(house.dir.path().join("logs")).unwrap().map(|e| e.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("stdout_") && name.ends_with(&format!("_{}.log", std::process::id())), "{name}");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("to-out\n") && text.contains("to-err\n"), "{text}");
}

#[tokio::test]
async fn both_attempts_share_one_file() {
    let mut house = House::with("print=boom exit=1", |s| s.stdout_log = Some(r"logs\x".into()));
    house.fail().await;
    house.stop().await;
    let files: Vec<_> = std::fs::read_dir(house.dir.path().join("logs")).unwrap().map(|e| e.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(std::fs::read_to_string(file).unwrap(), "boom\nboom\n");
}

/// L53: the event comes at the start, and at the end what it cost.
#[tokio::test]
async fn a_log_that_cannot_be_does_not_stop_the_app() {
    let mut house = House::with("print=x", |s| s.stdout_log = Some("/proc/no/such/log".into()));
    house.up().await;
    house.stop().await;
    let mut ids = house.ids();
    ids.sort_unstable();
    assert_eq!(ids, [1001, 1004, 1004, 1006, 1030], "{:?}", house.events.lock().unwrap());
    let reason = |event: &Event| match event {
        Event::OutputLogFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let told: Vec<String> = house.events.lock().unwrap().iter().filter_map(reason).collect();
    let [begun, over] = told.as_slice() else { panic!("{told:?}") };
    assert!(!begun.contains("lost"), "{begun}");
    assert_eq!(*over, format!("2 bytes of output were lost: {begun}"));
}

#[tokio::test]
async fn the_token_is_scrubbed_everywhere() {
    let mut house = House::with("print-token exit=1", |s| s.stdout_log = Some("log".into()));
    let report = house.fail().await;
    house.stop().await;
    let record = house.record();
    let tokens = record.env("ASPNETCORE_TOKEN");
    assert_eq!(tokens.len(), 2);
    let mut texts = vec![format!("{report:?}"), house.told()];
    for entry in std::fs::read_dir(house.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "log") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    assert_eq!(texts.len(), 3);
    for text in texts {
        assert!(text.contains("expected token [pairing token] here"), "{text}");
        assert!(tokens.iter().all(|token| !text.contains(token)), "{text}");
    }
}

/// L54: without a log file.
#[tokio::test]
async fn a_flood_neither_blocks_nor_fills_memory() {
    let mut house = House::new("print=first-words spam-mb=100 eprint=then-fails exit=4");
    let report = house.fail().await;
    assert_eq!(report.ended.as_deref(), Some("exit code 4"));
    assert_eq!(report.last_lines.first().map(String::as_str), Some("first-words"));
    assert!(report.last_lines.iter().map(String::len).sum::<usize>() < 128 * 1024);
}

#[tokio::test]
async fn without_redirection_nothing_is_kept() {
    let mut house = House::with("print=boom exit=1", |s| {
        s.console_redirection = false;
        s.stdout_log = Some("log".into());
    });
    let report = house.fail().await;
    assert!(report.last_lines.is_empty());
    assert!(!house.events.lock().unwrap().iter().any(|e| matches!(e, Event::OutputLogFailed { .. })));
    assert_eq!(std::fs::read_dir(house.dir.path()).unwrap().count(), 1, "the record alone");
}

#[tokio::test]
async fn a_gigabyte_without_a_line_end_holds_nobody_up() {
    let mut house = House::with("", |s| {
        shell(s, "head -c 1073741824 /dev/zero; echo; echo done; exit 4");
        s.start_limit = Duration::from_secs(60);
        s.stdout_log = Some("logs/x".into());
        s.output = OutputSettings { file_bytes_max: 1 << 20, files_max: 3, to_log: true, ..OutputSettings::default() };
    });
    let resident = resident_bytes();
    let report = house.fail().await;
    assert_eq!(report.ended.as_deref(), Some("exit code 4"));
    house.stop().await;
    // Other tests of this process need memory too, but none of them a tenth of that.
    assert!(resident_bytes().saturating_sub(resident) < 100 << 20);
    assert_eq!(report.last_lines.last().map(String::as_str), Some("done"));
    assert!(report.last_lines.iter().map(String::len).sum::<usize>() < 256 * 1024);
    let told = lines(&house);
    assert_eq!(told.last().map(String::as_str), Some("done"));
    assert!(told.first().unwrap().ends_with(&format!(" [{} more bytes]", (1 << 30) - 8 * 1024)));
    let files = logs(&house.dir.path().join("logs"));
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| std::fs::metadata(file).unwrap().len() <= (1 << 20) + 64 * 1024 + 200));
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4096
}

#[tokio::test]
async fn lines_reach_the_hosts_log_without_the_token() {
    let mut house = House::with("print-token print=\x1b[31mred eprint=two exit=1", |s| {
        s.output.to_log = true;
        s.attempts_max = 1;
    });
    house.fail().await;
    house.stop().await;
    let mut told = lines(&house);
    told.sort();
    told.dedup();
    assert_eq!(told, ["\\u{1b}[31mred", "expected token [pairing token] here", "two"]);
}

#[tokio::test]
async fn every_start_of_a_second_has_a_file_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("shared").display().to_string();
    let mut houses: Vec<House> = (0..6)
        .map(|n| {
            let prefix = prefix.clone();
            House::with(&format!("print=house-{n}"), move |s| s.stdout_log = Some(prefix))
        })
        .collect();
    for house in &mut houses {
        house.up().await;
    }
    for house in &mut houses {
        house.stop().await;
        assert!(house.told().matches("OutputLogFailed").count() == 0);
    }
    let mut texts: Vec<String> = logs(dir.path()).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    texts.sort();
    assert_eq!(texts, (0..6).map(|n| format!("house-{n}\n")).collect::<Vec<_>>());
}

#[tokio::test]
async fn files_of_earlier_runs_count_and_go() {
    let dir = tempfile::tempdir().unwrap();
    for n in 1..=5 {
        std::fs::write(dir.path().join(format!("x_2026010100000{n}_{n}.log")), "old").unwrap();
    }
    std::fs::write(dir.path().join("x_other.log"), "foreign").unwrap();
    let prefix = dir.path().join("x").display().to_string();
    let mut house = House::with("print=new", |s| {
        s.stdout_log = Some(prefix);
        s.output.files_max = 3;
    });
    house.up().await;
    house.stop().await;
    let mut texts: Vec<String> = logs(dir.path()).iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    texts.sort();
    assert_eq!(texts, ["foreign", "new\n", "old", "old"]);
    assert!(dir.path().join("x_20260101000005_5.log").exists() && !dir.path().join("x_20260101000003_3.log").exists());
}

#[tokio::test]
async fn an_app_that_closes_its_output_runs_on() {
    let mut house = House::with("", |s| {
        shell(s, &format!("echo before; exec >&- 2>&-; exec {PROBE}"));
        s.stdout_log = Some("log".into());
    });
    house.up().await;
    house.stop().await;
    let files = logs(house.dir.path());
    assert_eq!(std::fs::read_to_string(files.first().unwrap()).unwrap(), "before\n");
}

#[tokio::test]
async fn a_descendant_that_keeps_the_pipe_delays_no_report() {
    let mut house = House::with("", |s| shell(s, "setsid sleep 1000 & echo bye; exit 3"));
    let began = Instant::now();
    let report = house.fail().await;
    assert_eq!(report.last_lines, ["bye"]);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_folder_that_is_removed_comes_back() {
    let mut house = House::with("", |s| {
        shell(s, "echo one; rm -r logs; sleep 2; echo two; exit 3");
        s.stdout_log = Some("logs/x".into());
    });
    house.fail().await;
    house.stop().await;
    let [file] = logs(&house.dir.path().join("logs")).try_into().unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.ends_with("two\n"), "{text}");
}
