//! Imports `http-out`, which needs a grant: an upstream by name.
#![forbid(unsafe_code)]

use gatelodge_sdk::http_out::{self, Request};
use gatelodge_sdk::{Config, Credential, Plugin, Registration, RequestHead, Response, Verdict, View};

gatelodge_sdk::manifest! { name: "needs-http", version: "0.1.0", grants: { "log": true, "http": ["thing"] } }
gatelodge_sdk::export!(Needy; request_head);

struct Needy;

impl Plugin for Needy {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl RequestHead for Needy {
    fn request_head(&mut self, _view: &View) -> Verdict {
        let request = Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            credential: Credential::None,
            timeout_ms: 1000,
            response_bytes_max: 1024,
        };
        let told = http_out::send("thing", &request).map(|reply| reply.status);
        Response::new(200).text(&format!("{told:?}")).verdict()
    }
}
