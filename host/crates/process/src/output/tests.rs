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
