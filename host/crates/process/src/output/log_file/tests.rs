use super::{BYTES_MAX, LogFile, LogSink, run};
use crate::event::{Event, Events};
use crate::settings::{Settings, sample};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

fn collector() -> (Arc<Mutex<Vec<Event>>>, Arc<dyn Events>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    (seen, Arc::new(move |event| sink.lock().unwrap().push(event)))
}

fn settings(root: &Path) -> Settings {
    Settings { root: root.into(), stdout_log: Some(r".\logs\deep\stdout".into()), ..sample() }
}

fn only_text(folder: &Path) -> String {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn output_reaches_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (seen, events) = collector();
    let log = LogFile::create(&settings(dir.path()), &events).unwrap();
    let sink = log.sink();
    sink.write(b"one\n".to_vec());
    sink.write(b"two\n".to_vec());
    drop(sink);
    log.finish().await;
    assert_eq!(only_text(&dir.path().join("logs/deep")), "one\ntwo\n");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_file_that_cannot_be_is_one_event() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("logs"), "a file where a folder is wanted").unwrap();
    let (seen, events) = collector();
    let log = LogFile::create(&settings(dir.path()), &events).unwrap();
    log.finish().await;
    assert_eq!(seen.lock().unwrap().iter().map(Event::id).collect::<Vec<_>>(), [1004]);
}

#[test]
fn a_disk_that_hangs_loses_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let (seen, events) = collector();
    let (pieces, queue) = sync_channel(super::PIECES_MAX);
    let counts = Arc::default();
    let sink = LogSink { pieces, counts: Arc::clone(&counts) };
    // Nobody writes yet, as if the disk hung: the sink takes what it may and never waits.
    sink.write([vec![b'a'; BYTES_MAX - 1], vec![b'\n']].concat());
    sink.write(b"over\n".to_vec());
    sink.write(b"again\n".to_vec());
    let raw = "log";
    let place = super::Place::new(dir.path(), raw);
    let now = std::time::Instant::now();
    let writer = super::Writer::new(place, crate::settings::OutputSettings::default(), events, now);
    // The queue is emptied, and takes more afterwards.
    let waiting = std::thread::spawn({
        let counts = Arc::clone(&counts);
        move || run(writer, &queue, &counts)
    });
    let deadline = now + std::time::Duration::from_secs(20);
    while counts.waiting.load(std::sync::atomic::Ordering::Relaxed) > 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    sink.write(b"after\n".to_vec());
    drop(sink);
    waiting.join().unwrap();
    let text = only_text(dir.path());
    let note = "[11 bytes of output are missing here: the disk was too slow]";
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [note, "after"]);
    let told = format!("{:?}", seen.lock().unwrap());
    assert_eq!(told.matches("11 bytes of output were lost: the disk was too slow").count(), 1, "{told}");
}
