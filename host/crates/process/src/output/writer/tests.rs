use super::{LINE_BYTES_MAX, Open, PAUSE, Piece, Standing, Target, Writer, share};
use crate::event::{Event, Events};
use crate::output::name::Place;
use crate::settings::OutputSettings;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A writer in a folder of its own, and its clock.
struct Desk {
    dir: tempfile::TempDir,
    writer: Writer,
    now: Instant,
    told: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new(settings: OutputSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let sink = Arc::clone(&told);
        let events: Arc<dyn Events> = Arc::new(move |event: Event| {
            let Event::OutputLogFailed { reason, .. } = event else { panic!("{event:?}") };
            sink.lock().unwrap().push(reason);
        });
        let now = Instant::now();
        let writer = Writer::new(Place::new(dir.path(), "logs/x"), settings, events, now);
        Self { dir, writer, now, told }
    }

    fn sized(file_bytes_max: u64) -> Self {
        Self::new(OutputSettings { file_bytes_max, files_max: 1000, ..OutputSettings::default() })
    }

    fn take(&mut self, bytes: &[u8]) {
        self.writer.take(&Piece { lost_before: 0, bytes: bytes.to_vec() }, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn end(&mut self) {
        self.writer.end(0, self.now);
    }

    /// The log files, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let folder = self.dir.path().join("logs");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        // Time, process, number: longer names of one second are newer.
        files.sort_by_key(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let parts: Vec<u64> =
                name.trim_end_matches(".log").split('_').skip(1).map(|part| part.parse().unwrap()).collect();
            (parts[0], parts.get(2).copied().unwrap_or(1))
        });
        files
    }

