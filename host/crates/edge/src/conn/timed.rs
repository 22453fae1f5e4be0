//! The socket as hyper sees it: each byte that moves is noted in [`Progress`].

use super::progress::Progress;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Head and body of a reply up to this size together, in bytes, go out in one
/// plain write: copying them costs less than the system's walk over a vector.
const JOINED_BYTES_MAX: usize = 2048;

/// A client's socket. Dropped while a reply is owed or half written, it resets
/// the connection, so that no client takes the end of the bytes for the end of
/// the reply.
pub(crate) struct Timed {
    stream: TcpStream,
    progress: Rc<Progress>,
}

impl Timed {
    pub(crate) fn new(stream: TcpStream, progress: Rc<Progress>) -> Self {
        Self { stream, progress }
    }

    /// The socket itself, for what is said past hyper.
    pub(crate) fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// hyper answers what it can't parse with a bare status of its own. That
    /// never reaches the client: the status is kept, and the host's own refusal
    /// takes its place. `None` where the bytes are a handler's reply.
    fn keep_refusal(&self, bytes: &[u8], length: usize) -> Option<Poll<io::Result<usize>>> {
        if !self.progress.owes_nothing() {
            return None;
        }
        let status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.progress.parser_refuses(status.unwrap_or(400));
        Some(Poll::Ready(Ok(length)))
    }

    fn note_write(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.progress.write_blocked(),
            Poll::Ready(_) => self.progress.bytes_went(),
        }
        result
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(outcome) = &result {
            if outcome.is_ok() && buf.filled().len() > before {
                self.progress.bytes_came();
            } else if buf.remaining() > 0 {
                self.progress.client_ended();
            }
        }
        result
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(kept) = self.keep_refusal(buf, buf.len()) {
            return kept;
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.first().map(|buf| &**buf).unwrap_or_default();
        if let Some(kept) = self.keep_refusal(first, bufs.iter().map(|buf| buf.len()).sum()) {
            return kept;
        }
        let mut joined = [0; JOINED_BYTES_MAX];
        let result = match join(bufs, &mut joined) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.note_write(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket holds nothing back; hyper calls this once its own buffer is empty.
        self.progress.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.progress.parser_refusal().is_some() {
            // The refusal that takes its place still has to go out.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The pieces as one, if there is more than one and they fit.
fn join<'j>(bufs: &[IoSlice<'_>], joined: &'j mut [u8; JOINED_BYTES_MAX]) -> Option<&'j [u8]> {
    if bufs.len() < 2 {
        return None;
    }
    let mut length = 0;
    for buf in bufs {
        joined.get_mut(length..length + buf.len())?.copy_from_slice(buf);
        length += buf.len();
    }
    joined.get(..length)
}

impl Drop for Timed {
    fn drop(&mut self) {
        if !self.progress.owes_nothing() {
            // Best effort: a socket that refuses this is closed the plain way.
            let _ = self.stream.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JOINED_BYTES_MAX, join};
    use std::io::IoSlice;

    #[test]
    fn small_pieces_are_joined_up_to_the_limit() {
        let large = [b'x'; JOINED_BYTES_MAX];
        for (pieces, joined) in [
            (vec![b"head".as_slice(), b"body"], Some(8)),
            (vec![b"one".as_slice()], None),
            (vec![&large[..JOINED_BYTES_MAX - 1], b"y"], Some(JOINED_BYTES_MAX)),
            (vec![&large[..], b"y"], None),
        ] {
            let bufs: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut buffer = [0; JOINED_BYTES_MAX];
            let got = join(&bufs, &mut buffer);
            assert_eq!(got.map(<[u8]>::len), joined);
            assert!(got.is_none_or(|got| got == pieces.concat()));
        }
    }
}
