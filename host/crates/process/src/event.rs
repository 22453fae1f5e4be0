//! What this room tells the operator.

use std::path::PathBuf;
use std::time::Duration;
use wire::StartFailure;

/// Takes the room's events; the binary writes them to its log and metrics.
///
/// It is called from the supervising task and from the tasks of instances, and
/// must not block.
pub trait Events: Send + Sync + 'static {
    /// Tells one event.
    fn tell(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync + 'static> Events for F {
    fn tell(&self, event: Event) {
        self(event);
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Code(code) => return write!(f, "exit code {code}"),
            Self::Signal(4) => "SIGILL",
            Self::Signal(6) => "SIGABRT",
            Self::Signal(7) => "SIGBUS",
            Self::Signal(8) => "SIGFPE",
            Self::Signal(9) => "SIGKILL",
            Self::Signal(11) => "SIGSEGV",
            Self::Signal(13) => "SIGPIPE",
            Self::Signal(15) => "SIGTERM",
            Self::Signal(24) => "SIGXCPU",
            Self::Signal(31) => "SIGSYS",
            Self::Signal(other) => return write!(f, "signal {other}"),
        };
        let Self::Signal(number) = self else { return Ok(()) };
        write!(f, "signal {number} ({name})")
    }
}

/// Something worth telling. None of them holds the pairing token.
#[derive(Clone, Debug)]
pub enum Event {
    /// An attempt begins.
    Starting {
        /// Number of the start, from 1.
        start: u64,
        /// Number of the attempt within the start, from 1.
        attempt: u32,
    },
    /// One attempt failed (ANCM 1000).
    AttemptFailed {
        /// Number of the start.
        start: u64,
        /// Number of the attempt.
        attempt: u32,
        /// Reason class.
        failure: StartFailure,
        /// One sentence.
        summary: String,
        /// The command line.
        command: String,
        /// The port it was given.
        port: Option<u16>,
        /// How the started process ended, if it did by itself.
        ended: Option<Ended>,
        /// What it had printed, as [`wire::StartReport::last_lines`].
        last_lines: Vec<String>,
        /// Whether another attempt follows.
        retry: bool,
    },
    /// The backend listens (ANCM 1001).
    Ready {
        /// Number of the start.
        start: u64,
        /// The started process.
        pid: u32,
        /// The process that listens.
        listening_pid: u32,
        /// Its port.
        port: u16,
        /// Since the start began.
        elapsed: Duration,
    },
    /// No start is tried: too many crashes within a minute (ANCM 1003).
    TooManyCrashes {
        /// Crashes within the window.
        crashes: u32,
        /// When a start is possible again.
        retry_after: Duration,
    },
    /// The log file can't be created or written; the application runs on (ANCM 1004).
    OutputLogFailed {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The backend did not end in time and was killed (ANCM 1005).
    Killed {
        /// The started process.
        pid: u32,
        /// The limit that had passed.
        limit: Duration,
    },
    /// The stop request was sent (ANCM 1006).
    StopRequested {
        /// The started process.
        pid: u32,
        /// The backend's answer: none if the request failed.
        status: Option<u16>,
    },
    /// The process group was asked to end by SIGTERM.
    TerminationSent {
        /// The started process.
        pid: u32,
    },
    /// All attempts of a start failed (ANCM 1020).
    StartFailed {
        /// The report that requests get.
        report: std::sync::Arc<wire::StartReport>,
    },
    /// The backend ended (ANCM 1030).
    Ended {
        /// The started process.
        pid: u32,
        /// Its port.
        port: u16,
        /// How the started process ended, if it did.
        ended: Option<Ended>,
        /// Whether we asked for it.
        asked: bool,
    },
    /// New instances are started beside the running ones, or in their place.
    Replacing {
        /// Why.
        why: Why,
    },
    /// The new instances take the requests; the old ones drain (ANCM 1021).
    Replaced {
        /// Why.
        why: Why,
        /// How many new ones.
        instances: u16,
        /// Since the order.
        elapsed: Duration,
    },
    /// No replacement: what ran before goes on (ANCM 1022).
    NotReplaced {
        /// Why it was tried.
        why: Why,
        /// The report of the start that failed.
        report: std::sync::Arc<wire::StartReport>,
    },
    /// An instance gets no new request and finishes those that it has.
    Draining {
        /// Number of its start.
        start: u64,
        /// The started process.
        pid: u32,
        /// Requests that run on it.
        outstanding: usize,
    },
    /// A drain limit passed while requests still ran.
    DrainCut {
        /// Number of its start.
        start: u64,
        /// The started process.
        pid: u32,
        /// Requests that still ran.
        outstanding: usize,
    },
    /// A question about an instance's health got no good answer.
    Unhealthy {
        /// Number of its start.
        start: u64,
        /// The started process.
        pid: u32,
        /// Bad answers in a row.
        failures: u32,
        /// What it answered, or did not.
        detail: String,
    },
    /// It got a good answer again.
    Healthy {
        /// Number of its start.
        start: u64,
        /// The started process.
        pid: u32,
    },
    /// A warm-up request got no answer; the instance serves all the same.
    WarmUpFailed {
        /// Number of its start.
        start: u64,
        /// The path asked for.
        path: String,
        /// What happened.
        detail: String,
    },
    /// `app_offline.htm` is there: every request gets its page (ANCM 1012).
    Offline,
    /// `app_offline.htm` is gone: the next request starts the application.
    Online,
    /// Nobody asked for a while: all instances are stopped.
    IdleStop {
        /// The limit that had passed.
        limit: Duration,
    },
    /// Something of the settings can't be had on this system and was left out.
    Limited {
        /// One sentence.
        what: String,
    },
    /// A line of the application's output, scrubbed of the token, control
    /// characters escaped.
    OutputLine {
        /// Number of the start.
        start: u64,
        /// Number of the instance, from 1.
        instance: u16,
        /// The line without its end.
        line: String,
    },
}

/// Why instances are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Somebody ordered it.
    Asked,
    /// The configuration changed.
    Configuration,
    /// This file changed.
    FileChanged(String),
    /// It had served as many requests as it may.
    Requests,
    /// It was as old as it may be.
    Age,
    /// It held more memory than it may.
    Memory,
    /// It was the time of day.
    TimeOfDay,
    /// It did not answer when asked about its health.
    Unhealthy,
}

