//! Stopping one backend: request, signal, kill.

use crate::ask;
use crate::attempt::Running;
use crate::event::{Ended, Event, Events};
use crate::settings::{Section, Settings, below};
use crate::supervisor::StopOutcome;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A launcher that leaves by itself after its listener does so within this time.
const LAUNCHER_GRACE: Duration = Duration::from_millis(200);
/// What the paired application answers when it will stop.
const ACCEPTED: u16 = 202;

/// Stops the backend within `shutdownTimeLimit`, as the ASP.NET Core module does:
/// a paired request; if it is not accepted, `SIGTERM` to the process group; at
/// the limit `SIGKILL` to the whole tree. What is left of the tree when the
/// backend has ended is killed as well.
pub(crate) async fn stop(running: &mut Running, settings: &Settings, events: &dyn Events) -> StopOutcome {
    let deadline = Instant::now() + settings.shutdown_limit;
    let (pid, port) = (running.pid, running.addr.port());
    let in_time = !settings.shutdown_limit.is_zero() && {
        timeout_at(deadline, request(running, settings, events, deadline)).await.is_ok()
    };
    let ended = running.ended;
    if !in_time {
        events.tell(Event::Killed { pid, limit: settings.shutdown_limit });
    }
    running.kill().await;
    events.tell(Event::Ended { pid, port, ended: ended.or(running.ended), asked: true });
    if in_time { StopOutcome::Ended(ended.unwrap_or(Ended::Code(0))) } else { StopOutcome::Killed }
}

/// Asks by request or by signal, and waits for the end.
async fn request(running: &mut Running, settings: &Settings, events: &dyn Events, deadline: Instant) {
    let pid = running.pid;
    let accepted = settings.section == Section::AspNetCore && {
        let target = format!("{}/iisintegration", below(&settings.app_path));
        let answer = timeout_at(deadline, ask::shutdown(running.addr, &target, &running.token)).await;
        let status = answer.ok().and_then(Result::ok);
        events.tell(Event::StopRequested { pid, status });
        status == Some(ACCEPTED)
    };
    if !accepted {
        running.kept.terminate().await;
        events.tell(Event::TerminationSent { pid });
    }
    running.died().await;
    // A started process that outlives its listener is a launcher, and was not
    // asked yet. Other helpers of the application are not waited for.
    if !running.ends_within(LAUNCHER_GRACE).await {
        running.kept.terminate().await;
        events.tell(Event::TerminationSent { pid });
        running.ends_within(Duration::MAX).await;
    }
}
