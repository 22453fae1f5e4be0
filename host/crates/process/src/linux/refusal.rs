//! Why the system won't execute a file, in words that a person can act on.

use rustix::io::Errno;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

/// As much of a file's beginning as the kernel looks at.
const HEAD_BYTES: u64 = 256;
/// The processor's number in an ELF file for this system.
const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
    62
} else if cfg!(target_arch = "aarch64") {
    183
} else {
    0
};

/// Processors of 32 bits whose programs this system may run as well: 386 and ARM.
const SMALLER: [u16; 2] = [3, 40];

/// The system's word for `program`, with the cause where the file shows it.
pub(super) fn explain(program: &Path, e: Error) -> Error {
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    let cause = if read.is_ok() { cause(&head, &e) } else { None };
    match cause {
        Some(cause) => Error::other(format!("{e}; {cause}")),
        None => e,
    }
}

/// Whether the kernel will surely not take the file. The C library would then give
/// it to the shell, which makes nothing good of an empty or a foreign file, and
/// hides from a script's author that its first line is missing.
pub(super) fn is_foreign(program: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
    read.is_ok() && !runs(&head) && !takes_more_formats()
}

fn runs(head: &[u8]) -> bool {
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        return line.iter().any(|b| !b.is_ascii_whitespace());
    }
    let known = MACHINE == 0 || machine(head).is_some_and(|number| number == MACHINE || SMALLER.contains(&number));
    head.starts_with(b"\x7fELF") && known
}

/// Whether somebody has registered interpreters for other formats.
fn takes_more_formats() -> bool {
    let entries = std::fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name != "register" && name != "status")
}

fn cause(head: &[u8], e: &Error) -> Option<String> {
    let missing = e.kind() == ErrorKind::NotFound;
    let format = e.raw_os_error() == Some(Errno::NOEXEC.raw_os_error());
    let elf = head.starts_with(b"\x7fELF");
    if let Some(rest) = head.strip_prefix(b"#!") {
        return script(rest, e);
    }
    let cause = match () {
        () if missing => {
            "the loader that it names is not installed: it may be built for another C library (glibc, musl)".to_owned()
        }
        () if format && elf && machine(head) != Some(MACHINE) => {
            "it is built for another processor: publish the app for this one".to_owned()
        }
        () if format && elf => "the file is damaged or cut short: copy it again".to_owned(),
        () if format && head.is_empty() => "the file is empty".to_owned(),
        () if format => "it is neither a program for this system nor a script that names its interpreter: \
                         put a line such as `#!/bin/sh` at its very beginning"
            .to_owned(),
        () if e.kind() == ErrorKind::PermissionDenied => denied(),
        () => return None,
    };
    Some(cause)
}

/// What is wrong with a script whose first line is `#!` and then `rest`.
fn script(rest: &[u8], e: &Error) -> Option<String> {
    let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let interpreter = text.split_ascii_whitespace().next().unwrap_or_default();
    if interpreter.is_empty() {
        return Some("its first line names no interpreter behind `#!`: write one such as `#!/bin/sh`".to_owned());
    }
    if line.ends_with(b"\r") {
        return Some(
            "its first line ends with a carriage return, which the system takes for a part of the interpreter's name: \
             save the file with Unix line ends (LF, not CRLF)"
                .to_owned(),
        );
    }
    match e.kind() {
        ErrorKind::NotFound => Some(format!(
            "its first line names the interpreter {interpreter:?}, which is not there: install it or correct the line"
        )),
        ErrorKind::PermissionDenied if !super::is_executable(Path::new(interpreter)) => {
            Some(format!("its first line names the interpreter {interpreter:?}, which may not be executed"))
        }
        ErrorKind::PermissionDenied => Some(denied()),
        _ => None,
    }
}

fn denied() -> String {
    "the user that it runs as may not execute it or enter a folder above it, or its file system is mounted noexec"
        .to_owned()
}

/// The processor's number, in the byte order that the file is written in.
fn machine(head: &[u8]) -> Option<u16> {
    let bytes: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    Some(if head.get(5) == Some(&2) { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::{cause, runs};
    use rustix::io::Errno;
    use std::io::Error;

    #[test]
    fn the_file_shows_the_cause() {
        let elf = |machine: u8| [b"\x7fELF\x02\x01".as_slice(), &[0; 12], &[machine, 0]].concat();
        let cases: [(&[u8], Errno, Option<&str>); 13] = [
            (b"#!/no/such\n", Errno::NOENT, Some("\"/no/such\", which is not there")),
            (b"#! /no/such -x", Errno::NOENT, Some("\"/no/such\"")),
            (b"#!/bin/sh\r\necho", Errno::NOENT, Some("Unix line ends")),
            (b"#!\necho", Errno::NOEXEC, Some("names no interpreter")),
            (b"#!/etc/passwd\n", Errno::ACCESS, Some("\"/etc/passwd\", which may not be executed")),
            (b"#!/bin/sh\n", Errno::ACCESS, Some("noexec")),
            (b"#!/bin/sh\n", Errno::NOMEM, None),
            (b"echo hello\n", Errno::NOEXEC, Some("`#!/bin/sh`")),
            (b"", Errno::NOEXEC, Some("empty")),
            (&elf(243), Errno::NOEXEC, Some("another processor")),
            (&elf(super::MACHINE.try_into().unwrap_or_default()), Errno::NOEXEC, Some("cut short")),
            (&elf(62), Errno::NOENT, Some("loader")),
            (&elf(62), Errno::TOOBIG, None),
        ];
        for (head, errno, expected) in cases {
            let got = cause(head, &Error::from(errno));
            match expected {
                Some(words) => assert!(got.as_deref().is_some_and(|got| got.contains(words)), "{head:?} {got:?}"),
                None => assert_eq!(got, None, "{head:?}"),
            }
        }
    }

    #[test]
    fn only_programs_and_scripts_run() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let cases: [(&[u8], bool); 7] = [
            (own.get(..64).unwrap(), true),
            (b"#!/bin/sh\n", true),
            (b"#! /bin/sh", true),
            (b"#!\n/bin/sh", false),
            (b"echo\n", false),
            (b"", false),
            (b"\x7fELF", super::MACHINE == 0),
        ];
        for (head, expected) in cases {
            assert_eq!(runs(head), expected, "{head:?}");
        }
    }
}
