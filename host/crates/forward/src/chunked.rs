//! Chunked transfer coding of a response (RFC 9112 §7.1), strictly.

use bytes::{Buf as _, Bytes, BytesMut};

/// Bytes of all chunk extensions of one body at most; more is a bad response.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the trailer section at most; more is a bad response.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
/// Hexadecimal digits of a chunk size: what 64 bits can hold.
const SIZE_DIGITS_MAX: u8 = 16;

/// What taking from the read buffer gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Body bytes, never empty.
    Data(Bytes),
    /// The buffer holds nothing more to take.
    More,
    /// The body has ended.
    End,
}

/// Position inside a chunked body.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the first byte of a trailer line, or of the line that ends them.
    TrailerStart,
    TrailerLine,
    TrailerLf,
    EndLf,
    End,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { state: State::Size { size: 0, digits: 0 }, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Takes the next data out of `input`. Extensions and trailers are read and dropped.
    ///
    /// # Errors
    /// The rule that the backend broke.
    pub(crate) fn take(&mut self, input: &mut BytesMut) -> Result<Taken, &'static str> {
        loop {
            match self.state {
                State::End => return Ok(Taken::End),
                State::Data { left } => {
                    if input.is_empty() {
                        return Ok(Taken::More);
                    }
                    let share = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let left = left - share as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                    return Ok(Taken::Data(input.split_to(share).freeze()));
                }
                state => {
                    let Some(byte) = input.first().copied() else { return Ok(Taken::More) };
                    input.advance(1);
                    self.state = self.step(state, byte)?;
                }
            }
        }
    }

    /// True if nothing but framing is left in `input` up to the body's end, which
    /// is then taken off. Broken framing is left for the next [`Chunked::take`].
    pub(crate) fn reaches_end(&mut self, input: &mut BytesMut) -> bool {
        while !matches!(self.state, State::Data { .. } | State::End) {
            let Some(byte) = input.first().copied() else { return false };
            let Ok(state) = self.step(self.state, byte) else { return false };
            input.advance(1);
            self.state = state;
        }
        matches!(self.state, State::End)
    }

    fn step(&mut self, state: State, byte: u8) -> Result<State, &'static str> {
        match (state, byte) {
            (State::Size { digits: 1.., size }, b'\r') => Ok(State::SizeLf { size }),
            (State::Size { digits: 1.., size }, b';') => Ok(State::Extension { size }),
            (State::Size { size, digits }, digit) => {
                let value = char::from(digit).to_digit(16).ok_or("a chunk size is not hexadecimal")?;
                if digits == SIZE_DIGITS_MAX {
                    return Err("a chunk size has more than 64 bits");
                }
                Ok(State::Size { size: size << 4 | u64::from(value), digits: digits + 1 })
            }
            (State::Extension { size }, b'\r') => Ok(State::SizeLf { size }),
            (State::Extension { .. }, b'\n') => Err("a chunk extension holds a bare LF"),
            (State::Extension { .. }, _) => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_MAX {
                    return Err("its chunk extensions are too long");
                }
                Ok(state)
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::TrailerStart),
            (State::SizeLf { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerLine, b'\n') => Err("a trailer line ends with a bare LF"),
            (State::TrailerLine, b'\r') => Ok(State::TrailerLf),
            (State::TrailerStart | State::TrailerLine, _) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err("its trailers are too long");
                }
                Ok(State::TrailerLine)
            }
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::EndLf, b'\n') => Ok(State::End),
            _ => Err("a chunk does not end with CRLF"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX, Taken};
    use bytes::BytesMut;

    /// Decodes `bytes` in pieces of `step` bytes: the data, whether it ended, what was left over.
    fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), &'static str> {
        let (mut chunked, mut input, mut data) = (Chunked::new(), BytesMut::new(), Vec::new());
        let mut pieces = bytes.chunks(step);
        loop {
            match chunked.take(&mut input)? {
                Taken::Data(more) => data.extend_from_slice(&more),
                Taken::End => return Ok((data, true, input.len() + pieces.map(<[u8]>::len).sum::<usize>())),
                Taken::More => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Ok((data, false, 0)),
                },
            }
        }
    }

    #[test]
    fn whole_bodies_are_decoded_at_every_cut() {
        let cases: &[(&str, &str, bool, usize)] = &[
            ("0\r\n\r\n", "", true, 0),
            ("3\r\nabc\r\n0\r\n\r\n", "abc", true, 0),
            ("3;a=b;c\r\nabc\r\n0;x\r\n\r\n", "abc", true, 0),
            ("A\r\n0123456789\r\n00\r\nX-T: 1\r\nHost: y\r\n\r\n", "0123456789", true, 0),
            ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\nEXTRA", "abc", true, 5),
            ("5\r\nab", "ab", false, 0),
            ("3\r\nabc\r\n0\r\n\r", "abc", false, 0),
        ];
        for (bytes, data, ended, over) in cases {
            for step in [1, 2, 3, 1000] {
                assert_eq!(
                    decode(bytes.as_bytes(), step),
                    Ok((data.as_bytes().to_vec(), *ended, *over)),
                    "{bytes:?} {step}"
                );
            }
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        // RFC 9112 §7.1; the bare LF in an extension is what CVE-2025-55315 was about.
        let cases = [
            "2;\nxx\r\n",
            "2\nxx\r\n",
            "2\r\nab\n0\r\n\r\n",
            "2\r\nabX\n",
            "2\r\nabc\r\n",
            "0\n\r\n",
            "0\r\n\n",
            "2 \r\nab",
            " 2\r\nab",
            ";\r\n",
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x2\r\n",
            "+2\r\n",
            "00000000000000000\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "0\r\nX: 1\n\r\n",
            "0\r\nX: 1\rX\r\n",
            "2\rab",
        ];
        for bytes in cases {
            for step in [1, 1000] {
                assert!(decode(bytes.as_bytes(), step).is_err(), "{bytes:?} {step}");
            }
        }
    }

    #[test]
    fn extensions_and_trailers_have_limits() {
        for (over, refused) in [(0, false), (1, true)] {
            let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(EXTENSION_BYTES_MAX + over));
            assert_eq!(decode(extension.as_bytes(), 4096).is_err(), refused);
            let trailer = format!("0\r\n{}\r\n\r\n", "t".repeat(TRAILER_BYTES_MAX + over));
            assert_eq!(decode(trailer.as_bytes(), 4096).is_err(), refused);
        }
    }

    #[test]
    fn the_largest_size_is_64_bits() {
        assert_eq!(decode(b"FFFFFFFFFFFFFFFF\r\nab", 7), Ok((b"ab".to_vec(), false, 0)));
    }
}
