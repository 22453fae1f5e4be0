//! What the program answers.
//!
//! | path | answer |
//! |---|---|
//! | `/script/NAME` | what the script says, line by line |
//! | `/who` | `start N pid P port Q` |
//! | `/count` | how many bytes the body had |
//! | `/zeros/BYTES` | so many zero bytes |
//! | `/load/MANNER/NAME` | see `load`; the name is written down before |
//! | `/exit/CODE` | none: the program ends |
//! | `POST /iisintegration` with the event | by its manner |
//! | anything else | `ok` |
//!
//! A script's lines: `read` (the body, to its end), `send TEXT` (`\r`, `\n`, `\\`),
//! `wait GATE`, `mark NAME`, `zeros BYTES`, `until-closed NAME` (then a mark),
//! `close`, `reset`.

use crate::folder::Log;
use crate::life::{Life, Manner};
use crate::load;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A reader that logs what it reads.
struct Tap {
    stream: TcpStream,
    log: Log,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.log.write(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

struct Peer {
    reader: BufReader<Tap>,
    stream: TcpStream,
}

struct Head {
    method: String,
    path: String,
    length: Option<u64>,
    event: bool,
    close: bool,
    token: Vec<String>,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    End,
}

/// Serves one connection to its end.
pub(crate) fn talk(stream: TcpStream, life: &Life) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let tap = Tap { stream: stream.try_clone()?, log: life.folder.log() };
    let mut peer = Peer { reader: BufReader::with_capacity(64 * 1024, tap), stream };
    while let Some(head) = peer.head()? {
        let work = life.begin();
        let next = peer.answer(&head, life)?;
        drop(work);
        if next == Next::End || head.close {
            break;
        }
    }
    Ok(())
}

impl Peer {
    fn answer(&mut self, head: &Head, life: &Life) -> std::io::Result<Next> {
        let path = head.path.strip_prefix(&life.base).unwrap_or(&head.path);
        let mut parts = path.splitn(3, '/').skip(1);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match first {
            "script" => {
                let lines = life.folder.script(second).unwrap_or_else(|| vec!["close".to_owned()]);
                return self.follow(&lines, head, life);
            }
            "exit" => {
                // The shortest way to end a program at once, and the only one without a warning.
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
            }
            "zeros" => {
                let bytes: u64 = second.parse().unwrap_or(0);
                self.drain(head)?;
                write!(self.stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n")?;
                self.zeros(bytes)?;
            }
            "load" => {
                let (manner, name) = second.split_once('/').unwrap_or_default();
                life.folder.saw(name)?;
                let bytes = self.drain(head)?;
                load::answer(&mut self.stream, &life.folder, manner, name, bytes)?;
            }
            "count" => {
                let bytes = self.drain(head)?;
                self.text(&format!("{bytes}"))?;
            }
            "who" => {
                self.drain(head)?;
                let (start, pid) = (life.folder.start(), std::process::id());
                self.text(&format!("start {start} pid {pid} port {}", life.port))?;
            }
            "iisintegration" if head.event && head.method == "POST" => return self.shut_down(head, life),
            _ => {
                self.drain(head)?;
                self.text("ok")?;
            }
        }
        Ok(Next::Request)
    }

    fn shut_down(&mut self, head: &Head, life: &Life) -> std::io::Result<Next> {
        let paired = head.token.len() == 1 && head.token.first() == Some(&life.token);
        let _ = life.folder.mark(if paired { "asked-to-stop" } else { "asked-without-token" });
        let status = match life.manner {
            _ if !paired => "400 Bad Request",
            Manner::Polite | Manner::Slow(_) => "202 Accepted",
            Manner::Deaf | Manner::Stubborn => "404 Not Found",
        };
        write!(self.stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
        if status.starts_with("202") {
            life.stop();
        }
        Ok(Next::Request)
    }

    fn follow(&mut self, lines: &[String], head: &Head, life: &Life) -> std::io::Result<Next> {
        for line in lines {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "read" => drop(self.drain(head)?),
                "send" => self.stream.write_all(&unescape(rest))?,
                "wait" => life.folder.wait(rest),
                "mark" => life.folder.mark(rest)?,
                "zeros" => self.zeros(rest.parse().unwrap_or(0))?,
                "until-closed" => {
                    // However it ends, it has ended.
                    let _ = std::io::copy(&mut self.reader, &mut std::io::sink());
                    life.folder.mark(rest)?;
                }
                "close" => return Ok(Next::End),
                "reset" => {
                    rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
                    return Ok(Next::End);
                }
                _ => return Err(std::io::Error::other("an unknown word in a script")),
            }
        }
        Ok(Next::Request)
    }

    fn text(&mut self, text: &str) -> std::io::Result<()> {
        write!(
            self.stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }

    fn zeros(&mut self, bytes: u64) -> std::io::Result<()> {
        let piece = vec![0; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            self.stream.write_all(piece.get(..now).unwrap_or_default())?;
            left -= now as u64;
        }
        Ok(())
    }

    fn head(&mut self) -> std::io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut first = lines.first().map_or("", String::as_str).split(' ');
        let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
        let values = |name: &str| -> Vec<String> {
            lines
                .iter()
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .filter(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
                .collect()
        };
        let chunked = values("transfer-encoding").iter().any(|v| v.eq_ignore_ascii_case("chunked"));
        let length = values("content-length").first().and_then(|v| v.parse().ok()).unwrap_or(0);
        Ok(Some(Head {
            method: method.to_owned(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            length: (!chunked).then_some(length),
            close: values("connection").iter().any(|v| v.eq_ignore_ascii_case("close")),
            event: values("ms-aspnetcore-event").iter().any(|v| v.eq_ignore_ascii_case("shutdown")),
            token: values("ms-aspnetcore-token"),
        }))
    }

    /// Reads a body to its end; gives its length.
    fn drain(&mut self, head: &Head) -> std::io::Result<u64> {
        if let Some(length) = head.length {
            return self.skip(length);
        }
        let mut total = 0;
        loop {
            let line = self.line()?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            let size = u64::from_str_radix(&line, 16).map_err(std::io::Error::other)?;
            if size == 0 {
                while self.line()?.is_some_and(|line| !line.is_empty()) {}
                return Ok(total);
            }
            total += self.skip(size)?;
            self.line()?;
        }
    }

    fn skip(&mut self, bytes: u64) -> std::io::Result<u64> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(bytes), &mut std::io::sink())?;
        if skipped < bytes { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(skipped) }
    }

    /// A line without its end; `None` at the end of the connection.
    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match (byte, if byte == b'\\' { rest.next() } else { None }) {
            (_, Some(b'r')) => bytes.push(b'\r'),
            (_, Some(b'n')) => bytes.push(b'\n'),
            (_, Some(other)) => bytes.push(other),
            (byte, None) => bytes.push(byte),
        }
    }
    bytes
}
