//! Leaves its name on the way in and on the way out.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Plugin, Registration, RequestHead, ResponseHead, Verdict, View};

gatelodge_sdk::manifest! { name: "order", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Order; request_head, response_head);

struct Order(String);

impl Plugin for Order {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let name = config.string("name").unwrap_or_default();
        config.finish()?;
        Ok((Self(name), Registration::new()))
    }
}

impl RequestHead for Order {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Edits::new().append("x-order", self.0.as_str()).verdict()
    }
}

impl ResponseHead for Order {
    fn response_head(&mut self, _view: &View) -> Verdict {
        Edits::new().append("x-order", self.0.as_str()).verdict()
    }
}
