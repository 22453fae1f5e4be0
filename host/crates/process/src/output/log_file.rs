//! The log file of `stdoutLogFile`, written by a thread of its own.

use crate::event::{Event, Events};
use crate::expand::{expand, lookup};
use crate::settings::Settings;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Pieces of at most 16 KiB that may wait for the disk: 1 MiB.
const QUEUE_MAX: usize = 64;

/// The file of one start, shared by its attempts.
pub(crate) struct LogFile {
    sink: LogSink,
    written: oneshot::Receiver<()>,
}

/// Where an attempt's output goes.
#[derive(Clone)]
pub(crate) struct LogSink {
    pieces: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl LogSink {
    /// Hands a piece to the writer. If the disk can't keep up it is lost, and the
    /// file says how much.
    pub(crate) fn write(&self, piece: Vec<u8>) {
        let bytes = piece.len() as u64;
        if self.pieces.try_send(piece).is_err() {
            self.lost.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl LogFile {
    /// Opens the file of a start, if one is wanted. A failure is an event; the
    /// application starts all the same.
    pub(crate) fn create(settings: &Settings, events: &Arc<dyn Events>) -> Option<Self> {
        let raw = settings.stdout_log.as_ref().filter(|_| settings.console_redirection)?;
        let path = path(&settings.root, &expand(raw, |name| lookup(&settings.inherited, name)));
        let failed = |e: std::io::Error| {
            events.tell(Event::OutputLogFailed { path: path.clone(), reason: e.to_string() });
        };
        let file = open(&path).map_err(failed).ok()?;
        let (pieces, queue) = sync_channel(QUEUE_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let (done, written) = oneshot::channel();
        let writer = Writer { file, path: path.clone(), lost: Arc::clone(&lost), events: Arc::clone(events) };
        let thread = std::thread::Builder::new().name("stdout-log".into()).spawn(move || {
            writer.run(&queue);
            let _ = done.send(());
        });
        thread.map_err(failed).ok()?;
        Some(Self { sink: LogSink { pieces, lost }, written })
    }

    /// A way in for one attempt.
    pub(crate) fn sink(&self) -> LogSink {
        self.sink.clone()
    }

    /// Waits until everything is written; other sinks must be gone.
    pub(crate) async fn finish(self) {
        drop(self.sink);
        let _ = self.written.await;
    }
}

struct Writer {
    file: File,
    path: PathBuf,
    lost: Arc<AtomicU64>,
    events: Arc<dyn Events>,
}

impl Writer {
    /// Writes until all sinks are gone. After a failure, told once, the rest is
    /// taken and thrown away.
    fn run(mut self, queue: &Receiver<Vec<u8>>) {
        let mut broken = false;
        while let Ok(piece) = queue.recv() {
            if broken {
                continue;
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            let note = if lost > 0 { format!("\n[{lost} bytes lost: the disk was too slow]\n") } else { String::new() };
            let result = self.file.write_all(&piece).and_then(|()| self.file.write_all(note.as_bytes()));
            if let Err(e) = result {
                broken = true;
                self.events.tell(Event::OutputLogFailed { path: self.path.clone(), reason: e.to_string() });
            }
        }
    }
}

/// `<path>_<YYYYMMDDhhmmss>_<host's process id>.log`, time in UTC.
fn path(root: &Path, raw: &str) -> PathBuf {
    let raw = raw.trim();
    let stem = raw.strip_prefix(r"\\?\").unwrap_or(raw).replace('\\', "/");
    let time = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m%d%H%M%S");
    // Joined and tidied: `./` in the middle of a path helps nobody who reads it.
    root.join(format!("{stem}_{time}_{}.log", std::process::id())).components().collect()
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create(path)
}

#[cfg(test)]
mod tests {
    use super::{LogFile, path};
    use crate::event::{Event, Events};
    use crate::settings::{Settings, sample};
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    fn collector() -> (Arc<Mutex<Vec<Event>>>, Arc<dyn Events>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        (seen, Arc::new(move |event| sink.lock().unwrap().push(event)))
    }

    #[test]
    fn names_follow_the_module() {
        for (raw, prefix) in [
            (r".\logs\stdout", "/srv/app/logs/stdout_"),
            (r"logs\stdout", "/srv/app/logs/stdout_"),
            (r"\\?\logs\x", "/srv/app/logs/x_"),
            ("/var/log/x", "/var/log/x_"),
        ] {
            let got = path(Path::new("/srv/app"), raw).to_string_lossy().into_owned();
            let (time, pid) = got.strip_prefix(prefix).unwrap().split_once('_').unwrap();
            assert!(time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()), "{got}");
            assert_eq!(pid, format!("{}.log", std::process::id()));
        }
    }

    #[tokio::test]
    async fn output_reaches_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { root: dir.path().into(), stdout_log: Some(r".\logs\deep\stdout".into()), ..sample() };
        let (seen, events) = collector();
        let log = LogFile::create(&settings, &events).unwrap();
        let sink = log.sink();
        sink.write(b"one\n".to_vec());
        sink.write(b"two\n".to_vec());
        drop(sink);
        log.finish().await;
        let file = std::fs::read_dir(dir.path().join("logs/deep")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
        assert!(seen.lock().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_is_an_event() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("logs"), "a file where a folder is wanted").unwrap();
        let settings = Settings { root: dir.path().into(), stdout_log: Some(r".\logs\stdout".into()), ..sample() };
        let (seen, events) = collector();
        assert!(LogFile::create(&settings, &events).is_none());
        assert_eq!(seen.lock().unwrap().first().map(Event::id), Some(1004));
    }

    #[tokio::test]
    async fn a_full_disk_is_told_once() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let (seen, events) = collector();
        let (pieces, queue) = std::sync::mpsc::sync_channel(4);
        let writer = super::Writer {
            file: std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
            path: "/dev/full".into(),
            lost: Arc::default(),
            events,
        };
        for _ in 0..3 {
            pieces.send(b"x".to_vec()).unwrap();
        }
        drop(pieces);
        writer.run(&queue);
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}
