//! What host and keeper say to each other over one stream socket.
//!
//! Host to keeper: [`LAUNCH`] with the order behind it, then single bytes ([`TERM`],
//! [`KILL`]); [`BYE`] at any time. The keeper hands the order on to the second
//! stage as it is.
//! Keeper to host: [`Report`]s of nine bytes. The end of the stream means that
//! the other side is gone.

use super::confine::{Confine, Step};
use crate::event::Ended;
use crate::settings::Identity;
use std::ffi::OsString;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Order: start what is told behind it.
pub(super) const LAUNCH: u8 = b'L';
/// Order: end everything. A host that dies does not get to say it.
pub(super) const BYE: u8 = b'B';
/// Order: ask the application's process group to end.
pub(super) const TERM: u8 = b'T';
/// Order: kill the whole tree.
pub(super) const KILL: u8 = b'K';
/// Size of a report on the stream.
pub(super) const REPORT_BYTES: usize = 9;
/// A launch order has at most this many bytes; Linux allows a process less.
const LAUNCH_BYTES_MAX: usize = 16 << 20;

/// What is started.
#[derive(Clone, Default)]
pub(crate) struct Launch {
    /// Absolute path of the program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Working directory.
    pub(crate) directory: PathBuf,
    /// The whole environment; it holds the token, so there is no `Debug`.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Whether its output is read; if not, it goes nowhere.
    pub(crate) capture: bool,
    /// As whom and within which limits.
    pub(crate) confine: Confine,
    /// The same as it was written, for the words of a refusal; stays with the host.
    pub(crate) identity: Identity,
}

impl Launch {
    /// The order's bytes: a total, then each text behind its length, a count
    /// before each list. All numbers are 32 bits, little end first.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        put(&mut body, self.program.as_os_str().as_bytes())?;
        put(&mut body, self.directory.as_os_str().as_bytes())?;
        body.push(self.capture.into());
        self.confine.put(&mut body)?;
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

    /// Reads an order's bytes, the total before them included.
    pub(super) fn read(mut from: impl Read) -> Result<Vec<u8>> {
        let total = length(&mut from)?;
        if total > LAUNCH_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut all = Vec::with_capacity(total + 4);
        number(&mut all, total)?;
        all.resize(total + 4, 0);
        from.read_exact(all.get_mut(4..).unwrap_or_default())?;
        Ok(all)
    }

    /// Takes an order's bytes apart.
    pub(super) fn decode(all: &[u8]) -> Result<Self> {
        let mut rest = all.get(4..).unwrap_or_default();
        let program = text(&mut rest)?.into();
        let directory = text(&mut rest)?.into();
        let capture = flag(&mut rest)?;
        let confine = Confine::take(&mut rest)?;
        let arguments = (0..length(&mut rest)?).map(|_| text(&mut rest)).collect::<Result<_>>()?;
        let environment =
            (0..length(&mut rest)?).map(|_| Ok((text(&mut rest)?, text(&mut rest)?))).collect::<Result<_>>()?;
        Ok(Self { program, arguments, directory, environment, capture, confine, ..Self::default() })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    number(out, bytes.len())?;
    out.write_all(bytes)
}

pub(super) fn number(out: &mut Vec<u8>, value: usize) -> Result<()> {
    let value = u32::try_from(value).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    out.write_all(&value.to_le_bytes())
}

pub(super) fn length(from: &mut impl Read) -> Result<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| ErrorKind::InvalidData.into())
}

fn flag(from: &mut impl Read) -> Result<bool> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte != [0])
}

/// A mark, and 64 bits behind it if there is a value.
pub(super) fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(value.is_some().into());
    out.extend(value.iter().flat_map(|value| value.to_le_bytes()));
}

pub(super) fn optional(from: &mut impl Read) -> Result<Option<u64>> {
    if !flag(from)? {
        return Ok(None);
    }
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(Some(u64::from_le_bytes(bytes)))
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
    /// There is no room for a process; an `errno`.
    NoProcess(i32),
    /// The process that was to become the program ended so before it could.
    NoStage(Ended),
    /// The system refused a step, with this `errno`.
    Refused(Step, i32),
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
            Self::NoStage(Ended::Code(code)) => (b'N', code.into()),
            Self::NoStage(Ended::Signal(signal)) => (b'M', signal.into()),
            Self::Refused(step, errno) => (b'R', i64::from(step as u8) << 32 | i64::from(errno)),
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
            b'N' => small.map(Ended::Code).map(Self::NoStage),
            b'M' => small.map(Ended::Signal).map(Self::NoStage),
            b'R' => {
                let step = Step::of(u8::try_from(value >> 32).ok()?)?;
                Some(Self::Refused(step, i32::try_from(value & 0xffff_ffff).ok()?))
            }
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
    use crate::event::Ended;
    use crate::linux::confine::{Confine, Step};

    #[test]
    fn reports_travel() {
        for report in [
            Report::Started(4_000_000),
            Report::NoProcess(2),
            Report::NoStage(Ended::Code(1)),
            Report::NoStage(Ended::Signal(9)),
            Report::Refused(Step::Execute, 13),
            Report::Refused(Step::Cpu, i32::MAX),
            Report::Exited(255),
            Report::Signalled(9),
            Report::Gone,
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode(*b"?12345678"), None);
        assert_eq!(Report::decode(*b"R1234\xff\0\0\0"), None);
    }

    #[test]
    fn orders_travel_and_broken_ones_are_refused() {
        let launch = Launch {
            program: "/bin/x".into(),
            arguments: vec!["a b".into(), "".into()],
            directory: "/srv".into(),
            environment: vec![("A".into(), "x".repeat(100_000).into()), ("\u{e4}".into(), "".into())],
            capture: true,
            confine: Confine { uid: Some(33), groups: vec![33], ..Confine::default() },
            ..Launch::default()
        };
        let bytes = launch.encode().unwrap();
        assert_eq!(Launch::read(bytes.as_slice()).unwrap(), bytes);
        let came = Launch::decode(&bytes).unwrap();
        assert_eq!(came.encode().unwrap(), bytes);
        assert_eq!((came.program, came.arguments, came.confine), (launch.program, launch.arguments, launch.confine));
        for cut in [0, 3, 4, 20, bytes.len() - 1] {
            assert!(Launch::read(bytes.get(..cut).unwrap()).is_err(), "{cut}");
            assert!(Launch::decode(bytes.get(..cut).unwrap()).is_err(), "{cut}");
        }
        assert!(Launch::read([255_u8; 64].as_slice()).is_err());
        assert!(Launch::decode(&[255_u8; 64]).is_err());
    }

    #[test]
    fn an_order_has_a_limit() {
        let argument = |size| Launch { arguments: vec!["x".repeat(size).into()], ..Launch::default() };
        // Behind the total, all that is there without the argument's own bytes.
        let room = LAUNCH_BYTES_MAX - (argument(0).encode().unwrap().len() - 4);
        for (size, fits) in [(room, true), (room + 1, false)] {
            assert_eq!(argument(size).encode().is_ok(), fits, "{size}");
        }
    }
}
