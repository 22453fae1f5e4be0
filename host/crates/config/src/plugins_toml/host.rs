//! `[host]` and its tables.

use super::admin::{Admin, parse_admin};
use super::backend::BackendExtras;
use super::limits::Limits;
use super::shared::SharedPlugins;
use super::table::{Keys, Reading};
use crate::source::{Setting, Spanned};
use ipnet::IpNet;
use serde::Serialize;
use std::net::IpAddr;

/// Where a listener binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenHost {
    /// Every address of the machine: `*` or `+`.
    Any,
    /// Both loopback addresses: `localhost`.
    Localhost,
    /// One address.
    Ip(IpAddr),
}

/// A listener: `http://ADDRESS:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// As written.
    pub url: String,
    /// Where it binds.
    pub host: ListenHost,
    /// TCP port; 0 = a free one.
    pub port: u16,
}

/// How many worker threads serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Workers {
    /// One per core.
    Auto,
    /// This many.
    Count(u16),
}

/// What an escaped slash (`%2F`) in a path gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EscapedSlash {
    /// It goes on as sent, and separates nothing.
    Pass,
    /// 400.
    Refuse,
}

/// Form of the host's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Least severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens in a life.
    Info,
    /// And why.
    Debug,
    /// And everything.
    Trace,
}

/// `[host.log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Default text.
    pub format: Setting<LogFormat>,
    /// Default info.
    pub level: Setting<LogLevel>,
}

/// `[host]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Default `http://127.0.0.1:8080`.
    pub listen: Setting<Vec<Listener>>,
    /// Default auto.
    pub workers: Setting<Workers>,
    /// The application's virtual path, without a slash at its end. Default `/`.
    pub path_base: Setting<String>,
    /// Sections of web.config that are not applied, and knowingly so. Default none.
    pub accept_unapplied: Vec<Spanned<String>>,
    /// Default pass.
    pub escaped_slash: Setting<EscapedSlash>,
    /// Where the host is asked and told by `gatelodge status`, `reload` and `stop`. Default auto.
    pub admin: Setting<Admin>,
    /// Whether changed files of the site are taken up live. Default true.
    pub watch: Setting<bool>,
    /// The secret, one of `[secrets]`, by which a client is told what becomes of its request.
    /// Default none: nobody is.
    pub trace_key: Option<Spanned<String>>,
    /// `[host.limits]`.
    pub limits: Limits,
    /// `[host.plugins]`.
    pub plugins: SharedPlugins,
    /// `[host.trust] proxies`: peers whose forwarded fields are believed. Default none.
    #[serde(serialize_with = "as_text")]
    pub trust_proxies: Vec<Spanned<IpNet>>,
    /// `[host.log]`.
    pub log: Log,
    /// `[host.backend] token_headers`: fields that carry the pairing token besides `MS-ASPNETCORE-TOKEN`. Default none.
    pub token_headers: Vec<Spanned<String>>,
    /// The rest of `[host.backend]` and its tables.
    pub backend: BackendExtras,
}

fn as_text<S: serde::Serializer>(nets: &[Spanned<IpNet>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nets.iter().map(|net| Spanned::new(net.value.to_string(), net.at)))
}

/// Where a host without any setting listens.
const LISTEN_DEFAULT: (&str, u16) = ("http://127.0.0.1:8080", 8080);
/// Most listeners of one host.
const LISTENERS_MAX: usize = 64;
/// Most worker threads, as for `--workers`.
const WORKERS_MAX: u64 = 256;
/// Longest virtual path, in bytes.
const PATH_BASE_BYTES_MAX: usize = 1024;

const LATER: [(&str, &str); 3] = [
    ("tls", "put a TLS proxy in front"),
    ("compat", "the answers are the ones of the documentation"),
    ("httpsys", "listen with http://"),
];
const LOG_LATER: [(&str, &str); 4] = [
    ("access", "use the plugin builtin:request-log"),
    ("rotation", "the log goes to standard error: let the service manager rotate it"),
    ("file", "the log goes to standard error"),
    ("w3c", "use format = \"text\" or \"json\""),
];

impl Default for Host {
    fn default() -> Self {
        let listener = Listener {
            url: LISTEN_DEFAULT.0.to_owned(),
            host: ListenHost::Ip(IpAddr::from([127, 0, 0, 1])),
            port: LISTEN_DEFAULT.1,
        };
        Self {
            listen: Setting::default_value(vec![listener]),
            workers: Setting::default_value(Workers::Auto),
            path_base: Setting::default_value("/".to_owned()),
            accept_unapplied: Vec::new(),
            escaped_slash: Setting::default_value(EscapedSlash::Pass),
            admin: Setting::default_value(Admin::Auto),
            watch: Setting::default_value(true),
            trace_key: None,
            limits: Limits::default(),
            plugins: SharedPlugins::default(),
            trust_proxies: Vec::new(),
            log: Log { format: Setting::default_value(LogFormat::Text), level: Setting::default_value(LogLevel::Info) },
            token_headers: Vec::new(),
            backend: BackendExtras::default(),
        }
    }
}

