//! Does what `two-in-one-set` does, and asks an upstream about requests that tell nothing
//! about their client: a plugin that may wait, and nearly never does.
#![forbid(unsafe_code)]

use gatelodge_sdk::http_out::{self, Request};
use gatelodge_sdk::{Config, Credential, Edits, Field, Plugin, Registration, RequestHead, Slot, Verdict, View};

gatelodge_sdk::manifest! { name: "may-wait", version: "0.1.0", grants: { "log": true, "http": ["thing"] } }
gatelodge_sdk::export!(May; request_head);

struct May {
    agent: Field,
    accept: Field,
    out: Slot,
}

impl Plugin for May {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let agent = registration.request(gatelodge_sdk::header("user-agent"));
        let accept = registration.request(gatelodge_sdk::header("accept"));
        let out = registration.output("x-seen");
        Ok((Self { agent, accept, out }, registration))
    }
}

impl RequestHead for May {
    fn request_head(&mut self, view: &View) -> Verdict {
        let seen = match (view.bytes(self.agent), view.bytes(self.accept)) {
            (Some(_), Some(_)) => "both",
            (None, None) => ask(),
            _ => "one",
        };
        Edits::new().set(self.out, seen).verdict()
    }
}

fn ask() -> &'static str {
    let request = Request {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        credential: Credential::None,
        timeout_ms: 1000,
        response_bytes_max: 1024,
    };
    if http_out::send("thing", &request).is_ok() { "asked" } else { "none" }
}
