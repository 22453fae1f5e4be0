//! What host and keeper say to each other over one stream socket.
//!
//! Host to keeper: one launch order, then single bytes ([`TERM`], [`KILL`]).
//! Keeper to host: [`Report`]s of nine bytes. The end of the stream means that
//! the other side is gone.

use std::ffi::OsString;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Order: ask the application's process group to end.
pub(super) const TERM: u8 = b'T';
/// Order: kill the whole tree.
pub(super) const KILL: u8 = b'K';
/// Size of a report on the stream.
pub(super) const REPORT_BYTES: usize = 9;
/// A launch order has at most this many bytes; Linux allows a process less.
const LAUNCH_BYTES_MAX: usize = 16 << 20;

/// What is started.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Working directory.
    pub(crate) directory: PathBuf,
    /// The whole environment; it holds the token, so there is no `Debug`.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

impl Launch {
    /// The order's bytes: a total, then each text behind its length, a count
    /// before each list. All numbers are 32 bits, little end first.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        put(&mut body, self.program.as_os_str().as_bytes())?;
        put(&mut body, self.directory.as_os_str().as_bytes())?;
        number(&mut body, self.arguments.len())?;
        for argument in &self.arguments {
            put(&mut body, argument.as_bytes())?;
        }
        number(&mut body, self.environment.len())?;
        for (name, value) in &self.environment {
            put(&mut body, name.as_bytes())?;
            put(&mut body, value.as_bytes())?;
        }
        if body.len() > LAUNCH_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidInput, "arguments and environment are longer than 16 MiB"));
        }
        let mut all = Vec::with_capacity(body.len() + 4);
        number(&mut all, body.len())?;
        all.extend(body);
        Ok(all)
    }

    /// Reads an order.
    pub(super) fn decode(mut from: impl Read) -> Result<Self> {
        let total = length(&mut from)?;
        if total > LAUNCH_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; total];
        from.read_exact(&mut body)?;
        let mut rest = body.as_slice();
        let program = text(&mut rest)?.into();
        let directory = text(&mut rest)?.into();
        let arguments = (0..length(&mut rest)?).map(|_| text(&mut rest)).collect::<Result<_>>()?;
        let environment =
            (0..length(&mut rest)?).map(|_| Ok((text(&mut rest)?, text(&mut rest)?))).collect::<Result<_>>()?;
        Ok(Self { program, arguments, directory, environment })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    number(out, bytes.len())?;
    out.write_all(bytes)
}

fn number(out: &mut Vec<u8>, value: usize) -> Result<()> {
    let value = u32::try_from(value).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    out.write_all(&value.to_le_bytes())
}

fn length(from: &mut impl Read) -> Result<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| ErrorKind::InvalidData.into())
}

fn text(rest: &mut &[u8]) -> Result<OsString> {
    let length = length(rest)?;
    let (text, after) = rest.split_at_checked(length).ok_or(ErrorKind::UnexpectedEof)?;
    *rest = after;
    Ok(OsString::from_vec(text.to_vec()))
}

/// What the keeper saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The program runs under this number, which is also its group's.
    Started(u32),
    /// The working directory can't be entered, or there is no room for a process; an `errno`.
    NoProcess(i32),
    /// The program can't be executed; an `errno`.
    NoProgram(i32),
    /// The started process left with this code.
    Exited(i32),
    /// The started process was ended by this signal.
    Signalled(i32),
    /// Nothing of the tree is left.
    Gone,
}

impl Report {
    pub(super) fn encode(self) -> [u8; REPORT_BYTES] {
        let (tag, value) = match self {
            Self::Started(pid) => (b'S', i64::from(pid)),
            Self::NoProcess(errno) => (b'D', errno.into()),
            Self::NoProgram(errno) => (b'P', errno.into()),
            Self::Exited(code) => (b'X', code.into()),
            Self::Signalled(signal) => (b'Y', signal.into()),
            Self::Gone => (b'G', 0),
        };
        let mut bytes = [tag; REPORT_BYTES];
        if let Some(rest) = bytes.get_mut(1..) {
            rest.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: [u8; REPORT_BYTES]) -> Option<Self> {
        let [tag, value @ ..] = bytes;
        let value = i64::from_le_bytes(value);
        let small = i32::try_from(value).ok();
        match tag {
            b'S' => u32::try_from(value).ok().map(Self::Started),
            b'D' => small.map(Self::NoProcess),
            b'P' => small.map(Self::NoProgram),
            b'X' => small.map(Self::Exited),
            b'Y' => small.map(Self::Signalled),
            b'G' => Some(Self::Gone),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LAUNCH_BYTES_MAX, Launch, Report};

    #[test]
    fn reports_travel() {
        for report in [
            Report::Started(4_000_000),
            Report::NoProcess(2),
            Report::NoProgram(13),
            Report::Exited(255),
            Report::Signalled(9),
            Report::Gone,
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode(*b"?12345678"), None);
    }

    #[test]
    fn orders_travel_and_broken_ones_are_refused() {
        let launch = Launch {
            program: "/bin/x".into(),
            arguments: vec!["a b".into(), "".into()],
            directory: "/srv".into(),
            environment: vec![("A".into(), "x".repeat(100_000).into()), ("\u{e4}".into(), "".into())],
        };
        let bytes = launch.encode().unwrap();
        assert!(Launch::decode(bytes.as_slice()).unwrap() == launch);
        for cut in [0, 3, 4, 20, bytes.len() - 1] {
            assert!(Launch::decode(bytes.get(..cut).unwrap()).is_err(), "{cut}");
        }
        assert!(Launch::decode([255_u8; 64].as_slice()).is_err());
    }

    #[test]
    fn an_order_has_a_limit() {
        // 4 length bytes each for program, directory, the argument, and two counts.
        let room = LAUNCH_BYTES_MAX - 5 * 4;
        for (size, fits) in [(room, true), (room + 1, false)] {
            let launch = Launch { arguments: vec!["x".repeat(size).into()], ..Launch::default() };
            assert_eq!(launch.encode().is_ok(), fits, "{size}");
        }
    }
}
