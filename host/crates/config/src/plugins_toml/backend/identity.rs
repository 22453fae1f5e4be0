//! `[host.backend]` `identity` and `output`: as whom an app runs, and what becomes of its words.

use super::life::{AGE_MS_MAX, MEMORY};
use crate::plugins_toml::table::{Keys, Reading};
use crate::source::{Setting, Spanned};
use serde::Serialize;

/// `[host.backend.identity]` (Linux): as whom and within which limits of the
/// system the app runs. Nothing written: as the host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Name or number of the user.
    pub user: Option<Spanned<String>>,
    /// Name or number of the group. Default: the user's own.
    pub group: Option<Spanned<String>>,
    /// Mode bits that are taken from files it creates (0–0o777), written in octal: `"027"`.
    pub umask: Option<Spanned<u32>>,
    /// Added to the host's own niceness (-20–19).
    pub nice: Option<Spanned<i32>>,
    /// Open files of one process (16–1,073,741,816).
    pub open_files_max: Option<Spanned<u64>>,
    /// Processes and threads of the user (1–4,194,304).
    pub processes_max: Option<Spanned<u64>>,
    /// Address space of one process, in bytes (1 MiB–1 PiB).
    pub address_space_bytes_max: Option<Spanned<u64>>,
    /// Size of a core file, in bytes (0–1 PiB).
    pub core_bytes_max: Option<Spanned<u64>>,
    /// Memory of the whole tree, in bytes (1 MiB–1 PiB).
    pub memory_bytes_max: Option<Spanned<u64>>,
    /// Processor time of the whole tree, in percent of one core (1–100,000).
    pub cpu_percent_max: Option<Spanned<u32>>,
}

impl Identity {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        let known = [
            "user",
            "group",
            "umask",
            "nice",
            "open_files_max",
            "processes_max",
            "address_space_bytes_max",
            "core_bytes_max",
            "memory_bytes_max",
            "cpu_percent_max",
        ];
        reading.known(keys, &known, &[]);
        Self {
            user: account(reading, keys, "user"),
            group: account(reading, keys, "group"),
            umask: umask(reading, keys),
            nice: nice(reading, keys),
            // The most that the kernel's fs.nr_open can be.
            open_files_max: reading.maybe_number(keys, "open_files_max", &(16..=1_073_741_816)),
            // The most that the kernel's pid_max can be.
            processes_max: reading.maybe_number(keys, "processes_max", &(1..=4_194_304)),
            address_space_bytes_max: reading.maybe_bytes(keys, "address_space_bytes_max", &MEMORY),
            core_bytes_max: reading.maybe_bytes(keys, "core_bytes_max", &(0..=*MEMORY.end())),
            memory_bytes_max: reading.maybe_bytes(keys, "memory_bytes_max", &MEMORY),
            cpu_percent_max: reading
                .maybe_number(keys, "cpu_percent_max", &(1..=100_000))
                .map(|percent| Spanned::new(u32::try_from(percent.value).unwrap_or(u32::MAX), percent.at)),
        }
    }
}

/// A name or a number of the system's accounts, as text.
fn account(reading: &mut Reading<'_>, keys: &Keys<'_>, name: &str) -> Option<Spanned<String>> {
    // A bare number is what everybody writes first.
    if let Some(number) = keys.item(name).and_then(toml_edit::Item::as_integer) {
        let what = format!("`{name}` in [host.backend.identity] is an integer, not a string");
        reading.report.error(keys.value_at(name), what, format!("write {name} = \"{number}\""));
        return None;
    }
    let account = reading.string(keys, name)?;
    // What passwd(5) and group(5) can't hold, or a number that no account has.
    let plain = !account.value.is_empty()
        && account.value.len() <= 256
        && !account.value.starts_with('-')
        && !account.value.contains(|character: char| {
            character.is_control() || character.is_whitespace() || matches!(character, ':' | '/' | ',')
        });
    let digits = account.value.bytes().all(|byte| byte.is_ascii_digit());
    // The largest number stands for "nobody in particular" in chown(2) and setresuid(2).
    let fits = plain && (!digits || account.value.parse::<u32>().is_ok_and(|number| number < u32::MAX));
    if !fits {
        let what = format!("\"{}\" is neither the name nor the number of a {name}", account.value.escape_debug());
        reading.report.error_at(account.at, what, format!("write {name} = \"www-data\" or {name} = \"33\""));
    }
    fits.then_some(account)
}

fn umask(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Option<Spanned<u32>> {
    const HELP: &str = "write three octal digits as text: umask = \"027\"";
    if keys.item("umask").is_some_and(toml_edit::Item::is_integer) {
        let what = "`umask` in [host.backend.identity] is an integer, not a string: its digits are octal";
        reading.report.error(keys.value_at("umask"), what, HELP);
        return None;
    }
    let text = reading.string(keys, "umask")?;
    let octal = (1..=4).contains(&text.value.len()) && text.value.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(&text.value, 8) {
        Ok(mask) if octal && mask <= 0o777 => Some(Spanned::new(mask, text.at)),
        _ => {
            let what = format!("umask = \"{}\" is not an octal number up to 777", text.value.escape_debug());
            reading.report.error_at(text.at, what, HELP);
            None
        }
    }
}

fn nice(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Option<Spanned<i32>> {
    let number = reading.integer(keys, "nice")?;
    match i32::try_from(number.value) {
        Ok(nice) if (-20..=19).contains(&nice) => Some(Spanned::new(nice, number.at)),
        _ => {
            let what = "`nice` in [host.backend.identity] is out of range";
            reading.report.error(
                keys.value_at("nice"),
                what,
                "write a number from -20 (first served) to 19 (last served)",
            );
            None
        }
    }
}

/// `[host.backend.output]`: what becomes of the app's output beside the last lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Size at which the next log file is begun, in bytes (4 KiB–1 TiB). Default 10 MiB.
    pub file_bytes_max: Setting<u64>,
    /// Age at which the next log file is begun, in ms (1,000–31,536,000,000); 0 = none. Default 0.
    pub file_age_ms_max: Setting<u64>,
    /// Log files that are kept, the one being written included (1–10,000). Default 10.
    pub files_max: Setting<u32>,
    /// Each line in the host's log too. Default false.
    pub to_log: Setting<bool>,
}

/// Default of `file_bytes_max`: 10 MiB.
const FILE_BYTES: u64 = 10 << 20;

impl Default for Output {
    fn default() -> Self {
        Self {
            file_bytes_max: Setting::default_value(FILE_BYTES),
            file_age_ms_max: Setting::default_value(0),
            files_max: Setting::default_value(10),
            to_log: Setting::default_value(false),
        }
    }
}

impl Output {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        reading.known(keys, &["file_bytes_max", "file_age_ms_max", "files_max", "to_log"], &[]);
        Self {
            file_bytes_max: reading.bytes(keys, "file_bytes_max", &(4096..=1 << 40), FILE_BYTES),
            file_age_ms_max: reading.number_or_zero(keys, "file_age_ms_max", &(1000..=AGE_MS_MAX)),
            files_max: reading.small(keys, "files_max", &(1..=10_000), 10),
            to_log: reading.boolean_or(keys, "to_log", false),
        }
    }
}
