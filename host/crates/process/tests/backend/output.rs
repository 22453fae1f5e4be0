//! What the backend prints, and the log file.

use crate::harness::House;
use gatelodge_process::Event;

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
    assert_eq!(ids, [1001, 1004, 1004, 1006, 1030]);
    assert!(house.told().contains("2 bytes of output were lost: "), "{}", house.told());
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
