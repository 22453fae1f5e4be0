//! Standard output and error: each line of text is a log line (grant `log`).

use super::handles::{InputStream, OutputStream, Pollable};
use crate::bindings::wasi::wasi::io::streams::{HostOutputStream, StreamError};
use crate::capability::log::LINE_BYTES_MAX;
use crate::log::Level;
use crate::state::State;
use wasmtime::component::Resource;

/// Most bytes of one write; more is a trap, as WASI has it.
const WRITE_BYTES_MAX: u64 = 64 * 1024;
/// Representations of the two streams.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

impl OutputStream {
    pub(crate) fn stdout() -> Resource<Self> {
        Resource::new_own(STDOUT)
    }

    pub(crate) fn stderr() -> Resource<Self> {
        Resource::new_own(STDERR)
    }
}

/// Lines that have begun.
#[derive(Default)]
pub(crate) struct Output {
    out: Vec<u8>,
    error: Vec<u8>,
}

impl Output {
    fn line(&mut self, stream: u32) -> &mut Vec<u8> {
        if stream == STDERR { &mut self.error } else { &mut self.out }
    }
}

impl State {
    /// Hands every line that ends to the log.
    fn print(&mut self, stream: u32, bytes: &[u8]) {
        if !self.common.may_log {
            return;
        }
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(at);
            keep(self.output.line(stream), head);
            self.end_line(stream);
            rest = tail.get(1..).unwrap_or_default();
        }
        keep(self.output.line(stream), rest);
    }

    /// What was printed without a line's end is a line when the hook is over.
    pub(crate) fn end_lines(&mut self) {
        self.end_line(STDOUT);
        self.end_line(STDERR);
    }

    /// Empty lines are for the eye at a terminal: they are left out.
    fn end_line(&mut self, stream: u32) {
        if self.output.line(stream).is_empty() {
            return;
        }
        let line = std::mem::take(self.output.line(stream));
        let level = if stream == STDERR { Level::Warn } else { Level::Info };
        self.tell(level, String::from_utf8_lossy(&line).trim_end_matches('\r'), Vec::new);
    }
}

/// Adds to a line as far as the log takes it; one byte more, so that the log marks the cut.
fn keep(line: &mut Vec<u8>, bytes: &[u8]) {
    let room = (LINE_BYTES_MAX + 1).saturating_sub(line.len());
    line.extend(bytes.iter().take(room));
}

type Done<T> = wasmtime::Result<Result<T, StreamError>>;

impl HostOutputStream for State {
    fn check_write(&mut self, _: Resource<OutputStream>) -> Done<u64> {
        Ok(Ok(WRITE_BYTES_MAX))
    }

    fn write(&mut self, stream: Resource<OutputStream>, contents: Vec<u8>) -> Done<()> {
        if u64::try_from(contents.len()).is_ok_and(|len| len > WRITE_BYTES_MAX) {
            return Err(wasmtime::Error::msg(format!("more than {WRITE_BYTES_MAX} bytes written at once")));
        }
        self.print(stream.rep(), &contents);
        Ok(Ok(()))
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<OutputStream>, contents: Vec<u8>) -> Done<()> {
        self.write(stream, contents)
    }

    fn flush(&mut self, _: Resource<OutputStream>) -> Done<()> {
        Ok(Ok(()))
    }

    fn blocking_flush(&mut self, _: Resource<OutputStream>) -> Done<()> {
        Ok(Ok(()))
    }

    fn subscribe(&mut self, _: Resource<OutputStream>) -> wasmtime::Result<Resource<Pollable>> {
        self.streams.pollable(Pollable::Ready)
    }

    /// Zeroes are no text.
    fn write_zeroes(&mut self, _: Resource<OutputStream>, _len: u64) -> Done<()> {
        Ok(Ok(()))
    }

    fn blocking_write_zeroes_and_flush(&mut self, _: Resource<OutputStream>, _len: u64) -> Done<()> {
        Ok(Ok(()))
    }

    /// Input is at its end.
    fn splice(&mut self, _: Resource<OutputStream>, _: Resource<InputStream>, _len: u64) -> Done<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn blocking_splice(&mut self, _: Resource<OutputStream>, _: Resource<InputStream>, _len: u64) -> Done<u64> {
        Ok(Err(StreamError::Closed))
    }

    fn drop(&mut self, _: Resource<OutputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{OutputStream, WRITE_BYTES_MAX};
    use crate::bindings::wasi::wasi::io::streams::HostOutputStream as _;
    use crate::capability::log::LINE_BYTES_MAX;
    use crate::log::Level;
    use crate::testing::{Ears, state};
    use std::sync::Arc;

    #[test]
    fn lines_are_put_together_and_cut() {
        let ears = Arc::new(Ears::default());
        let mut state = state(&ears, true);
        for (writes, expected) in [
            (&["one\n"][..], &["one"][..]),
            (&["o", "n", "e\ntw"], &["one"]),
            (&["o\r\n\n\nthree"], &["two"]),
            (&["\n"], &["three"]),
            (&["\x1b[31m\n"], &["\\u{1b}[31m"]),
        ] {
            for text in writes {
                let done = state.write(OutputStream::stdout(), text.as_bytes().to_vec());
                assert!(matches!(done, Ok(Ok(()))));
            }
            let heard = ears.heard();
            assert_eq!(heard.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(), expected, "{writes:?}");
        }
        for (len, cut) in [(LINE_BYTES_MAX, false), (LINE_BYTES_MAX + 1, true), (3 * LINE_BYTES_MAX, true)] {
            let done = state.write(OutputStream::stderr(), vec![b'x'; len]);
            assert!(matches!(done, Ok(Ok(()))));
            state.end_lines();
            let (level, line) = ears.heard().pop().expect("a line");
            assert_eq!((level, line.ends_with('…')), (Level::Warn, cut), "{len}");
        }
    }

    #[test]
    fn a_write_is_held_to_its_permit() {
        let mut state = state(&Arc::new(Ears::default()), true);
        let permit = usize::try_from(WRITE_BYTES_MAX).expect("small");
        assert!(matches!(state.write(OutputStream::stdout(), vec![b'x'; permit]), Ok(Ok(()))));
        assert!(state.write(OutputStream::stdout(), vec![b'x'; permit + 1]).is_err());
    }

    #[test]
    fn without_the_grant_nothing_is_heard() {
        let ears = Arc::new(Ears::default());
        let mut state = state(&ears, false);
        let done = state.write(OutputStream::stderr(), b"secret\nand more".to_vec());
        assert!(matches!(done, Ok(Ok(()))));
        state.pause();
        assert_eq!(ears.heard(), []);
    }
}
