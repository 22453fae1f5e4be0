//! Answers for a steady load: `/load/MANNER/NAME`.
//!
//! | manner | answer |
//! |---|---|
//! | `quick` | at once, with a length |
//! | `chunked` | at once, in two chunks |
//! | `slow-MS` | with a length, the second half after so many ms |
//! | `events-COUNT-MS` | so many events as chunks, so many ms between them |
//!
//! Each answer begins with `NAME BYTES start N pid P` and ends with `NAME`.

use crate::folder::Folder;
use std::io::{Result, Write};
use std::time::Duration;

/// Filling, so that an answer is more than one small packet.
const FILLING_BYTES: usize = 3000;

/// Writes the answer. `bytes`: length of the request's body.
pub(crate) fn answer(stream: &mut impl Write, folder: &Folder, manner: &str, name: &str, bytes: u64) -> Result<()> {
    let first = format!("{name} {bytes} start {} pid {}\n", folder.start(), std::process::id());
    let last = format!("{} {name}\n", "f".repeat(FILLING_BYTES));
    let mut words = manner.split('-');
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let length = first.len() + last.len();
    match kind {
        "chunked" => {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            write!(stream, "{:x}\r\n{first}\r\n{:x}\r\n{last}\r\n0\r\n\r\n", first.len(), last.len())
        }
        "slow" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{first}")?;
            std::thread::sleep(Duration::from_millis(number()));
            stream.write_all(last.as_bytes())
        }
        "events" => {
            let (count, pause_ms) = (number(), number());
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            write!(stream, "{head}{:x}\r\n{first}\r\n", first.len())?;
            for event in 1..=count {
                std::thread::sleep(Duration::from_millis(pause_ms));
                let event = format!("data: event {event}\n\n");
                write!(stream, "{:x}\r\n{event}\r\n", event.len())?;
            }
            write!(stream, "{:x}\r\n{last}\r\n0\r\n\r\n", last.len())
        }
        _ => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{first}{last}"),
    }
}
