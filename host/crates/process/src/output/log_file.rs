//! The way from an instance's output to its log file: a queue and a thread.

use super::name::Place;
use super::writer::{Piece, Writer};
use crate::event::{Event, Events};
use crate::expand::{expand, lookup};
use crate::settings::Settings;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;
use tokio::sync::oneshot;

/// Pieces and bytes that may wait for the disk.
const PIECES_MAX: usize = 1024;
const BYTES_MAX: usize = 1024 * 1024;

/// The file of one instance's start, shared by the attempts.
pub(super) struct LogFile {
    sink: LogSink,
    written: oneshot::Receiver<()>,
}

/// Where an attempt's output goes.
#[derive(Clone)]
pub(super) struct LogSink {
    pieces: SyncSender<Piece>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Bytes that did not get into the queue.
    lost: AtomicU64,
    /// Bytes in the queue.
    waiting: AtomicUsize,
}

impl LogSink {
    /// Hands a piece to the writer. If the disk can't keep up it is lost, and the
    /// file says how much.
    pub(super) fn write(&self, bytes: Vec<u8>) {
        let size = bytes.len();
        let lost_before = self.counts.lost.swap(0, Ordering::Relaxed);
        let fits = self.counts.waiting.fetch_add(size, Ordering::Relaxed) + size <= BYTES_MAX;
        if !fits || self.pieces.try_send(Piece { lost_before, bytes }).is_err() {
            self.counts.waiting.fetch_sub(size, Ordering::Relaxed);
            self.counts.lost.fetch_add(lost_before + size as u64, Ordering::Relaxed);
        }
    }
}

impl LogFile {
    /// Opens the file of a start, if one is wanted, in a thread that then writes
    /// it. A failure is an event; the application starts all the same.
    pub(super) fn create(settings: &Settings, events: &Arc<dyn Events>) -> Option<Self> {
        let raw = settings.stdout_log.as_ref()?;
        let raw = expand(raw, |name| lookup(&settings.inherited, name));
        let writer =
            Writer::new(Place::new(&settings.root, &raw), settings.output.clone(), Arc::clone(events), Instant::now());
        let (pieces, queue) = sync_channel(PIECES_MAX);
        let counts = Arc::<Counts>::default();
        let (done, written) = oneshot::channel();
        let sink = LogSink { pieces, counts: Arc::clone(&counts) };
        let thread = std::thread::Builder::new().name("stdout-log".into()).spawn(move || {
            run(writer, &queue, &counts);
            let _ = done.send(());
        });
        let failed = |e: std::io::Error| {
            events.tell(Event::OutputLogFailed { path: Path::new(&raw).to_owned(), reason: e.to_string() });
        };
        thread.map_err(failed).ok()?;
        Some(Self { sink, written })
    }

    /// A way in for one attempt.
    pub(super) fn sink(&self) -> LogSink {
        self.sink.clone()
    }

    /// Waits until everything is written; other sinks must be gone.
    pub(super) async fn finish(self) {
        drop(self.sink);
        let _ = self.written.await;
    }
}

/// Writes until all sinks are gone.
fn run(mut writer: Writer, queue: &Receiver<Piece>, counts: &Counts) {
    writer.begin(Instant::now());
    while let Ok(piece) = queue.recv() {
        writer.take(&piece, Instant::now());
        counts.waiting.fetch_sub(piece.bytes.len(), Ordering::Relaxed);
    }
    writer.end(counts.lost.swap(0, Ordering::Relaxed), Instant::now());
}

#[cfg(test)]
mod tests;