impl Host {
    pub(super) fn read(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Self {
        let known = [
            "listen",
            "workers",
            "path_base",
            "accept_unapplied",
            "escaped_slash",
            "admin",
            "watch",
            "trace_key",
            "limits",
            "plugins",
            "trust",
            "log",
            "backend",
        ];
        reading.known(keys, &known, &LATER);
        let mut host = Self::default();
        host.listen(reading, keys);
        host.workers = workers(reading, keys);
        if let Some(text) = reading.string(keys, "path_base") {
            match parse_path_base(&text.value) {
                Ok(path) => host.path_base = Setting::set(path, text.at),
                Err(reason) => {
                    reading.report.error_at(text.at, reason, "write path_base = \"/\" or path_base = \"/app\"")
                }
            }
        }
        host.accept_unapplied = accept_unapplied(reading, keys);
        let words = [("pass", EscapedSlash::Pass), ("refuse", EscapedSlash::Refuse)];
        host.escaped_slash = reading.word(keys, "escaped_slash", &words, EscapedSlash::Pass);
        if let Some(admin) = reading.string(keys, "admin") {
            match parse_admin(&admin.value) {
                Ok(address) => host.admin = Setting::set(address, admin.at),
                Err((what, help)) => reading.report.error_at(admin.at, what, help),
            }
        }
        host.watch = reading.boolean_or(keys, "watch", true);
        host.trace_key = reading.string(keys, "trace_key");
        if let Some(limits) = reading.table(keys, "limits") {
            host.limits = Limits::read(reading, &limits);
        }
        if let Some(plugins) = reading.table(keys, "plugins") {
            host.plugins = SharedPlugins::read(reading, &plugins);
        }
        if let Some(trust) = reading.table(keys, "trust") {
            reading.known(&trust, &["proxies"], &[]);
            host.trust_proxies = proxies(reading, &trust);
        }
        if let Some(log) = reading.table(keys, "log") {
            host.log = read_log(reading, &log);
        }
        if let Some(backend) = reading.table(keys, "backend") {
            host.token_headers = token_headers(reading, &backend);
            host.backend = BackendExtras::read(reading, &backend);
        }
        host
    }

    fn listen(&mut self, reading: &mut Reading<'_>, keys: &Keys<'_>) {
        let Some(urls) = reading.strings(keys, "listen") else { return };
        let at = reading.report.at(keys.key_at("listen"));
        if urls.is_empty()
            && keys.item("listen").and_then(|item| item.as_array()).is_some_and(toml_edit::Array::is_empty)
        {
            reading.report.error_at(
                at,
                "`listen` is empty: nobody could come in",
                "write listen = [\"http://127.0.0.1:8080\"]",
            );
        }
        if urls.len() > LISTENERS_MAX {
            reading.report.error_at(at, format!("more than {LISTENERS_MAX} listeners"), "");
            return;
        }
        let mut listeners: Vec<Listener> = Vec::new();
        for url in urls {
            match parse_listener(&url.value) {
                Ok(listener) => {
                    let twin = listeners
                        .iter()
                        .any(|other| other.port != 0 && (&other.host, other.port) == (&listener.host, listener.port));
                    if twin {
                        reading.report.error_at(url.at, format!("{} is listed twice", url.value), "keep one of them");
                    }
                    listeners.push(listener);
                }
                Err((what, help)) => reading.report.error_at(url.at, what, help),
            }
        }
        self.listen = Setting::set(listeners, at);
    }
}

/// Groups are too broad: they would also accept what somebody adds next year.
const GROUPS: [&str; 5] = [
    "system.webServer",
    "system.webServer/security",
    "system.webServer/security/requestFiltering",
    "system.webServer/security/requestFiltering/requestLimits",
    "system.web",
];

fn accept_unapplied(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Vec<Spanned<String>> {
    let names = reading.strings(keys, "accept_unapplied").unwrap_or_default();
    for name in names.iter().filter(|name| GROUPS.contains(&name.value.as_str())) {
        let what = format!("\"{}\" is a group of sections; only a section can be accepted", name.value);
        reading.report.error_at(name.at, what, "name it: \"system.webServer/rewrite\"");
    }
    names
}

fn workers(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Setting<Workers> {
    if keys.item("workers").is_some_and(|item| item.is_str()) {
        return reading.word(keys, "workers", &[("auto", Workers::Auto)], Workers::Auto);
    }
    let read = reading.number(keys, "workers", &(1..=WORKERS_MAX), 1);
    match read.at {
        Some(at) => Setting::set(Workers::Count(u16::try_from(read.value).unwrap_or(u16::MAX)), at),
        None => Setting::default_value(Workers::Auto),
    }
}

fn proxies(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Vec<Spanned<IpNet>> {
    let mut nets = Vec::new();
    for text in reading.strings(keys, "proxies").unwrap_or_default() {
        let net = text.value.parse::<IpNet>().ok().or_else(|| text.value.parse::<IpAddr>().ok().map(IpNet::from));
        match net {
            Some(net) => nets.push(Spanned::new(net.trunc(), text.at)),
            None => {
                let what = format!("\"{}\" is not an address or a network", text.value);
                reading.report.error_at(text.at, what, "write \"10.0.0.0/8\", \"192.168.1.7\" or \"fd00::/8\"");
            }
        }
    }
    nets
}

fn read_log(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Log {
    reading.known(keys, &["format", "level"], &LOG_LATER);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    Log {
        format: reading.word(keys, "format", &formats, LogFormat::Text),
        level: reading.word(keys, "level", &levels, LogLevel::Info),
    }
}

/// Names that the host writes itself, or that frame a message.
const RESERVED_FIELDS: [&str; 8] =
    ["host", "connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer"];

fn token_headers(reading: &mut Reading<'_>, keys: &Keys<'_>) -> Vec<Spanned<String>> {
    let names = reading.strings(keys, "token_headers").unwrap_or_default();
    let mut kept: Vec<Spanned<String>> = Vec::new();
    for name in names {
        if !is_token(&name.value) || RESERVED_FIELDS.contains(&name.value.to_ascii_lowercase().as_str()) {
            let what = format!("\"{}\" can't be the name of a field that carries the token", name.value.escape_debug());
            reading.report.error_at(name.at, what, "write a name such as \"X-Pairing-Token\"");
        } else if !kept.iter().any(|other| other.value.eq_ignore_ascii_case(&name.value)) {
            kept.push(name);
        }
    }
    kept
}

/// RFC 9110 §5.6.2: what the name of a field or of a cookie is made of; at most 64 bytes here.
pub(super) fn is_token(name: &str) -> bool {
    let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(tchar)
}

/// Reads a listener's URL, also for `--listen`.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn parse_listener(url: &str) -> Result<Listener, (String, &'static str)> {
    const HELP: &str = "write \"http://127.0.0.1:8080\", \"http://[::]:80\" or \"http://*:80\"";
    let wrong = |what: &str| Err((format!("\"{}\" {what}", url.escape_debug()), HELP));
    let Some((scheme, rest)) = url.split_once("://") else { return wrong("is not a listener's URL") };
    match scheme {
        "http" => {}
        "https" => {
            return Err((
                format!("not yet: TLS listeners (\"{}\")", url.escape_debug()),
                "listen with http:// and put a TLS proxy in front",
            ));
        }
        "httpsys" => {
            return Err((format!("not yet: HTTP.sys listeners (\"{}\")", url.escape_debug()), "listen with http://"));
        }
        _ => return wrong("has a scheme that is not known"),
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return wrong("has a path: the app's virtual path is set by path_base");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, "80"),
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let Some(port) = port.parse::<u16>().ok().filter(|_| digits) else { return wrong("has no port from 0 to 65535") };
    let address = match host.strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(inner) => inner.and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok()).map(IpAddr::from),
        None => host.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from),
    };
    let host = match (host, address) {
        ("*" | "+", _) => ListenHost::Any,
        (name, _) if name.eq_ignore_ascii_case("localhost") => ListenHost::Localhost,
        (_, Some(address)) => ListenHost::Ip(address),
        _ => return wrong("names no address: a listener binds to an address, not to a host name"),
    };
    Ok(Listener { url: url.to_owned(), host, port })
}

/// Reads the application's virtual path, also for `--path-base`. A slash at its end is dropped.
///
/// # Errors
/// What is wrong with it.
pub fn parse_path_base(path: &str) -> Result<String, String> {
    let shown = path.escape_debug();
    if !path.starts_with('/') {
        return Err(format!("path_base \"{shown}\" does not begin with a slash"));
    }
    if path.len() > PATH_BASE_BYTES_MAX {
        return Err(format!("path_base is longer than {PATH_BASE_BYTES_MAX} bytes"));
    }
    let trimmed = path.trim_end_matches('/');
    let segments = trimmed.split('/').skip(1);
    if segments.clone().any(|segment| segment.is_empty() || matches!(segment, "." | "..")) {
        return Err(format!("path_base \"{shown}\" has empty or dot segments"));
    }
    // RFC 3986 §3.3 without escapes: what needs none is compared as it stands.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
    if !path.bytes().all(plain) {
        return Err(format!("path_base \"{shown}\" holds characters that a path would have to escape"));
    }
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}
