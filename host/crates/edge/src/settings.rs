//! Limits and deadlines of the front door.

use std::net::IpAddr;
use std::time::Duration;
use wire::admit::AdmitRules;

/// Settings of one worker's front door. Each limit tells its unit by its name.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// What admission lets pass; its field count is also the parser's.
    pub rules: AdmitRules,
    /// Peers whose forwarded fields are believed (`[host.trust] proxies`). Default: none.
    pub proxies: Vec<ipnet::IpNet>,
    /// Open connections of one worker: its share of `[host.limits] connections_max`.
    /// Default 10,000; more are closed at once and counted. Measured: a connection that has said nothing holds about
    /// 5 KiB, an idle one that was served about 15 KiB, its parser's buffer of 8
    /// KiB included.
    pub connections_max: usize,
    /// Connections that the system may keep waiting, per listening socket. Default 1,024.
    pub backlog_max: u32,
    /// Request line and fields of one head. Default 65,536, above: 431. It also
    /// limits trailers, which are read and dropped.
    pub head_bytes_max: usize,
    /// Bytes of one direction that a connection holds between socket and
    /// handler. Default 65,536, at least 8,192.
    pub buffer_bytes_max: usize,
    /// From accept to the first byte. Default 10,000; then the connection is closed.
    pub first_byte_ms_max: u64,
    /// From the first byte of a head to its last. Default 15,000; then 408.
    pub head_ms_max: u64,
    /// From the end of a reply to the first byte of the next request.
    /// Default 120,000, as IIS has it; then the connection is closed.
    pub idle_ms_max: u64,
    /// Wait for the next piece of a request body. Default 30,000; then the
    /// body ends with a fault that becomes 408.
    pub body_idle_ms_max: u64,
    /// A whole request body; looked at only while we wait for the client.
    /// Default `u64::MAX`: no limit; then as above.
    pub body_total_ms_max: u64,
    /// Wait for a client that does not take its reply. Default 30,000; then the
    /// connection is reset.
    pub write_idle_ms_max: u64,
    /// After a refusal, how long we read on so that it is not lost in a reset.
    /// Default 2,000.
    pub linger_ms_max: u64,
    /// The same in bytes. Default 65,536.
    pub linger_bytes_max: usize,
    /// Pause after a failed accept (no file descriptors, no memory). Default 100.
    pub accept_pause_ms: u64,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            rules: AdmitRules::default(),
            proxies: Vec::new(),
            connections_max: 10_000,
            backlog_max: 1_024,
            head_bytes_max: 65_536,
            buffer_bytes_max: 65_536,
            first_byte_ms_max: 10_000,
            head_ms_max: 15_000,
            idle_ms_max: 120_000,
            body_idle_ms_max: 30_000,
            body_total_ms_max: u64::MAX,
            write_idle_ms_max: 30_000,
            linger_ms_max: 2_000,
            linger_bytes_max: 65_536,
            accept_pause_ms: 100,
        }
    }
}

impl EdgeSettings {
    /// True if this peer's forwarded fields are believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|net| net.contains(&peer))
    }
}

/// Milliseconds as the settings have them.
pub(crate) fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}
