//! Just enough HTTP/1.1 (RFC 9112) to serve a host that is as strict as we are.

use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::net::TcpStream;

/// Bytes of a request head, request line included. More: 431.
const HEAD_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a chunk-size line or trailer line. More: the connection ends.
const LINE_BYTES_MAX: u64 = 4096;

/// One client connection.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    writer: BufWriter<TcpStream>,
}

/// What came from the connection.
pub(crate) enum Received {
    /// A request.
    Request(Request),
    /// Something that is none; the status says why.
    Bad(u16),
    /// The other side has nothing more to ask.
    End,
}

/// A request's head, and how long its body is.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    length: Length,
    keep_alive: bool,
}

#[derive(Clone, Copy)]
enum Length {
    Known(u64),
    Chunked,
}

impl Request {
    /// All values of a field, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The path, without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// A number from the query (`?bytes=100`), or `default`; never above `max`.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> u64 {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name);
        value.and_then(|(_, v)| v.parse().ok()).unwrap_or(default).min(max)
    }

    /// True if the connection stays open after the answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

impl Connection {
    /// Takes over a stream.
    pub(crate) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), writer: BufWriter::new(stream) })
    }

    /// Reads the next head.
    pub(crate) fn receive(&mut self) -> std::io::Result<Received> {
        let mut head = Vec::new();
        loop {
            let room = HEAD_BYTES_MAX.saturating_sub(head.len() as u64);
            let start = head.len();
            let count = self.reader.by_ref().take(room).read_until(b'\n', &mut head)?;
            let line = head.get(start..).unwrap_or_default();
            match line {
                _ if count == 0 && start == 0 && room > 0 => return Ok(Received::End),
                _ if !line.ends_with(b"\n") => return Ok(Received::Bad(if room == count as u64 { 431 } else { 400 })),
                b"\r\n" if start == 0 => head.clear(),
                b"\r\n" => break,
                _ => {}
            }
        }
        Ok(parse(&head).map_or(Received::Bad(400), Received::Request))
    }

    /// Reads the body to its end; gives its length.
    pub(crate) fn drain(&mut self, request: &Request) -> std::io::Result<u64> {
        if request.values("expect").any(|v| v.eq_ignore_ascii_case("100-continue")) {
            self.writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.writer.flush()?;
        }
        match request.length {
            Length::Known(bytes) => self.skip(bytes),
            Length::Chunked => self.drain_chunks(),
        }
    }

    fn drain_chunks(&mut self) -> std::io::Result<u64> {
        let mut total = 0;
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(digits, 16).map_err(std::io::Error::other)?;
            if size == 0 {
                break;
            }
            total += self.skip(size)?;
            if !self.line()?.is_empty() {
                return Err(std::io::Error::other("a chunk that does not end where it should"));
            }
        }
        while !self.line()?.is_empty() {}
        Ok(total)
    }

    fn skip(&mut self, bytes: u64) -> std::io::Result<u64> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(bytes), &mut std::io::sink())?;
        if skipped < bytes {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(skipped)
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        let text = line.strip_suffix("\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
        Ok(text.to_owned())
    }

    /// Answers a whole text; the body is left out for HEAD.
    pub(crate) fn answer(&mut self, request: &Request, status: u16, text: &str) -> std::io::Result<()> {
        self.text(status, text, request.is_head(), !request.keep_alive)
    }

    /// Answers without a request.
    pub(crate) fn answer_text(&mut self, status: u16, text: &str, close: bool) -> std::io::Result<()> {
        self.text(status, text, false, close)
    }

    fn text(&mut self, status: u16, text: &str, head_only: bool, close: bool) -> std::io::Result<()> {
        let kind = "text/plain; charset=utf-8";
        self.head(status, kind, &format!("Content-Length: {}", text.len()), close)?;
        if !head_only {
            self.writer.write_all(text.as_bytes())?;
        }
        self.writer.flush()
    }

    /// Answers `bytes` zero bytes, streamed.
    pub(crate) fn answer_zeros(&mut self, request: &Request, bytes: u64) -> std::io::Result<()> {
        let length = format!("Content-Length: {bytes}");
        self.head(200, "application/octet-stream", &length, !request.keep_alive)?;
        if !request.is_head() {
            std::io::copy(&mut std::io::repeat(0).take(bytes), &mut self.writer)?;
        }
        self.writer.flush()
    }

    /// Begins an event stream; each event is one chunk.
    pub(crate) fn begin_events(&mut self, request: &Request) -> std::io::Result<()> {
        let framing = "Transfer-Encoding: chunked\r\nCache-Control: no-store";
        self.head(200, "text/event-stream", framing, !request.keep_alive)?;
        self.writer.flush()
    }

    /// Sends one event; `None` ends the stream.
    pub(crate) fn event(&mut self, data: Option<&str>) -> std::io::Result<()> {
        match data {
            Some(data) => {
                let event = format!("data: {data}\n\n");
                write!(self.writer, "{:x}\r\n{event}\r\n", event.len())?;
            }
            None => self.writer.write_all(b"0\r\n\r\n")?,
        }
        self.writer.flush()
    }

    fn head(&mut self, status: u16, kind: &str, more: &str, close: bool) -> std::io::Result<()> {
        let reason = match status {
            200 => "OK",
            202 => "Accepted",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "",
        };
        let close = if close { "Connection: close\r\n" } else { "" };
        write!(self.writer, "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\n{more}\r\n{close}\r\n")
    }
}

/// Parses a head; `None` for anything that RFC 9112 does not allow.
fn parse(head: &[u8]) -> Option<Request> {
    let mut lines = std::str::from_utf8(head).ok()?.split_terminator("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if first.next().is_some() || !target.starts_with('/') || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return None;
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return None;
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        length: Length::Known(0),
        keep_alive: version == "HTTP/1.1",
    };
    request.length = length(&request)?;
    if request.values("connection").any(|v| v.eq_ignore_ascii_case("close")) {
        request.keep_alive = false;
    }
    Some(request)
}

/// RFC 9112 §6.3: one framing field at most, and one we know.
fn length(request: &Request) -> Option<Length> {
    let lengths: Vec<&str> = request.values("content-length").collect();
    let codings: Vec<&str> = request.values("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Some(Length::Known(0)),
        ([bytes], []) if bytes.bytes().all(|b| b.is_ascii_digit()) => bytes.parse().ok().map(Length::Known),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Some(Length::Chunked),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Length, parse};

    #[test]
    fn heads_are_parsed_or_refused() {
        for (head, length) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(Some(0))),
            ("POST /u HTTP/1.1\r\nContent-Length: 7\r\n\r\n", Some(Some(7))),
            ("POST /u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Some(None)),
            ("POST /u HTTP/1.1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", None),
            ("POST /u HTTP/1.1\r\nContent-Length: +7\r\n\r\n", None),
            ("GET /a b HTTP/1.1\r\n\r\n", None),
            ("GET / HTTP/2.0\r\n\r\n", None),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", None),
        ] {
            let parsed = parse(head.as_bytes()).map(|r| match r.length {
                Length::Known(bytes) => Some(bytes),
                Length::Chunked => None,
            });
            assert_eq!(parsed, length, "{head:?}");
        }
    }
}
