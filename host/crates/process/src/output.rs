//! What the application prints: read at once, scrubbed, kept within bounds.
//!
//! The application is never made to wait: its pipe is emptied as it fills, and
//! a log file that can't keep up loses output, not the application time.

mod log_file;
mod scrub;
mod store;

pub(crate) use log_file::{LogFile, LogSink};
use scrub::Scrubber;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Store;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use wire::PairingToken;

/// Bytes taken from the pipe at once.
const READ_BYTES: usize = 16 * 1024;
/// How long the rest of the output is awaited when the application is gone:
/// somebody outside the tree may hold the pipe open.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The output of one attempt. Dropping it stops the reading.
pub(crate) struct Output {
    store: Arc<Mutex<Store>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    /// Reads from `pipe` until its end, in a task of its own.
    pub(crate) fn read(
        pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
        token: &PairingToken,
        log: Option<LogSink>,
    ) -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let reader = pipe.map(|pipe| tokio::spawn(drain(pipe, Scrubber::new(token.clone()), Arc::clone(&store), log)));
        Self { store, reader }
    }

    /// Waits for the end of the output, for at most 2 s.
    pub(crate) async fn finish(&mut self) {
        if let Some(reader) = &mut self.reader {
            if tokio::time::timeout(FINISH_TIMEOUT, &mut *reader).await.is_err() {
                reader.abort();
            }
            self.reader = None;
        }
    }

    /// What a person should see of it.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).lines()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
    }
}

async fn drain(
    mut pipe: impl AsyncRead + Unpin,
    mut scrubber: Scrubber,
    store: Arc<Mutex<Store>>,
    log: Option<LogSink>,
) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = pipe.read(&mut buffer).await.unwrap_or(0);
        let clean = match buffer.get(..count) {
            Some(bytes) if count > 0 => scrubber.push(bytes),
            _ => scrubber.finish(),
        };
        if !clean.is_empty() {
            store.lock().unwrap_or_else(PoisonError::into_inner).push(&clean);
            if let Some(log) = &log {
                log.write(clean);
            }
        }
        if count == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Output;
    use tokio::io::AsyncWriteExt as _;
    use wire::PairingToken;

    #[tokio::test]
    async fn a_hundred_megabytes_stay_small() {
        let (mut writer, reader) = tokio::io::duplex(64 * 1024);
        let mut output = Output::read(Some(reader), &PairingToken::from_text("top-secret").unwrap(), None);
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
        let mut output = Output::read(Some(reader), &PairingToken::from_text("t").unwrap(), None);
        let before = tokio::time::Instant::now();
        output.finish().await;
        assert_eq!(before.elapsed(), super::FINISH_TIMEOUT);
        drop(writer);
    }
}
