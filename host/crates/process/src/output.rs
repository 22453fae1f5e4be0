//! What the application prints: read at once, scrubbed, kept within bounds.
//!
//! The application is never made to wait: its pipe is emptied as it fills, and
//! a log file that can't keep up loses output, not the application time.

mod escape;
mod log_file;
mod name;
mod scrub;
mod store;
mod told;
mod trouble;
mod writer;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere as platform;
#[cfg(target_os = "linux")]
use linux as platform;

use crate::event::Events;
use crate::settings::Settings;
use log_file::{LogFile, LogSink};
use scrub::Scrubber;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use told::Told;
use wire::PairingToken;

/// Bytes taken from the pipe at once.
const READ_BYTES: usize = 16 * 1024;
/// How long the rest of the output is awaited when the application is gone:
/// somebody outside the tree may hold the pipe open.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the output of one instance's start goes beside the last lines; shared
/// by its attempts. Dropping it lets the file be finished in the background.
pub(crate) struct Outlets {
    log: Option<LogFile>,
    told: Option<(Arc<dyn Events>, u64, u16)>,
}

impl Outlets {
    /// Opens what the settings ask for, for the instance `instance` (from 1) of
    /// the start `start`. It returns at once: the file is opened by its own thread,
    /// and a failure is an event.
    pub(crate) fn open(settings: &Settings, events: &Arc<dyn Events>, start: u64, instance: u16) -> Self {
        if !settings.console_redirection {
            return Self { log: None, told: None };
        }
        let told = settings.output.to_log.then(|| (Arc::clone(events), start, instance));
        Self { log: LogFile::create(settings, events), told }
    }

    /// A way in for one attempt.
    pub(crate) fn sink(&self) -> Sink {
        Sink {
            log: self.log.as_ref().map(LogFile::sink),
            told: self.told.as_ref().map(|(events, start, instance)| Told::new(Arc::clone(events), *start, *instance)),
        }
    }

    /// Waits until everything is written, which takes until the sinks are gone and
    /// as long as the disk likes.
    pub(crate) async fn finish(self) {
        if let Some(log) = self.log {
            log.finish().await;
        }
    }
}

/// Where one attempt's output goes; the default is nowhere.
#[derive(Default)]
pub(crate) struct Sink {
    log: Option<LogSink>,
    told: Option<Told>,
}

/// The last lines of one attempt's output, to be asked for at any time by anyone.
#[derive(Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<Store>>);

impl Tail {
    /// What a person should see of it: at most 72 KiB before escaping. The reader
    /// of the output waits no longer than for the copying of that.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines()
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

/// The output of one attempt. Dropping it stops the reading.
pub(crate) struct Output {
    tail: Tail,
    reader: Option<(JoinHandle<()>, oneshot::Sender<()>)>,
}

impl Output {
    /// Reads from `pipe` until its end, in a task of its own.
    pub(crate) fn read(
        pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
        token: &PairingToken,
        sink: Sink,
    ) -> Self {
        let tail = Tail::default();
        let reader = pipe.map(|pipe| {
            let (stop, stopped) = oneshot::channel();
            let reader = Reader { scrubber: Scrubber::new(token.clone()), tail: tail.clone(), sink };
            (tokio::spawn(reader.drain(pipe, stopped)), stop)
        });
        Self { tail, reader }
    }

    /// Waits for the end of the output, for at most 2 s.
    pub(crate) async fn finish(&mut self) {
        if let Some((task, _)) = &mut self.reader
            && timeout(FINISH_TIMEOUT, &mut *task).await.is_ok()
        {
            self.reader = None;
        }
        if let Some((task, stop)) = self.reader.take() {
            // Told to stop, it waits for nobody.
            drop(stop);
            let _ = task.await;
        }
    }

    /// What a person should see of it.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.tail().lines()
    }

    /// The same for whoever does not own the output.
    pub(crate) fn tail(&self) -> Tail {
        self.tail.clone()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((task, _)) = self.reader.take() {
            task.abort();
        }
    }
}

struct Reader {
    scrubber: Scrubber,
    tail: Tail,
    sink: Sink,
}

impl Reader {
    /// Reads until the end of the pipe, or until `stop` is ready or dropped.
    async fn drain(mut self, mut pipe: impl AsyncRead + Unpin, mut stop: oneshot::Receiver<()>) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let due = self.sink.told.as_ref().and_then(Told::due);
            let count = tokio::select! {
                biased;
                _ = &mut stop => 0,
                () = at(due) => {
                    self.look();
                    continue;
                }
                count = pipe.read(&mut buffer) => count.unwrap_or(0),
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            let clean = self.scrubber.push(bytes);
            self.hand_on(clean);
        }
        let clean = self.scrubber.finish();
        self.hand_on(clean);
        if let Some(told) = &mut self.sink.told {
            told.finish(Instant::now());
        }
    }

    fn look(&mut self) {
        if let Some(told) = &mut self.sink.told {
            told.look(Instant::now());
        }
    }

    fn hand_on(&mut self, clean: Vec<u8>) {
        if clean.is_empty() {
            return;
        }
        self.tail.push(&clean);
        if let Some(told) = &mut self.sink.told {
            told.push(&clean, Instant::now());
        }
        if let Some(log) = &self.sink.log {
            log.write(clean);
        }
    }
}

/// A time to be woken at; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
