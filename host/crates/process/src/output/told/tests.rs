use super::{BYTES_MAX, LINE_BYTES_MAX, LINES_MAX, Told, WINDOW};
use crate::event::Event;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

type Lines = Arc<Mutex<Vec<String>>>;

fn told() -> (Told, Lines) {
    let lines = Lines::default();
    let sink = Arc::clone(&lines);
    let events = move |event| {
        let Event::OutputLine { start: 7, instance: 2, line } = event else { panic!("{event:?}") };
        sink.lock().unwrap().push(line);
    };
    (Told::new(Arc::new(events), 7, 2), lines)
}

fn check(bytes: &[u8], expected: &[&str]) {
    for size in [1, 3, 5000] {
        let (mut told, lines) = told();
        let now = Instant::now();
        bytes.chunks(size).for_each(|piece| told.push(piece, now));
        told.finish(now);
        assert_eq!(*lines.lock().unwrap(), expected, "{size}");
    }
}

#[test]
fn lines_are_told_whole_and_harmless() {
    check(b"", &[]);
    check(b"one\ntwo\r\n\nthree", &["one", "two", "", "three"]);
    check(b"10%\r20%\rdone\n", &["10%\\r20%\\rdone"]);
    check(b"\x1b[2J\x07nul\0\n", &["\\u{1b}[2J\\u{7}nul\\u{0}"]);
    // Invalid, and a character that the borders of reads go through.
    check("\u{20ac}\u{1f600}\n".as_bytes(), &["\u{20ac}\u{1f600}"]);
    check(b"\xe2\x82\n", &["\u{fffd}"]);
}

#[test]
fn long_lines_are_cut_with_a_note() {
    let at = "x".repeat(LINE_BYTES_MAX);
    check(format!("{at}\nb\n").as_bytes(), &[&at, "b"]);
    check(format!("{at}y\nb\n").as_bytes(), &[&format!("{at} [1 more bytes]"), "b"]);
}

#[test]
fn a_cut_line_ends_with_a_whole_character() {
    let (mut told, lines) = told();
    let now = Instant::now();
    let most = "x".repeat(LINE_BYTES_MAX - 1);
    told.push(format!("{most}\u{20ac}z\n").as_bytes(), now);
    assert_eq!(*lines.lock().unwrap(), [format!("{most} [4 more bytes]")]);
}

#[test]
fn a_flood_is_counted_once_per_second() {
    for (count, left_out) in [(LINES_MAX, 0), (LINES_MAX + 1, 1), (LINES_MAX + 5000, 5000)] {
        let (mut told, lines) = told();
        let now = Instant::now();
        told.push("x\n".repeat(count as usize).as_bytes(), now);
        assert_eq!(lines.lock().unwrap().len(), LINES_MAX as usize);
        assert_eq!(told.due(), (left_out > 0).then_some(now + WINDOW), "{count}");
        told.look(now + WINDOW);
        assert_eq!(told.due(), None);
        told.push(b"later\n", now + WINDOW);
        let lines = lines.lock().unwrap();
        let note = format!("[{left_out} lines left out: too many within a second]");
        assert_eq!(lines.iter().filter(|line| **line == note).count(), usize::from(left_out > 0));
        assert_eq!(lines.last().map(String::as_str), Some("later"));
    }
}

#[test]
fn long_lines_use_the_limit_up_sooner() {
    let (mut told, lines) = told();
    let now = Instant::now();
    let line = format!("{}\n", "x".repeat(LINE_BYTES_MAX));
    let fit = BYTES_MAX / LINE_BYTES_MAX;
    (0..=fit).for_each(|_| told.push(line.as_bytes(), now));
    told.finish(now);
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), fit + 1);
    assert_eq!(lines.last().map(String::as_str), Some("[1 lines left out: too many within a second]"));
}

#[test]
fn a_line_without_end_stays_small() {
    let (mut told, lines) = told();
    let now = Instant::now();
    let piece = vec![b'x'; 16 * 1024];
    (0..64 * 1024).for_each(|_| told.push(&piece, now));
    assert!(told.line.capacity() <= 2 * LINE_BYTES_MAX);
    told.finish(now);
    let more = (1_u64 << 30) - LINE_BYTES_MAX as u64;
    assert!(lines.lock().unwrap().first().unwrap().ends_with(&format!(" [{more} more bytes]")));
}
