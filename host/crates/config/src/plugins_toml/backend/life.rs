//! `[host.backend]` `health`, `warm_up` and `recycle`: how an app is proven and renewed.

use crate::plugins_toml::table::{Keys, Reading};
use crate::source::{Position, Setting, Spanned};
use serde::Serialize;

/// `[host.backend.health]`: questions about the app's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Path and query of the question, below the site's root. Must be written.
    pub path: Spanned<String>,
    /// Between two questions, in ms (100–3,600,000). Default 5000.
    pub interval_ms: Setting<u64>,
    /// For one answer, in ms (10–600,000). Default 2000.
    pub timeout_ms: Setting<u64>,
    /// Bad answers in a row before the instance is replaced (1–100). Default 3.
    pub failures_max: Setting<u32>,
}

impl Health {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Option<Self> {
        reading.known(keys, &["path", "interval_ms", "timeout_ms", "failures_max"], &[]);
        let path = reading.string(keys, "path");
        if !keys.has("path") {
            reading.report.error(keys.at, "[host.backend.health] has no path to ask", "write path = \"/health\"");
        }
        let path = path.filter(|path| super::request_path(reading, path));
        let interval_ms = reading.number(keys, "interval_ms", &(100..=3_600_000), 5000);
        let timeout_ms = reading.number(keys, "timeout_ms", &(10..=600_000), 2000);
        let failures_max = reading.small(keys, "failures_max", &(1..=100), 3);
        Some(Self { path: path?, interval_ms, timeout_ms, failures_max })
    }
}

/// `[host.backend.warm_up]`: requests to an instance before its first client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WarmUp {
    /// Where the table stands.
    pub at: Position,
    /// Paths with query, asked one after the other; at most 64. Default `["/"]`.
    pub paths: Setting<Vec<String>>,
    /// For each of them, in ms (100–600,000). Default 30,000.
    pub timeout_ms: Setting<u64>,
}

/// Most warm-up requests.
const PATHS_MAX: usize = 64;

impl WarmUp {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        reading.known(keys, &["paths", "timeout_ms"], &[]);
        let at = reading.report.at(keys.at);
        let timeout_ms = reading.number(keys, "timeout_ms", &(100..=600_000), 30_000);
        let Some(paths) = reading.strings(keys, "paths") else {
            return Self { at, paths: Setting::default_value(vec!["/".to_owned()]), timeout_ms };
        };
        if let Some(beyond) = paths.get(PATHS_MAX) {
            reading.report.error_at(beyond.at, format!("more than {PATHS_MAX} warm-up requests"), "");
        }
        let place = reading.report.at(keys.key_at("paths"));
        let kept = paths.into_iter().take(PATHS_MAX).filter(|path| super::request_path(reading, path));
        let kept = kept.map(|path| path.value).collect();
        Self { at, paths: Setting::set(kept, place), timeout_ms }
    }
}

/// `[host.backend.recycle]`: when an instance is replaced by a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recycle {
    /// After so many requests (to 1,000,000,000); 0 = never. Default 0.
    pub requests_max: Setting<u64>,
    /// At this age in ms (10,000–31,536,000,000); 0 = never. Default 0.
    pub age_ms_max: Setting<u64>,
    /// Above this much resident memory of its tree, in bytes (1 MiB–1 PiB); 0 = never. Default 0.
    pub memory_bytes_max: Setting<u64>,
    /// Times of day, in minutes since midnight of the system's time zone. Default none.
    pub at: Vec<Spanned<u16>>,
    /// How far each of these numbers is spread at random, in percent (0–100). Default 10.
    pub jitter_percent: Setting<u32>,
}

impl Default for Recycle {
    fn default() -> Self {
        Self {
            requests_max: Setting::default_value(0),
            age_ms_max: Setting::default_value(0),
            memory_bytes_max: Setting::default_value(0),
            at: Vec::new(),
            jitter_percent: Setting::default_value(10),
        }
    }
}

/// Largest amount of memory, in bytes: 1 PiB.
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Smallest amount of memory that a process could live with, in bytes.
pub(super) const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// Range of memory sizes.
pub(super) const MEMORY: std::ops::RangeInclusive<u64> = MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX;
/// Longest age, in ms: 365 days.
pub(super) const AGE_MS_MAX: u64 = 31_536_000_000;

impl Recycle {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        let known = ["requests_max", "age_ms_max", "memory_bytes_max", "at", "jitter_percent"];
        reading.known(keys, &known, &[]);
        Self {
            requests_max: reading.number(keys, "requests_max", &(0..=1_000_000_000), 0),
            age_ms_max: reading.number_or_zero(keys, "age_ms_max", &(10_000..=AGE_MS_MAX)),
            memory_bytes_max: reading.bytes_or_zero(keys, "memory_bytes_max", &MEMORY),
            at: times(reading, keys),
            jitter_percent: reading.small(keys, "jitter_percent", &(0..=100), 10),
        }
    }
}

fn times(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Vec<Spanned<u16>> {
    let mut times: Vec<Spanned<u16>> = Vec::new();
    for text in reading.strings(keys, "at").unwrap_or_default() {
        let Some(minutes) = minutes(&text.value) else {
            let what = format!("\"{}\" is not a time of day", text.value.escape_debug());
            reading.report.error_at(text.at, what, "write hours and minutes, from \"00:00\" to \"23:59\"");
            continue;
        };
        if times.iter().any(|other| other.value == minutes) {
            reading.report.error_at(text.at, format!("\"{}\" is listed twice", text.value), "keep one of them");
        } else {
            times.push(Spanned::new(minutes, text.at));
        }
    }
    times
}

/// Minutes since midnight of `HH:MM`.
pub(super) fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let part = |digits: &str, below: u16| -> Option<u16> {
        let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| digits.parse().ok()).flatten().filter(|number| *number < below)
    };
    Some(part(hours, 24)? * 60 + part(minutes, 60)?)
}
