//! One connection to the backend with its buffers.

use crate::deadline::Deadline;
use bytes::BytesMut;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

/// Room for a response head in the read buffer, in bytes.
const HEAD_ROOM: usize = 8 * 1024;
/// Less room than this is not worth a read, in bytes.
const READ_MIN: usize = 2 * 1024;
/// Buffers above this size are not kept by an idle connection, in bytes.
const KEEP_MAX: usize = 16 * 1024;

/// A connection to the backend of one start.
pub(crate) struct Connection {
    stream: TcpStream,
    /// Read and not yet understood.
    pub(crate) input: BytesMut,
    /// The encoded request head, or what is left to send of it.
    pub(crate) head: BytesMut,
    /// Idle limit.
    pub(crate) deadline: Deadline,
    /// Number of the backend's start.
    pub(crate) start: u64,
}

impl Connection {
    /// Connects without delay for small segments.
    pub(crate) async fn open(addr: SocketAddr, start: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::new(), head: BytesMut::new(), deadline: Deadline::default(), start })
    }

    /// Reads once into `input`; makes `room` bytes of room where little is left.
    /// `Ok(0)`: the backend ended its side.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < READ_MIN.min(room) {
            self.input.reserve(room);
        }
        // The future holds no state between polls: a fresh one each time is right.
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }

    /// Reads while waiting for a head.
    pub(crate) fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read(cx, HEAD_ROOM)
    }

    /// Writes what is left of the head and then `rest` in one call to the system.
    /// The head's share is taken off; the answer is the bytes written of `rest`
    /// and the bytes written in all.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, rest: [&[u8]; 3]) -> Poll<io::Result<(usize, usize)>> {
        let stream = Pin::new(&mut self.stream);
        let polled = if rest.iter().all(|part| part.is_empty()) {
            stream.poll_write(cx, &self.head)
        } else {
            let [prefix, chunk, suffix] = rest;
            let parts = [IoSlice::new(&self.head), IoSlice::new(prefix), IoSlice::new(chunk), IoSlice::new(suffix)];
            stream.poll_write_vectored(cx, &parts)
        };
        polled.map(|result| {
            let written = result?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_head = written.min(self.head.len());
            if of_head == self.head.len() {
                self.head.clear();
            } else {
                let _sent = self.head.split_to(of_head);
            }
            Ok((written - of_head, written))
        })
    }

    /// True if the backend has neither closed the connection nor said anything
    /// unasked. Costs no call to the system unless the poller saw something.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Gives back large buffers before the connection idles.
    pub(crate) fn rest(&mut self) {
        if self.input.capacity() > KEEP_MAX {
            self.input = BytesMut::new();
        }
        if self.head.capacity() > KEEP_MAX {
            self.head = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, KEEP_MAX};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_idle_connection_keeps_small_buffers_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        for (room, kept) in [(KEEP_MAX, KEEP_MAX), (KEEP_MAX + 1, 0)] {
            let mut connection = Connection::open(addr, 1).await.expect("it listens");
            connection.input = bytes::BytesMut::with_capacity(room);
            connection.head = bytes::BytesMut::with_capacity(room);
            connection.rest();
            assert_eq!((connection.input.capacity(), connection.head.capacity()), (kept, kept));
        }
    }
}
