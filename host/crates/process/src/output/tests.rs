use super::{Output, Sink};
use tokio::io::AsyncWriteExt as _;
use wire::PairingToken;

#[tokio::test]
async fn a_hundred_megabytes_stay_small() {
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let mut output = Output::read(Some(reader), &PairingToken::from_text("top-secret").unwrap(), Sink::default());
    writer.write_all(b"first words\n").await.unwrap();
    let line = format!("{} top-secret\n", "x".repeat(1012));
    let block = line.repeat(1024);
    for _ in 0..100 {
        writer.write_all(block.as_bytes()).await.unwrap();
    }
    writer.write_all(b"last words").await.unwrap();
    drop(writer);
    output.finish().await;
    let lines = output.lines();
    assert_eq!(lines.first().map(String::as_str), Some("first words"));
    assert_eq!(lines.last().map(String::as_str), Some("last words"));
    assert!(lines.iter().map(String::len).sum::<usize>() < 300 * 1024);
    assert!(!lines.iter().any(|l| l.contains("top-secret")));
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_somebody_holds_open_is_left() {
    let (writer, reader) = tokio::io::duplex(64);
    let mut output = Output::read(Some(reader), &PairingToken::from_text("t").unwrap(), Sink::default());
    let before = tokio::time::Instant::now();
    output.finish().await;
    assert_eq!(before.elapsed(), super::FINISH_TIMEOUT);
    drop(writer);
}

type Lines = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

/// A sink that tells lines, and what it told.
fn telling() -> (Sink, Lines) {
    let lines = Lines::default();
    let told = std::sync::Arc::clone(&lines);
    let events = std::sync::Arc::new(move |event| {
        let crate::event::Event::OutputLine { line, .. } = event else { panic!("{event:?}") };
        told.lock().unwrap().push(line);
    });
    (Sink { log: None, told: Some(super::Told::new(events, 1, 1)) }, lines)
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_not_forgotten_when_the_pipe_is_left() {
    let (mut writer, reader) = tokio::io::duplex(64);
    let (sink, lines) = telling();
    let mut output = Output::read(Some(reader), &PairingToken::from_text("0123456789").unwrap(), sink);
    writer.write_all(b"whole\nbegun 01").await.unwrap();
    output.finish().await;
    assert_eq!(output.lines(), ["whole", "begun 01"]);
    assert_eq!(*lines.lock().unwrap(), ["whole", "begun 01"]);
    drop(writer);
}

#[tokio::test(start_paused = true)]
async fn a_count_of_lines_left_out_is_told_without_more_output() {
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let (sink, lines) = telling();
    let output = Output::read(Some(reader), &PairingToken::from_text("0123456789").unwrap(), sink);
    writer.write_all("x\n".repeat(1500).as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1001);
    assert_eq!(lines.last().map(String::as_str), Some("[500 lines left out: too many within a second]"));
    drop(output);
}

#[tokio::test]
async fn the_last_lines_may_be_asked_for_at_any_time() {
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let mut output = Output::read(Some(reader), &PairingToken::from_text("0123456789").unwrap(), Sink::default());
    let tail = output.tail();
    let asking = std::thread::spawn(move || {
        // Most are asked while it is written; the last sees it all.
        while tail.lines().last().is_none_or(|line| line != "end") {
            assert!(tail.lines().len() <= 2000);
        }
    });
    for n in 0..20_000 {
        writer.write_all(format!("line {n}\n").as_bytes()).await.unwrap();
    }
    writer.write_all(b"end\n").await.unwrap();
    drop(writer);
    output.finish().await;
    asking.join().unwrap();
    assert_eq!(output.lines().len(), 200 + output.lines().iter().position(|line| line.starts_with('[')).unwrap() + 1);
}
