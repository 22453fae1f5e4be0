//! Stopping one backend: request, signal, kill.

use crate::attempt::Running;
use crate::event::{Ended, Event, Events};
use crate::settings::{Section, Settings, below};
use crate::supervisor::StopOutcome;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wire::PairingToken;

/// The status line of the answer is looked for in this many bytes.
const STATUS_BYTES_MAX: usize = 64;
/// A launcher that leaves by itself after its listener does so within this time.
const LAUNCHER_GRACE: Duration = Duration::from_millis(200);
/// What the paired application answers when it will stop.
const ACCEPTED: u16 = 202;

/// Stops the backend within `shutdownTimeLimit`, as the ASP.NET Core module does:
/// a paired request; if it is not accepted, `SIGTERM` to the process group; at
/// the limit `SIGKILL` to the whole tree. What is left of the tree when the
/// backend has ended is killed as well.
pub(crate) async fn stop(mut running: Running, settings: &Settings, events: &dyn Events) -> StopOutcome {
    let deadline = Instant::now() + settings.shutdown_limit;
    let (pid, port) = (running.pid, running.addr.port());
    let in_time = !settings.shutdown_limit.is_zero() && {
        timeout_at(deadline, ask(&mut running, settings, events, deadline)).await.is_ok()
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
async fn ask(running: &mut Running, settings: &Settings, events: &dyn Events, deadline: Instant) {
    let pid = running.pid;
    let accepted = settings.section == Section::AspNetCore && {
        let answer = timeout_at(deadline, request(running.addr, &settings.app_path, &running.token)).await;
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

/// Sends the paired stop request on a connection of its own; the answer's status.
async fn request(addr: SocketAddr, app_path: &str, token: &PairingToken) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(addr).await?;
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(format!("POST {}/iisintegration HTTP/1.1\r\nHost: {addr}\r\n", below(app_path)).as_bytes());
    head.extend_from_slice(b"MS-ASPNETCORE-EVENT: shutdown\r\nMS-ASPNETCORE-TOKEN: ");
    head.extend_from_slice(token.reveal());
    head.extend_from_slice(b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::with_capacity(STATUS_BYTES_MAX);
    while answer.len() < STATUS_BYTES_MAX {
        if let Some(status) = status(&answer) {
            return Ok(status);
        }
        let mut piece = [0; STATUS_BYTES_MAX];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    status(&answer).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// The status of `HTTP/1.x NNN ...`; none as long as it is not complete.
fn status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.")?;
    let (b' ', [a, b, c, b' ' | b'\r', ..]) = (rest.get(1)?, rest.get(2..)?) else { return None };
    let digits = [*a, *b, *c];
    std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{request, status};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wire::PairingToken;

    #[test]
    fn a_status_is_read_as_soon_as_it_is_complete() {
        for (bytes, expected) in [
            ("", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 202", None),
            ("HTTP/1.1 202 Accepted\r\n", Some(202)),
            ("HTTP/1.0 404\r\n", Some(404)),
            ("HTTP/1.1 2x2 ", None),
            ("HTTP/2 202 ", None),
        ] {
            assert_eq!(status(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn the_request_is_exactly_this() {
        for (app_path, target) in
            [("/", "/iisintegration"), ("/app", "/app/iisintegration"), ("/a/b/", "/a/b/iisintegration")]
        {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let backend = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut got = Vec::new();
                while !got.ends_with(b"\r\n\r\n") {
                    got.push(stream.read_u8().await.unwrap());
                }
                // In two pieces, as a slow backend would.
                stream.write_all(b"HTTP/1.1 2").await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(b"02 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                String::from_utf8(got).unwrap()
            };
            let token = PairingToken::from_text("t0ken").unwrap();
            let (status, got) = tokio::join!(request(addr, app_path, &token), backend);
            assert_eq!(status.unwrap(), 202);
            assert_eq!(
                got,
                format!(
                    "POST {target} HTTP/1.1\r\nHost: {addr}\r\nMS-ASPNETCORE-EVENT: shutdown\r\n\
                     MS-ASPNETCORE-TOKEN: t0ken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            );
        }
    }
}
