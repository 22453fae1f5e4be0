//! `[host.limits]`: every limit with its unit in its name.

use super::table::{Keys, Reading};
use crate::source::Setting;
use serde::Serialize;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes; also written `"64KiB"`.
    Bytes,
    /// Milliseconds.
    Ms,
    /// Things.
    Count,
}

/// One limit, for documentation and messages.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LimitDoc {
    /// Its key in `[host.limits]`.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Its default.
    pub default: u64,
    /// Smallest value.
    pub min: u64,
    /// Largest value.
    pub max: u64,
    /// What it limits, and what happens beyond it.
    pub text: &'static str,
}

macro_rules! limits {
    ($($name:ident: $unit:ident = $default:literal, $min:literal..=$max:literal, $text:literal;)*) => {
        /// All of `[host.limits]`, each with its place or as its default.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub struct Limits {
            $(#[doc = $text] #[doc = concat!("\n\nDefault ", stringify!($default), ", from ", stringify!($min), " to ", stringify!($max), ".")]
            pub $name: Setting<u64>,)*
        }

        /// The table of all limits.
        pub const LIMITS: &[LimitDoc] = &[
            $(LimitDoc { name: stringify!($name), unit: Unit::$unit, default: $default, min: $min, max: $max, text: $text },)*
        ];

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: Setting::default_value($default),)* }
            }
        }

        impl Limits {
            pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
                let known: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
                reading.known(keys, &known, &[]);
                Self { $($name: one(reading, keys, stringify!($name), Unit::$unit, $default, $min, $max),)* }
            }

            /// Every limit with its value, in the order of [`LIMITS`].
            #[must_use]
            pub fn values(&self) -> Vec<Setting<u64>> {
                vec![$(self.$name,)*]
            }
        }
    };
}

limits! {
    head_bytes_max: Bytes = 65_536, 8_192..=1_048_576, "Bytes of a request's head; beyond it: 431 and the connection is closed.";
    header_count_max: Count = 100, 1..=1_000, "Fields of a request's head; beyond it: 431 and the connection is closed.";
    target_bytes_max: Bytes = 16_384, 256..=65_536, "Bytes of a request's target; beyond it: 414 and the connection is closed.";
    connections_max: Count = 10_000, 1..=1_000_000, "Client connections of all workers together, in equal shares rounded up; beyond its share a worker closes new ones at once and counts them.";
    first_byte_ms_max: Ms = 10_000, 100..=600_000, "Time from accepting a connection to its first byte; beyond it the connection is closed without an answer.";
    head_ms_max: Ms = 15_000, 100..=600_000, "Time from a head's first byte to its last; beyond it: 408 and the connection is closed.";
    keep_alive_ms_max: Ms = 120_000, 100..=3_600_000, "Time between two requests of a connection; beyond it the connection is closed.";
    body_idle_ms_max: Ms = 30_000, 100..=3_600_000, "Time between two pieces of a request's body; beyond it: 408 and the connection is closed.";
    body_total_ms_max: Ms = 0, 0..=86_400_000, "Time for a whole request body, 0 = no limit; beyond it: 408 and the connection is closed.";
    write_idle_ms_max: Ms = 30_000, 100..=3_600_000, "Time in which a client takes no byte of its response; beyond it the connection is cut.";
    waiting_requests_max: Count = 1_000, 1..=100_000, "Requests of all workers that wait for a backend that is being started; beyond it: 503.2 with Retry-After.";
    connect_ms_max: Ms = 5_000, 10..=60_000, "Time for a connection to the backend; beyond it: 504.";
    backend_first_byte_ms_max: Ms = 0, 0..=86_400_000, "Time from the request's last byte to the response's first byte, in the place of web.config's requestTimeout; 0 = requestTimeout holds; beyond it: 504.";
    backend_head_bytes_max: Bytes = 65_536, 1_024..=1_048_576, "Bytes of a response's head and of the interim heads before it; beyond it: 502.3 and the backend connection is closed.";
    backend_header_count_max: Count = 256, 1..=1_000, "Fields of a response's head; beyond it: 502.3 and the backend connection is closed.";
    backend_idle_connections_max: Count = 128, 0..=10_000, "Idle connections to the backend that one worker keeps; beyond it the oldest is closed.";
    backend_keep_alive_ms_max: Ms = 60_000, 100..=3_600_000, "Time an idle connection to the backend is kept; beyond it the connection is closed.";
    drain_ms_max: Ms = 30_000, 0..=3_600_000, "Time that running requests have when the host stops; beyond it they are cut.";
}

/// [`LIMITS`] as a table in Markdown: the one of the documentation.
#[must_use]
pub fn limits_table() -> String {
    let mut table = String::from("| key | default | from | to | what it limits |\n|---|---:|---:|---:|---|\n");
    for LimitDoc { name, unit, default, min, max, text } in LIMITS {
        let unit = match unit {
            Unit::Bytes => " B",
            Unit::Ms => " ms",
            Unit::Count => "",
        };
        table.push_str(&format!(
            "| `{name}` | {}{unit} | {} | {} | {text} |\n",
            grouped(*default),
            grouped(*min),
            grouped(*max)
        ));
    }
    table
}

/// Digits in groups of three, as TOML may have them: `1_000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

fn one(
    reading: &mut Reading<'_>,
    keys: &Keys<'_>,
    name: &str,
    unit: Unit,
    default: u64,
    min: u64,
    max: u64,
) -> Setting<u64> {
    let range = min..=max;
    match unit {
        Unit::Bytes => reading.bytes(keys, name, &range, default),
        Unit::Ms | Unit::Count => reading.number(keys, name, &range, default),
    }
}
