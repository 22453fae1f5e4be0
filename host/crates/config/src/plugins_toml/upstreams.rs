//! `[upstreams.NAME]`: where plugins may call, declared once and granted by name.

use super::named::each;
use super::table::{self, Keys, Reading};
use crate::source::{Setting, Spanned};
use serde::Serialize;
use std::collections::BTreeMap;

/// An upstream of plugins' calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// Scheme, host, port and the beginning of every path. Required.
    pub url: Spanned<String>,
    /// It may lead to loopback, link-local and private addresses. Default false.
    pub private: Setting<bool>,
    /// Certificates in PEM that vouch for the server, relative to plugins.toml. Default: Mozilla's list.
    pub ca: Option<Spanned<String>>,
    /// Time to resolve, connect and shake hands in milliseconds (1–60,000). Default 5000.
    pub connect_ms_max: Setting<u64>,
    /// Time of a call in milliseconds (1–600,000). Default 30,000.
    pub total_ms_max: Setting<u64>,
    /// Bytes of a request's body (1 KiB–8 MiB). Default 1 MiB.
    pub request_bytes_max: Setting<u64>,
    /// Bytes of a reply's body (1 KiB–8 MiB). Default 1 MiB.
    pub response_bytes_max: Setting<u64>,
    /// Calls at once, per plugin and worker (1–10,000). Default 256.
    pub calls_max: Setting<u64>,
}

const KEYS: [&str; 8] =
    ["url", "private", "ca", "connect_ms_max", "total_ms_max", "request_bytes_max", "response_bytes_max", "calls_max"];

pub(super) fn read(reading: &mut Reading<'_>, root: &Keys<'_>) -> BTreeMap<String, Upstream> {
    each(reading, root, "upstreams", "upstream", |reading, keys, name| {
        reading.known(keys, &KEYS, &[]);
        if !keys.has("url") {
            let what = format!("[upstreams.{name}] has no `url`");
            reading.report.error(keys.at, what, "write url = \"https://login.example.com\"");
        }
        let url = reading.string(keys, "url");
        if let Some(url) = url.as_ref().filter(|url| !["http://", "https://"].iter().any(|s| url.value.starts_with(s)))
        {
            reading.report.error_at(url.at, "an upstream's `url` begins with https:// or http://", "");
        }
        let ca = reading.string(keys, "ca");
        if let Some(ca) = &ca {
            table::path_within(reading, ca);
        }
        Some(Upstream {
            private: reading.boolean_or(keys, "private", false),
            ca,
            connect_ms_max: reading.number(keys, "connect_ms_max", &(1..=60_000), 5000),
            total_ms_max: reading.number(keys, "total_ms_max", &(1..=600_000), 30_000),
            request_bytes_max: reading.bytes(keys, "request_bytes_max", &(1024..=8 << 20), 1 << 20),
            response_bytes_max: reading.bytes(keys, "response_bytes_max", &(1024..=8 << 20), 1 << 20),
            calls_max: reading.number(keys, "calls_max", &(1..=10_000), 256),
            url: url?,
        })
    })
}
