//! A raw HTTP/1.1 client: the bytes that a test writes, and the bytes that came.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::wait::SOON;

/// Everything that clients of one host received, up to a limit: for the search
/// for secrets at the end of a test.
pub type Transcript = Arc<Mutex<Vec<u8>>>;

/// Bytes of a transcript that are kept.
const TRANSCRIPT_BYTES_MAX: usize = 8 << 20;

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    transcript: Transcript,
}

/// A response's head.
#[derive(Clone, Debug)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Fields in order, names as sent.
    pub headers: Vec<(String, String)>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body, without framing.
    pub body: Vec<u8>,
}

impl Head {
    /// All values of a field, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The only value of a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        match self.values(name).as_slice() {
            [] => None,
            [value] => Some(value),
            several => panic!("{name} came {} times: {several:?}", several.len()),
        }
    }
}

impl Response {
    /// Status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The only value of a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.head.value(name)
    }
}

impl Client {
    /// Connects.
    #[must_use]
    pub fn connect(addr: SocketAddr, transcript: Transcript) -> Self {
        let stream = TcpStream::connect(addr).expect("the host accepts connections");
        stream.set_nodelay(true).expect("a TCP stream takes the option");
        stream.set_read_timeout(Some(SOON)).expect("a TCP stream takes the option");
        stream.set_write_timeout(Some(SOON)).expect("a TCP stream takes the option");
        Self { stream, buffer: Vec::new(), transcript }
    }

    /// The stream itself, for what this client has no word for.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("the host takes the bytes");
        self
    }

    /// Writes these bytes; false if the other side closed or reset meanwhile.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a GET and reads the answer.
    pub fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).response()
    }

    /// Sends a POST with a length and reads the answer.
    pub fn post(&mut self, target: &str, body: &[u8]) -> Response {
        self.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len()));
        self.send(body).response()
    }

    /// Reads a response to anything but HEAD.
    pub fn response(&mut self) -> Response {
        let head = self.head();
        let body = self.body(&head);
        Response { head, body }
    }

    /// Reads a head; interim (1xx) responses are returned like any other.
    pub fn head(&mut self) -> Head {
        let end = self.find(b"\r\n\r\n").unwrap_or_else(|| {
            panic!("the connection ended before a head: {:?}", String::from_utf8_lossy(&self.buffer))
        });
        let bytes: Vec<u8> = self.buffer.drain(..end + 4).collect();
        parse_head(&String::from_utf8_lossy(&bytes))
    }

    fn body(&mut self, head: &Head) -> Vec<u8> {
        if head.status < 200 || matches!(head.status, 204 | 304) {
            return Vec::new();
        }
        if head.value("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
            return body;
        }
        match head.value("content-length") {
            Some(length) => self.take(length.parse().expect("a content-length is a number")),
            None => self.rest(),
        }
    }

    /// Reads one chunk; `None` at the last one, whose trailers are dropped.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            while !self.line().is_empty() {}
            return None;
        }
        let chunk = self.take(size);
        assert_eq!(self.line(), "", "a chunk ends with CRLF");
        Some(chunk)
    }

    /// Reads a line without its end.
    pub fn line(&mut self) -> String {
        let end = self.find(b"\r\n").expect("a line comes before the end of the connection");
        let line = self.buffer.drain(..end + 2).take(end).collect();
        String::from_utf8(line).expect("a line of HTTP framing is ASCII")
    }

    /// Reads exactly so many bytes.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            assert!(self.fill(), "the connection ended after {} of {bytes} bytes", self.buffer.len());
        }
        self.buffer.drain(..bytes).collect()
    }

    /// Reads so many bytes and throws them away: memory stays flat.
    pub fn skip(&mut self, mut bytes: u64) {
        while bytes > 0 {
            if self.buffer.is_empty() {
                assert!(self.fill(), "the connection ended {bytes} bytes too early");
            }
            let now = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.buffer.len());
            self.buffer.drain(..now);
            bytes -= now as u64;
        }
    }

    /// Reads to the end of the connection, clean or not.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// True if the other side ends the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn find(&mut self, pattern: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(pattern.len()).position(|w| w == pattern) {
                return Some(at);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads once; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let count = match self.stream.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing came in {SOON:?} ({error})"),
        };
        piece.truncate(count);
        let mut transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if transcript.len() < TRANSCRIPT_BYTES_MAX {
            transcript.extend(&piece);
        }
        self.buffer.extend(piece);
        count > 0
    }
}

fn parse_head(text: &str) -> Head {
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let mut parts = status_line.splitn(3, ' ');
    let version = parts.next().unwrap_or_default();
    assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "no status line: {status_line:?}");
    let status = parts.next().and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no status: {status_line:?}"));
    let headers = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}")))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Head { status, reason: parts.next().unwrap_or_default().to_owned(), headers }
}
