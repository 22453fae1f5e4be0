//! The log: a bounded queue and a thread that writes.

use crate::escape::escape;
use crate::event::{Event, Fields, Level};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Lines that may wait for the writer; more are dropped and counted.
const WAITING_LINES_MAX: usize = 4096;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time, level, event, message, `name=value` pairs: for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Settings of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// Default: text.
    pub format: Format,
    /// Quieter events are not told. Default: info.
    pub level: Level,
}

/// A handle to the log; cheap to clone, never blocks.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    settings: LogSettings,
    lines: SyncSender<Message>,
    dropped: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The writing end: owns the thread.
pub struct LogWriter {
    thread: Option<std::thread::JoinHandle<()>>,
    log: Log,
}

impl Log {
    /// Opens a log that writes to `out`, and the thread that does it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn open(settings: LogSettings, out: impl Write + Send + 'static) -> std::io::Result<LogWriter> {
        let (lines, waiting) = sync_channel(WAITING_LINES_MAX);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || write_all(&waiting, out))?;
        let log = Self(Arc::new(Shared { settings, lines, dropped: AtomicU64::new(0) }));
        Ok(LogWriter { thread: Some(thread), log })
    }

    /// True if an event of this level would be written.
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        level >= self.0.settings.level
    }

    /// Tells an event. Never blocks: when the writer lags 4,096 lines behind,
    /// the line is dropped and counted.
    pub fn tell(&self, event: &dyn Event) {
        if !self.enabled(event.level()) {
            return;
        }
        let mut fields = Fields::default();
        event.fields(&mut fields);
        let line = match self.0.settings.format {
            Format::Text => text_line(event, &fields),
            Format::Json => json_line(event, &fields),
        };
        if self.0.lines.try_send(Message::Line(line)).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines dropped so far because the writer could not keep up.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl LogWriter {
    /// A handle for writing.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Waits until all that was told has been written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.log.0.lines.send(Message::Flush(done)).is_ok() {
            // An error means that the thread is gone: then there is nothing to wait for.
            let _ = wait.recv();
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.flush();
        // The thread ends with the last handle; other handles may outlive this one.
        drop(self.thread.take());
    }
}

fn write_all(waiting: &Receiver<Message>, mut out: impl Write) {
    while let Ok(message) = waiting.recv() {
        match message {
            // Nobody is left to tell when the log itself can't be written.
            Message::Line(line) => drop(out.write_all(&line)),
            Message::Flush(done) => {
                // Whoever waits may have given up.
                drop(out.flush());
                let _ = done.send(());
            }
        }
    }
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn text_line(event: &dyn Event, fields: &Fields) -> Vec<u8> {
    let mut line = format!("{} {:<5} {}: {}", now(), event.level().as_str(), event.name(), escape(&event.message()));
    for (name, value) in &fields.0 {
        let value = match value {
            serde_json::Value::String(text) => quoted(text),
            other => other.to_string(),
        };
        line.push_str(&format!(" {}={value}", escape(name)));
    }
    line.push('\n');
    line.into_bytes()
}

fn quoted(text: &str) -> String {
    let text = escape(text);
    if text.is_empty() || text.contains([' ', '"', '=']) {
        format!("\"{}\"", text.replace('"', "\\\""))
    } else {
        text.into_owned()
    }
}

fn json_line(event: &dyn Event, fields: &Fields) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    object.insert("time".into(), now().into());
    object.insert("level".into(), event.level().as_str().into());
    object.insert("event".into(), event.name().into());
    object.insert("message".into(), event.message().into());
    for (name, value) in &fields.0 {
        object.insert(name.clone(), value.clone());
    }
    let mut line = serde_json::Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
