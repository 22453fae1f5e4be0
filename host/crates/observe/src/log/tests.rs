use super::{Format, Log, LogSettings};
use crate::event::{Level, Line};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn told(format: Format, line: &Line) -> String {
    let sink = Sink::default();
    let writer = Log::open(LogSettings { format, level: Level::Info }, sink.clone()).expect("a thread");
    writer.log().tell(line);
    writer.flush();
    let bytes = sink.0.lock().expect("no panic under the lock").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

fn line(level: Level) -> Line {
    Line { level, name: "tried", message: "a\nb".into(), fields: vec![("who".into(), "x \"y\"".into())] }
}

#[test]
fn a_line_is_one_line_in_both_formats() {
    let text = told(Format::Text, &line(Level::Warn));
    assert!(text.ends_with(" warn  tried: a\\nb who=\"x \\\"y\\\"\"\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&told(Format::Json, &line(Level::Warn))).expect("JSON");
    assert_eq!((json["event"].as_str(), json["who"].as_str()), (Some("tried"), Some("x \"y\"")));
    assert_eq!(told(Format::Json, &line(Level::Warn)).lines().count(), 1);
}

#[test]
fn quieter_than_the_level_is_not_told() {
    assert_eq!(told(Format::Text, &line(Level::Debug)), "");
}

/// A sink that takes nothing until it is opened.
#[derive(Clone, Default)]
struct Blocked(Arc<(Mutex<bool>, Condvar)>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut open = self.0.0.lock().expect("no panic under the lock");
        while !*open {
            open = self.0.1.wait(open).expect("no panic under the lock");
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_blocked_writer_blocks_nobody_and_counts() {
    let sink = Blocked::default();
    let writer = Log::open(LogSettings { format: Format::Text, level: Level::Info }, sink.clone()).expect("a thread");
    let log = writer.log();
    // One line may be in the writer's hands, 4,096 wait, the rest is dropped.
    for _ in 0..5000 {
        log.tell(&line(Level::Info));
    }
    assert!((5000 - 4097..=5000 - 4096).contains(&log.dropped_lines()), "{}", log.dropped_lines());
    *sink.0.0.lock().expect("no panic under the lock") = true;
    sink.0.1.notify_all();
}
