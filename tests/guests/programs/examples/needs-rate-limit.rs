//! Imports `rate-limit`, which needs a grant: a limiter by name.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Response, Verdict, View, rate_limit};

gatelodge_sdk::manifest! { name: "needs-rate-limit", version: "0.1.0", grants: { "log": true, "limits": ["thing"] } }
gatelodge_sdk::export!(Needy; request_head);

struct Needy;

impl Plugin for Needy {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl RequestHead for Needy {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Response::new(200)
            .text(&format!("{:?}", rate_limit::take("thing", b"a", 1).map(|outcome| outcome.allowed)))
            .verdict()
    }
}
