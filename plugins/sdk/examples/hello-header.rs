//! Adds one header to every request and one to every response: the smallest useful plugin.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Plugin, Registration, RequestHead, ResponseHead, Slot, Verdict, View};

gatelodge_sdk::manifest! { name: "hello-header", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Hello; request_head, response_head);

struct Hello {
    greeting: String,
    out: Slot,
}

impl Plugin for Hello {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let greeting = config.string("greeting").unwrap_or_else(|| "hello".to_owned());
        config.finish()?;
        let mut registration = Registration::new();
        let out = registration.output("x-hello");
        Ok((Self { greeting, out }, registration))
    }
}

impl RequestHead for Hello {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Edits::new().set(self.out, self.greeting.as_str()).verdict()
    }
}

impl ResponseHead for Hello {
    fn response_head(&mut self, _view: &View) -> Verdict {
        gatelodge_sdk::debug!("greeted with {}", self.greeting);
        Edits::new().set(self.out, "from gatelodge").verdict()
    }
}
