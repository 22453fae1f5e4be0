//! Words between the parts of this room, and the sentences of a failed start.

use crate::event::Ended;
use std::net::SocketAddr;
use std::time::Duration;
use wire::StartFailure;

/// What a keeper tells about its application.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is started there"))]
pub(crate) enum News {
    /// It runs under this number.
    Started(u32),
    /// The working directory can't be entered, or there is no room for a process.
    NoProcess(std::io::Error),
    /// The system refuses what was asked for; a sentence.
    Refused(String),
    /// The program can't be executed.
    NoProgram(std::io::Error),
    /// The started process ended.
    Ended(Ended),
    /// The last process of the tree is gone.
    Gone,
}

/// Who listens on the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is started there"))]
pub(crate) enum Sighting {
    /// Nobody.
    Nobody,
    /// A process of ours.
    Ours {
        /// The address to connect to.
        addr: SocketAddr,
        /// One of the processes that hold the socket.
        pid: u32,
    },
    /// Somebody else, at least on one of the addresses.
    Foreign,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Reason class.
    pub(crate) failure: StartFailure,
    /// One sentence.
    pub(crate) summary: String,
    /// The command line, as far as it was known.
    pub(crate) command: String,
    /// The port, if one was chosen.
    pub(crate) port: Option<u16>,
    /// How the started process ended.
    pub(crate) ended: Option<Ended>,
    /// What it had printed.
    pub(crate) last_lines: Vec<String>,
    /// Whether a second attempt could do better.
    pub(crate) retry: bool,
}

impl Failed {
    /// A failure before anything was started.
    pub(crate) fn early(failure: StartFailure, summary: String, retry: bool) -> Self {
        Self { failure, summary, command: String::new(), port: None, ended: None, last_lines: Vec::new(), retry }
    }

    /// Adds what was known of the command line and the port.
    pub(crate) fn of(mut self, command: &str, port: u16) -> Self {
        command.clone_into(&mut self.command);
        self.port = Some(port);
        self
    }
}

pub(crate) fn ended_early(ended: Option<Ended>, port: u16) -> String {
    match ended {
        Some(Ended::Code(code)) => format!("The process exited with code {code} before it listened on port {port}."),
        Some(signal @ Ended::Signal(_)) => {
            format!("The process was ended by {signal} before it listened on port {port}.")
        }
        None => format!("The process was gone before it listened on port {port}."),
    }
}

pub(crate) fn timed_out(limit: Duration, port: u16) -> String {
    format!(
        "The process did not listen on port {port} within {}, the startupTimeLimit. \
         The port stands in the variables ASPNETCORE_PORT or HTTP_PLATFORM_PORT, by the section used.",
        seconds(limit)
    )
}

pub(crate) fn wrong_port(limit: Duration, port: u16, others: &[SocketAddr]) -> String {
    let others: Vec<String> = others.iter().take(4).map(SocketAddr::to_string).collect();
    format!(
        "The process listens on {}, not on 127.0.0.1:{port} that it was given, and still did not after {}. \
         Have it read the port from its environment, or hand it over as %ASPNETCORE_PORT% or %HTTP_PLATFORM_PORT% \
         in arguments or environmentVariables.",
        others.join(" and "),
        seconds(limit)
    )
}

pub(crate) fn foreign(port: u16) -> String {
    format!(
        "Another program listens on port {port}, which was given to the application; \
         requests would have reached a stranger, so the start was given up."
    )
}

pub(crate) fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 || time >= Duration::from_secs(10) {
        format!("{} s", time.as_secs())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
