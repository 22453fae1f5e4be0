//! What is said past hyper: a refusal of bytes that were no request, and a
//! close that does not tear the refusal away.

use crate::settings::{EdgeSettings, ms};
use bytes::Bytes;
use http_body::Body;
use std::future::poll_fn;
use std::io::Write as _;
use std::pin::pin;
use std::time::SystemTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::Fault;
use wire::ports::Reply;

/// A refusal's body beyond this is cut; none is that long.
const PAGE_BYTES_MAX: usize = 65_536;

/// Writes a refusal with `connection: close`, then reads on for a while: a
/// close over unread bytes would reset the connection and may destroy the
/// refusal on its way (RFC 9112 §9.6).
pub(crate) async fn refuse<B>(stream: &mut TcpStream, reply: Reply<B>, settings: &EdgeSettings)
where
    B: Body<Data = Bytes, Error = Fault>,
{
    let said = timeout(ms(settings.linger_ms_max), async {
        let bytes = render(reply).await;
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    });
    if matches!(said.await, Ok(Ok(()))) {
        linger(stream, settings).await;
    }
}

/// Reads and drops what still comes, within limits.
pub(crate) async fn linger(stream: &mut TcpStream, settings: &EdgeSettings) {
    let mut left = settings.linger_bytes_max;
    let mut space = vec![0_u8; left.clamp(1, 8_192)];
    let drained = timeout(ms(settings.linger_ms_max), async {
        while left > 0 {
            match stream.read(&mut space).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => return,
            }
        }
    });
    // Either way the connection is closed next.
    let _ = drained.await;
}

async fn render<B>(reply: Reply<B>) -> Vec<u8>
where
    B: Body<Data = Bytes, Error = Fault>,
{
    let mut page = Vec::new();
    let mut body = pin!(reply.body);
    while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.into_data() else { break };
        if page.len() + data.len() > PAGE_BYTES_MAX {
            break;
        }
        page.extend_from_slice(&data);
    }
    let status = reply.head.status;
    let mut out = Vec::with_capacity(512 + page.len());
    // Writing to a vector can't fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    for (name, value) in &reply.head.headers {
        if wire::fields::is_hop_by_hop(name) || matches!(name.as_str(), "content-length" | "date") {
            continue;
        }
        let _ = write!(out, "{name}: ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let _ = write!(out, "content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n", page.len());
    out.extend_from_slice(&page);
    out
}