impl Why {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Configuration => "configuration",
            Self::FileChanged(_) => "file-changed",
            Self::Requests => "requests",
            Self::Age => "age",
            Self::Memory => "memory",
            Self::TimeOfDay => "time-of-day",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Event {
    /// The number of the like event of the ASP.NET Core module; 0 if it has none.
    #[must_use]
    pub fn id(&self) -> u16 {
        match self {
            Self::Starting { .. }
            | Self::TerminationSent { .. }
            | Self::Replacing { .. }
            | Self::Draining { .. }
            | Self::DrainCut { .. }
            | Self::Unhealthy { .. }
            | Self::Healthy { .. }
            | Self::WarmUpFailed { .. }
            | Self::Online
            | Self::IdleStop { .. }
            | Self::Limited { .. }
            | Self::OutputLine { .. } => 0,
            Self::AttemptFailed { .. } => 1000,
            Self::Ready { .. } => 1001,
            Self::TooManyCrashes { .. } => 1003,
            Self::OutputLogFailed { .. } => 1004,
            Self::Killed { .. } => 1005,
            Self::StopRequested { .. } => 1006,
            Self::Offline => 1012,
            Self::StartFailed { .. } => 1020,
            Self::Replaced { .. } => 1021,
            Self::NotReplaced { .. } => 1022,
            Self::Ended { .. } => 1030,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ended;

    #[test]
    fn ends_are_told_in_words() {
        assert_eq!(Ended::Code(3).to_string(), "exit code 3");
        assert_eq!(Ended::Signal(11).to_string(), "signal 11 (SIGSEGV)");
        assert_eq!(Ended::Signal(64).to_string(), "signal 64");
    }
}
