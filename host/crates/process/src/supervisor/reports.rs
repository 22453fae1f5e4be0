//! Failed starts, in the words that requests and operators get.

use super::shell::Shell;
use crate::environment;
use crate::event::Event;
use crate::machine::Down;
use crate::report::{Failed, seconds};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use wire::ports::BackendState;
use wire::{StartFailure, StartReport};

impl Shell {
    /// Makes the report of a start that failed.
    pub(super) fn failed(&mut self, start: u64, retry_after: Option<Duration>) {
        if let Some(failed) = self.take_failed(start) {
            self.last = failed;
        }
        self.failed_at = Instant::now();
        let report = Arc::new(self.describe(self.last.failure, self.last.summary.clone(), retry_after));
        self.report = Some(Arc::clone(&report));
        self.events.tell(Event::StartFailed { report });
    }

    /// The report of a new instance that could not take over.
    pub(super) fn candidate_report(&mut self, start: u64) -> Arc<StartReport> {
        if let Some((_, report)) = self.refused.as_ref().filter(|(of, _)| *of == start) {
            return Arc::clone(report);
        }
        self.last = self.take_failed(start).unwrap_or_else(|| {
            let text = "The new instance was proven, but was gone before it could take over.".to_owned();
            Failed::early(StartFailure::Exited, text, true)
        });
        let report = Arc::new(self.describe(self.last.failure, self.last.summary.clone(), None));
        self.report = Some(Arc::clone(&report));
        self.refused = Some((start, Arc::clone(&report)));
        report
    }

    /// What is published while nothing can be started.
    pub(super) fn down(&mut self, why: Down) -> BackendState {
        let report = match why {
            Down::Failed => self.report.clone(),
            Down::RetryNow => {
                self.report.as_deref().map(|report| Arc::new(StartReport { retry_after: None, ..report.clone() }))
            }
            Down::BackingOff { retry_after } => Some(self.backing_off(retry_after)),
            Down::TooManyCrashes { crashes, retry_after } => {
                self.events.tell(Event::TooManyCrashes { crashes, retry_after });
                Some(self.too_many_crashes(crashes, retry_after))
            }
        };
        BackendState::Down(report.unwrap_or_else(|| {
            let summary = "The last start failed.".to_owned();
            Arc::new(self.describe(StartFailure::System, summary, None))
        }))
    }

    fn backing_off(&self, retry_after: Duration) -> Arc<StartReport> {
        let ago = seconds(self.failed_at.elapsed());
        let wait = seconds(retry_after);
        let cause = self.report.as_ref().map_or("", |report| &report.summary);
        let summary = format!(
            "No start was tried: the last one failed {ago} ago, the next is tried on a request in {wait} or later. {cause}"
        );
        Arc::new(self.describe(StartFailure::BackingOff, summary, Some(retry_after)))
    }

    fn too_many_crashes(&mut self, crashes: u32, retry_after: Duration) -> Arc<StartReport> {
        let allowed = self.machine.plan().settings.rapid_fails_per_minute;
        let wait = seconds(retry_after);
        let summary = format!(
            "No start was tried: the backend crashed {crashes} times within a minute, and rapidFailsPerMinute \
             allows {allowed}; the next start is tried on a request in {wait} or later."
        );
        let report = self.describe(StartFailure::BackingOff, summary, Some(retry_after));
        Arc::clone(self.report.insert(Arc::new(report)))
    }

    fn describe(&self, failure: StartFailure, summary: String, retry_after: Option<Duration>) -> StartReport {
        let settings = &self.machine.plan().settings;
        StartReport {
            failure,
            summary,
            command: self.last.command.clone(),
            directory: settings.root.display().to_string(),
            ended: self.last.ended.map(|ended| ended.to_string()),
            port: self.last.port,
            attempts: self.attempts,
            elapsed: self.began.elapsed(),
            last_lines: self.last.last_lines.clone(),
            retry_after,
            development: environment::development(settings),
            show_page: settings.show_page,
        }
    }
}
