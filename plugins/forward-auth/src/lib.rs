//! `builtin:forward-auth`: asks an upstream before a request goes on, and lets it decide.
//!
//! The upstream gets a `GET` without a body: what the client's request is about in
//! `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`, and of the client's own fields
//! those that the settings name. A reply of 2xx lets the request go on; one of 3xx or 4xx is
//! the client's answer (a login page's address, a challenge); anything else, and no reply in
//! time, is 503: nobody gets in because the upstream is away.
//!
//! # Settings
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `upstream` | name of the `[upstreams.NAME]` that is asked; grant `http = ["NAME"]` | needed |
//! | `path` | what is asked for there, below its URL | `/` |
//! | `send` | fields of the client that it is sent, beside `Authorization` | `["cookie"]` |
//! | `copy` | fields of its reply that the application gets; the client's own of these names never reach it | none |
//! | `timeout_ms` | most time of the call, milliseconds, at most 60,000 | 2,000 |
#![forbid(unsafe_code)]

pub mod decide;

use decide::{Asked, Outcome};
use gatelodge_sdk::http::Call;
use gatelodge_sdk::{
    Config, Credential, Edits, Field, Plugin, Registration, RequestHead, Verdict, View, authority, client_ip, header,
    method, path, query, scheme,
};

gatelodge_sdk::manifest! {
    name: "forward-auth",
    version: env!("CARGO_PKG_VERSION"),
    description: "Asks an upstream whether a request may go on",
    grants: { "log": true, "http": ["auth"] },
}
gatelodge_sdk::export!(ForwardAuth; request_head);

/// Most bytes of a reply that becomes the client's answer.
const REPLY_BYTES_MAX: u32 = 64 * 1024;

/// The plugin: settings, and where in the view each part is.
pub struct ForwardAuth {
    upstream: String,
    path: String,
    timeout_ms: u32,
    sent: Vec<(String, Field)>,
    copied: Vec<String>,
    method: Field,
    scheme: Field,
    authority: Field,
    target: Field,
    query: Field,
    client_ip: Field,
}

impl Plugin for ForwardAuth {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let upstream = config.string("upstream");
        let at = config.string("path").unwrap_or_else(|| "/".to_owned());
        let send = config.strings("send").unwrap_or_else(|| vec!["cookie".to_owned()]);
        let copied = config.strings("copy").unwrap_or_default();
        let timeout_ms = config.number("timeout_ms", 2_000, 60_000);
        if upstream.is_none() {
            config.problem("upstream", "name the [upstreams.NAME] that is asked, and grant http = [\"NAME\"]");
        }
        if !at.starts_with('/') {
            config.problem("path", "a path begins with /");
        }
        config.finish()?;
        let mut registration = Registration::new();
        let mut see = |selector| registration.request(selector);
        let plugin = Self {
            upstream: upstream.unwrap_or_default(),
            path: at,
            timeout_ms: u32::try_from(timeout_ms).unwrap_or(u32::MAX),
            sent: send.into_iter().map(|name| (name.clone(), see(header(&name)))).collect(),
            copied,
            method: see(method()),
            scheme: see(scheme()),
            authority: see(authority()),
            target: see(path()),
            query: see(query()),
            client_ip: see(client_ip()),
        };
        Ok((plugin, registration))
    }
}

impl RequestHead for ForwardAuth {
    fn request_head(&mut self, view: &View) -> Verdict {
        let bytes = |field: Field| view.bytes(field).unwrap_or_default();
        let asked = Asked { path: bytes(self.target), query: view.bytes(self.query) };
        let mut call = Call::get(&self.upstream, &self.path)
            .header("x-forwarded-method", bytes(self.method))
            .header("x-forwarded-proto", bytes(self.scheme))
            .header("x-forwarded-host", bytes(self.authority))
            .header("x-forwarded-uri", asked.target())
            .header("x-forwarded-for", bytes(self.client_ip))
            .credential(Credential::Original)
            .timeout_ms(self.timeout_ms)
            .reply_bytes_max(REPLY_BYTES_MAX);
        for (name, field) in &self.sent {
            if let Some(value) = view.bytes(*field) {
                call = call.header(name, value);
            }
        }
        match decide::outcome(call.send(), &self.copied) {
            Outcome::GoOn(fields) => {
                // What the client says under these names is a claim, whatever the upstream says.
                let edits = self.copied.iter().fold(Edits::new(), |edits, name| edits.remove(name));
                fields.into_iter().fold(edits, |edits, (name, value)| edits.append(&name, value)).verdict()
            }
            Outcome::Answer(response) => response.verdict(),
        }
    }
}
