//! A connection of the steady load. Unlike [`crate::Client`] it gives errors
//! back: they are what is measured.

use std::io::{BufRead as _, BufReader, Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A client gives up after this long without a byte.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// The current request's answer has begun.
    answered: bool,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The host said, or showed, that nothing more comes by this connection.
    pub(super) close: bool,
}

impl Connection {
    pub(super) fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), answered: false })
    }

    /// True if a line, at least, of an answer to the last request came.
    pub(super) fn answered(&self) -> bool {
        self.answered
    }

    pub(super) fn ask(&mut self, target: &str, body: Option<&[u8]>) -> Result<Answer> {
        let mut request = match body {
            None => format!("GET {target} HTTP/1.1\r\nHost: load\r\n\r\n").into_bytes(),
            Some(body) => {
                format!("POST {target} HTTP/1.1\r\nHost: load\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes()
            }
        };
        request.extend(body.unwrap_or_default());
        self.answered = false;
        // An early answer may stand behind a write that failed.
        let written = self.stream.get_mut().write_all(&request);
        let answer = self.answer();
        if answer.is_err() {
            written?;
        }
        answer
    }

    fn answer(&mut self) -> Result<Answer> {
        let first = self.line()?;
        self.answered = true;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status: u16 = status.ok_or_else(|| Error::other(format!("no status line: {first:?}")))?;
        let (mut length, mut chunked, mut close) = (None, false, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(':') else {
                if line.is_empty() {
                    break;
                }
                return Err(Error::other(format!("no field: {line:?}")));
            };
            match (name, value.trim()) {
                ("content-length", value) => length = Some(value.parse().map_err(Error::other)?),
                ("transfer-encoding", "chunked") => chunked = true,
                ("connection", value) => close = value.contains("close"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => self.take(length, &mut body)?,
            None if chunked => self.chunks(&mut body)?,
            None => {
                close = true;
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(Answer { status, body, close })
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let line = self.line()?;
            let size = u64::from_str_radix(&line, 16).map_err(Error::other)?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(());
            }
            self.take(size, body)?;
            self.line()?;
        }
    }

    fn take(&mut self, bytes: u64, body: &mut Vec<u8>) -> Result<()> {
        let taken = self.stream.by_ref().take(bytes).read_to_end(body)? as u64;
        if taken < bytes { Err(Error::other(format!("the body ended after {taken} of {bytes} bytes"))) } else { Ok(()) }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.as_slice() {
            [text @ .., b'\r', b'\n'] => Ok(String::from_utf8_lossy(text).into_owned()),
            _ => Err(Error::other(format!("the connection ended within a line: {:?}", String::from_utf8_lossy(&line)))),
        }
    }
}
