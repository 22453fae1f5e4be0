//! What a client speaks, by its first bytes, before a parser is set up for it.
//!
//! A connection that says nothing costs no parser buffer and has its own deadline.

use super::progress::Progress;
use crate::settings::{EdgeSettings, ms};
use socket2::SockRef;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::task::Poll;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// HTTP/1, or something that its parser shall refuse.
    Http1,
    /// A TLS handshake record (RFC 8446 §5.1).
    Tls,
    /// The preface of HTTP/2 (RFC 9113 §3.4).
    Http2,
    /// The client left, or the worker drains.
    Nothing,
    /// No byte came in time.
    Late,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits for the first bytes and leaves them where they are.
pub(crate) async fn sniff(stream: &TcpStream, progress: &Progress, settings: &EdgeSettings) -> Sniffed {
    let mut space = [0_u8; PREFACE.len()];
    let first = poll_fn(|cx| {
        progress.keep_task(cx);
        let mut buf = ReadBuf::new(&mut space);
        match stream.poll_peek(cx, &mut buf) {
            // A request that lies in the socket already is still answered.
            Poll::Pending if progress.is_draining() => Poll::Ready(at_once(stream)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(count)) if count > 0 => Poll::Ready(of(buf.filled())),
            Poll::Ready(_) => Poll::Ready(Sniffed::Nothing),
        }
    });
    tokio::time::timeout(ms(settings.first_byte_ms_max), first).await.unwrap_or(Sniffed::Late)
}

/// Asks the system itself: the runtime may not have heard of the bytes yet.
fn at_once(stream: &TcpStream) -> Sniffed {
    match SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]) {
        Ok(1) => Sniffed::Http1,
        _ => Sniffed::Nothing,
    }
}

/// A preface that comes in pieces is left to hyper, which knows it too.
fn of(bytes: &[u8]) -> Sniffed {
    match bytes {
        [0x16, 0x03, ..] | [0x16] => Sniffed::Tls,
        [b'P', b'R', b'I', b' ', ..] if PREFACE.starts_with(bytes) => Sniffed::Http2,
        _ => Sniffed::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sniffed, of};

    #[test]
    fn first_bytes_tell() {
        for (bytes, want) in [
            (&b"GET / HTTP/1.1\r\n"[..], Sniffed::Http1),
            (b"P", Sniffed::Http1),
            (b"PRI", Sniffed::Http1),
            (b"PRIx", Sniffed::Http1),
            (b"PRI / HTTP/1.1\r\n", Sniffed::Http1),
            (b"PRI * HTTP/2", Sniffed::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniffed::Http2),
            (b"\x16\x03\x01\x02", Sniffed::Tls),
            (b"\x16", Sniffed::Tls),
            (b"\x16\x04", Sniffed::Http1),
            (b"\0", Sniffed::Http1),
        ] {
            assert_eq!(of(bytes), want, "{bytes:?}");
        }
    }
}
