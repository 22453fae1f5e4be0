//! Asks to see the body of each request, which it has no hook for.
#![forbid(unsafe_code)]

use gatelodge_sdk::{BodyInterest, Config, Plugin, Registration, RequestHead, Verdict, View};

gatelodge_sdk::manifest! { name: "inspect", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Inspect; request_head);

struct Inspect;

impl Plugin for Inspect {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl RequestHead for Inspect {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Verdict::Inspect((Vec::new(), BodyInterest::Observe))
    }
}
