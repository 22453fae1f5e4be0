//! One small request to the application on a connection of its own: the stop
//! request, a question about its health, a warm-up.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::PairingToken;

/// The status line of the answer is looked for in this many bytes.
const STATUS_BYTES_MAX: usize = 64;
/// Of the rest of a warm-up's answer so much is read before the connection is
/// closed: 1 MiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 4096;

/// The paired stop request; the answer's status.
pub(crate) async fn shutdown(addr: SocketAddr, target: &str, token: &PairingToken) -> std::io::Result<u16> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: {addr}\r\nMS-ASPNETCORE-EVENT: shutdown\r\n");
    let mut stream = send(addr, head, token, "Content-Length: 0\r\n").await?;
    first_status(&mut stream).await
}

/// A question; the answer's status. The rest of the answer is not waited for.
pub(crate) async fn status_of(addr: SocketAddr, target: &str, token: &PairingToken) -> std::io::Result<u16> {
    let mut stream = send(addr, get(target), token, "").await?;
    first_status(&mut stream).await
}

/// A request whose whole answer is waited for, up to 1 MiB; its status.
///
/// An application that keeps the connection open, though it was asked to close
/// it, is left at the end of its answer.
pub(crate) async fn whole(addr: SocketAddr, target: &str, token: &PairingToken) -> std::io::Result<u16> {
    let mut stream = send(addr, get(target), token, "").await?;
    let mut answer = Vec::with_capacity(READ_BYTES);
    while answer.len() < ANSWER_BYTES_MAX && !has_ended(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    status(&answer).ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP answer"))
}

/// True once an answer with a length, or in chunks, is there to its last byte.
fn has_ended(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = answer.split_at(end + 4);
    let field = |wanted: &str| {
        head.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    match field("content-length").map(str::parse::<usize>) {
        Some(length) => length.is_ok_and(|length| body.len() >= length),
        None => field("transfer-encoding").is_some() && (body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n")),
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n")
}

async fn send(addr: SocketAddr, head: String, token: &PairingToken, rest: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let mut head = head.into_bytes();
    head.extend_from_slice(b"MS-ASPNETCORE-TOKEN: ");
    head.extend_from_slice(token.reveal());
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(rest.as_bytes());
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    stream.write_all(&head).await?;
    Ok(stream)
}

async fn first_status(stream: &mut TcpStream) -> std::io::Result<u16> {
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
    status(&answer).ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP answer"))
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
    use super::{has_ended, shutdown, status, status_of, whole};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
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

    #[test]
    fn the_end_of_an_answer_is_known_without_the_end_of_the_connection() {
        for (answer, ended) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nabc", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab0\r\n", false),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", false),
        ] {
            assert_eq!(has_ended(answer.as_bytes()), ended, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn an_application_that_does_not_close_is_left_at_the_end_of_its_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let kept = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            stream
        };
        let token = PairingToken::from_text("t0ken").unwrap();
        let (status, _kept) = tokio::join!(whole(addr, "/warm", &token), kept);
        assert_eq!(status.unwrap(), 200);
    }

    /// Takes one request and answers in two pieces, as a slow backend would.
    async fn backend(listener: TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"\r\n\r\n") {
            got.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 2").await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(b"02 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(got).unwrap()
    }

    #[tokio::test]
    async fn the_requests_are_exactly_these() {
        let token = PairingToken::from_text("t0ken").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (status, got) = tokio::join!(shutdown(addr, "/app/iisintegration", &token), backend(listener));
        assert_eq!(status.unwrap(), 202);
        assert_eq!(
            got,
            format!(
                "POST /app/iisintegration HTTP/1.1\r\nHost: {addr}\r\nMS-ASPNETCORE-EVENT: shutdown\r\n\
                 MS-ASPNETCORE-TOKEN: t0ken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        );

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (status, got) = tokio::join!(status_of(addr, "/health?full=1", &token), backend(listener));
        assert_eq!(status.unwrap(), 202);
        assert_eq!(
            got,
            "GET /health?full=1 HTTP/1.1\r\nHost: localhost\r\nMS-ASPNETCORE-TOKEN: t0ken\r\nConnection: close\r\n\r\n"
        );
    }
}
