//! Sees every request head, selects nothing, changes nothing.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Verdict, View};

gatelodge_sdk::manifest! { name: "pass", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Pass; request_head);

struct Pass;

impl Plugin for Pass {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl RequestHead for Pass {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Verdict::Pass
    }
}
