//! Writes 10 MiB of header lines in the hook that `x-do` names; `x-how: more` asks for less than the
//! contract hands over at once, and for more than a head holds.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, ResponseHead, Verdict, View, header};

gatelodge_sdk::manifest! { name: "head-flood", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Flood; request_head, response_head);

struct Flood {
    request: [Field; 2],
    response: [Field; 2],
}

impl Flood {
    fn verdict(view: &View, fields: [Field; 2], hook: &str) -> Verdict {
        if view.text(fields[0]) != Some(hook) {
            return Verdict::Pass;
        }
        // Each line is as long as a line may be.
        let lines = if view.text(fields[1]) == Some("more") { 5 } else { 640 };
        (0..lines).fold(Edits::new(), |edits, _| edits.append("x-flood", vec![b'x'; 16 * 1024])).verdict()
    }
}

impl Plugin for Flood {
    fn configure(_: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let request = ["x-do", "x-how"].map(|name| registration.request(header(name)));
        let response = ["x-do", "x-how"].map(|name| registration.response(header(name)));
        Ok((Self { request, response }, registration))
    }
}

impl RequestHead for Flood {
    fn request_head(&mut self, view: &View) -> Verdict {
        Self::verdict(view, self.request, "request")
    }
}

impl ResponseHead for Flood {
    fn response_head(&mut self, view: &View) -> Verdict {
        Self::verdict(view, self.response, "response")
    }
}