    fn texts(&self) -> Vec<String> {
        self.files().iter().map(|path| String::from_utf8(std::fs::read(path).unwrap()).unwrap()).collect()
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

#[test]
fn files_end_at_the_ends_of_lines() {
    const LINE: u64 = LINE_BYTES_MAX;
    let long = vec![b'x'; 2 * 64 * 1024];
    /// Bytes in the file, in its last line, limit, what comes; what goes in, whether it is full then.
    type Case<'a> = (u64, u64, u64, &'a [u8], (usize, bool));
    let cases: [Case<'_>; 16] = [
        (0, 0, 10, b"12345678\n", (9, false)),
        (0, 0, 10, b"123456789\n", (10, false)),
        (0, 0, 10, b"1234\n6789\n1", (10, true)),
        (10, 0, 10, b"next\n", (0, true)),
        (5, 0, 10, b"12345\n", (0, true)),
        (5, 0, 10, b"123\n5", (5, false)),
        (5, 0, 10, b"123\n56", (4, true)),
        // Inside a line, or at one that no file could hold: up to its end.
        (5, 5, 10, b"123456\nx", (7, true)),
        (0, 0, 4, b"12345\nx", (6, true)),
        (0, 0, 0, b"1\n", (2, true)),
        (12, 12, 10, b"no end yet", (10, false)),
        // Longer than 64 KiB: cut.
        (0, 0, 10, &long, (64 * 1024, true)),
        (LINE - 1, LINE - 1, 10, &long, (1, true)),
        (LINE, LINE, 10, &long, (0, true)),
        (0, LINE, 10, &long, (10, true)),
        (0, LINE, 0, &long, (1, true)),
    ];
    for (bytes, line, bytes_max, rest, expected) in cases {
        assert_eq!(share(bytes, line, bytes_max, rest), expected, "{bytes} {line} {bytes_max} {}", rest.len());
    }
}

#[test]
fn rotation_loses_nothing_and_cuts_no_line() {
    let text: String = (0..500).map(|n| format!("line {n} {}\n", "x".repeat(n % 97))).collect();
    for piece in [1, 7, 100, 5000] {
        let mut desk = Desk::sized(1000);
        text.as_bytes().chunks(piece).for_each(|bytes| desk.take(bytes));
        let texts = desk.texts();
        assert_eq!(texts.concat(), text, "{piece}");
        assert!(texts.len() > 20);
        assert!(texts.iter().all(|file| file.ends_with('\n') && file.len() <= 1000 + 110), "{piece}");
        assert!(desk.told().is_empty());
    }
}

#[test]
fn a_line_without_end_is_cut_and_complete() {
    let mut desk = Desk::sized(100_000);
    let text = "0123456789".repeat(100_000);
    text.as_bytes().chunks(16 * 1024).for_each(|bytes| desk.take(bytes));
    let texts = desk.texts();
    assert_eq!(texts.concat(), text);
    assert_eq!(texts.len(), 10);
}

#[test]
fn bytes_stay_as_they_are() {
    let mut desk = Desk::sized(64);
    let bytes: Vec<u8> = (0..=255_u8).chain(*b"\x1b[31m\r10%\r20%\r\n\xe2\x82\xac\xff\0\n").collect();
    bytes.chunks(5).for_each(|piece| desk.take(piece));
    let all: Vec<u8> = desk.files().iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(all, bytes);
}

#[test]
fn only_so_many_files_are_kept() {
    for (files_max, kept) in [(3, 3), (1, 1), (0, 1)] {
        let mut desk = Desk::new(OutputSettings { file_bytes_max: 5, files_max, ..OutputSettings::default() });
        (10..30).for_each(|n| desk.take(format!("{n} x\n").as_bytes()));
        let expected: Vec<_> = (30 - kept..30).map(|n| format!("{n} x\n")).collect();
        assert_eq!(desk.texts(), expected, "{files_max}");
    }
}

#[test]
fn an_old_file_is_closed_at_a_line_end() {
    let age = Duration::from_secs(60);
    let mut desk = Desk::new(OutputSettings { file_age_max: Some(age), ..OutputSettings::default() });
    desk.take(b"a\n");
    desk.pass(age - Duration::from_millis(1));
    desk.take(b"b\nc");
    desk.pass(Duration::from_millis(1));
    desk.take(b"d\ne\n");
    assert_eq!(desk.texts(), ["a\nb\ncd\n", "e\n"]);
    desk.pass(age);
    desk.take(b"f\n");
    assert_eq!(desk.texts().last().map(String::as_str), Some("f\n"));
}

/// A disk with so much room.
#[derive(Clone)]
struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut disk = self.0.lock().unwrap();
        let count = bytes.len().min(disk.0);
        if count == 0 {
            return Err(Error::from(ErrorKind::StorageFull));
        }
        disk.0 -= count;
        disk.1.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Target for Disk {
    fn standing(&self, _path: &Path) -> Standing {
        Standing::Here(0)
    }
}

fn on(desk: &mut Desk, target: impl Target + 'static) {
    desk.writer.open =
        Some(Open { target: Box::new(target), path: "disk".into(), bytes: 0, since: desk.now, unseen: 0 });
}

#[test]
fn a_full_disk_is_told_once_and_used_again() {
    let mut desk = Desk::sized(u64::MAX);
    let disk = Disk(Arc::new(Mutex::new((6, Vec::new()))));
    on(&mut desk, disk.clone());
    desk.take(b"one\ntwo\n");
    for _ in 0..100 {
        desk.take(b"lost\n");
        desk.pass(PAUSE / 10);
    }
    assert_eq!(desk.told().len(), 1, "{:?}", desk.told());
    desk.take(b"lost\n");
    disk.0.lock().unwrap().0 = 1000;
    // It is not tried for every piece.
    desk.take(b"early\n");
    desk.pass(PAUSE);
    desk.take(b"again\n");
    desk.take(b"and on\n");
    desk.end();
    let full = Error::from(ErrorKind::StorageFull).to_string();
    let note = format!("one\ntw\n[513 bytes of output are missing here: {full}]\nagain\nand on\n");
    assert_eq!(String::from_utf8_lossy(&disk.0.lock().unwrap().1), note);
    assert_eq!(desk.told(), [full.clone(), format!("513 bytes of output were lost: {full}")]);
}

#[test]
fn a_disk_that_fills_again_and_again_is_told_by_the_minute() {
    let mut desk = Desk::sized(u64::MAX);
    let disk = Disk(Arc::new(Mutex::new((0, Vec::new()))));
    on(&mut desk, disk.clone());
    for _ in 0..50 {
        disk.0.lock().unwrap().0 = 0;
        desk.take(b"lost\n");
        disk.0.lock().unwrap().0 = 1000;
        desk.pass(PAUSE);
        desk.take(b"kept\n");
    }
    assert_eq!(desk.told().len(), 2, "{:?}", desk.told());
    desk.end();
    // What was not told at once is told at the end: nothing is forgotten.
    let lost = |text: &String| text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
    assert_eq!(desk.told().iter().filter_map(lost).sum::<u64>(), 250);
}

#[test]
fn the_full_device_is_told_once() {
    let path = Path::new("/dev/full");
    assert!(path.exists(), "every Linux has it");
    let mut desk = Desk::sized(u64::MAX);
    on(&mut desk, std::fs::File::options().append(true).open(path).unwrap());
    desk.writer.look_at = desk.now + Duration::from_secs(3600);
    (0..1000).for_each(|_| desk.take(b"0123456789"));
    assert_eq!(desk.told().len(), 1);
    desk.end();
    assert_eq!(desk.told().len(), 2);
    assert!(desk.told()[1].starts_with("10000 bytes of output were lost: "), "{:?}", desk.told());
}

#[test]
fn a_removed_folder_is_made_again() {
    let mut desk = Desk::sized(u64::MAX);
    desk.take(b"before\n");
    desk.pass(PAUSE);
    desk.take(b"seen\n");
    std::fs::remove_dir_all(desk.dir.path().join("logs")).unwrap();
    desk.take(b"nowhere\n");
    desk.pass(PAUSE);
    desk.take(b"after\n");
    // Up to a second's output went with the file, and that is told.
    assert_eq!(desk.texts(), ["[13 bytes of output are missing here: the file was removed]\nafter\n"]);
    assert_eq!(desk.told(), ["13 bytes of output were lost: the file was removed"]);
}

#[test]
fn a_file_that_others_move_stays_theirs() {
    let mut desk = Desk::sized(u64::MAX);
    desk.take(b"before\n");
    let files = desk.files();
    let theirs = desk.dir.path().join("theirs");
    std::fs::rename(files.first().unwrap(), &theirs).unwrap();
    desk.take(b"still\n");
    desk.pass(PAUSE);
    desk.take(b"after\n");
    assert_eq!(std::fs::read_to_string(theirs).unwrap(), "before\nstill\n");
    assert_eq!(desk.texts(), ["after\n"]);
    assert!(desk.told().is_empty());
}

#[test]
fn a_file_that_others_empty_has_no_hole() {
    let mut desk = Desk::sized(12);
    desk.take(b"before\n");
    std::fs::File::create(desk.files().first().unwrap()).unwrap();
    desk.pass(PAUSE);
    // Nor is it taken for as large as it was.
    desk.take(b"after\n");
    assert_eq!(desk.texts(), ["after\n"]);
}

#[test]
fn a_path_that_cannot_be_becomes_possible() {
    let mut desk = Desk::sized(u64::MAX);
    let folder = desk.dir.path().join("logs");
    std::fs::write(&folder, "a file where a folder is wanted").unwrap();
    desk.writer.begin(desk.now);
    desk.take(b"lost\n");
    desk.pass(PAUSE);
    desk.take(b"lost\n");
    assert_eq!(desk.told().len(), 1, "{:?}", desk.told());
    std::fs::remove_file(&folder).unwrap();
    desk.pass(PAUSE);
    desk.take(b"kept\n");
    let [text] = desk.texts().try_into().unwrap();
    assert!(text.starts_with("[10 bytes of output are missing here: ") && text.ends_with("]\nkept\n"), "{text}");
    assert_eq!(desk.told().len(), 2);
}

#[test]
fn a_rotation_that_fails_loses_nothing() {
    let mut desk = Desk::sized(5);
    desk.take(b"one\n");
    let [file] = desk.files().try_into().unwrap();
    let folder = desk.dir.path().join("logs");
    let moved = desk.dir.path().join("moved");
    std::fs::rename(&folder, &moved).unwrap();
    std::fs::write(&folder, "a file where a folder is wanted").unwrap();
    desk.take(b"two\n");
    desk.take(b"three\n");
    let kept = moved.join(file.file_name().unwrap());
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(desk.told().len(), 1);
    std::fs::remove_file(&folder).unwrap();
    desk.pass(PAUSE);
    desk.take(b"four\n");
    assert_eq!(desk.texts(), ["four\n"]);
}
