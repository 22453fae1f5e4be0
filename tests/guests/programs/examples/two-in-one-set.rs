//! Selects two request headers and sets one by its slot: what a typical plugin does.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, Slot, Verdict, View};

gatelodge_sdk::manifest! { name: "two-in-one-set", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Two; request_head);

struct Two {
    agent: Field,
    accept: Field,
    out: Slot,
}

impl Plugin for Two {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let agent = registration.request(gatelodge_sdk::header("user-agent"));
        let accept = registration.request(gatelodge_sdk::header("accept"));
        let out = registration.output("x-seen");
        Ok((Self { agent, accept, out }, registration))
    }
}

impl RequestHead for Two {
    fn request_head(&mut self, view: &View) -> Verdict {
        let seen = match (view.bytes(self.agent), view.bytes(self.accept)) {
            (Some(_), Some(_)) => "both",
            (None, None) => "none",
            _ => "one",
        };
        Edits::new().set(self.out, seen).verdict()
    }
}
