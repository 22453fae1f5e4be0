//! Imports `keys`, which needs a grant: a key by name.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Response, Verdict, View, keys};

gatelodge_sdk::manifest! { name: "needs-keys", version: "0.1.0", grants: { "log": true, "keys": ["thing"] } }
gatelodge_sdk::export!(Needy; request_head);

struct Needy;

impl Plugin for Needy {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl RequestHead for Needy {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Response::new(200).text(&format!("{:?}", keys::hmac_sha256("thing", b"a").map(|bytes| bytes.len()))).verdict()
    }
}
