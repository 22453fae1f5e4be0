//! Fails in `configure`, as the setting `how` says: `error`, `panic`, `loop`, `vary`.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Verdict, View, clock, random};

gatelodge_sdk::manifest! { name: "bad-configure", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Bad; request_head);

struct Bad;

impl Plugin for Bad {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let how = config.choice("how", &["error", "panic", "loop", "vary", "selector"]);
        config.finish()?;
        let mut registration = Registration::new();
        match how {
            Some("error") => return Err("the settings do not suit this guest".to_owned()),
            Some("panic") => panic!("the guest gave up in configure"),
            Some("loop") => loop {
                std::hint::black_box(clock::monotonic_ns());
            },
            // Every instance says something else.
            Some("vary") => {
                let _ = registration.request(gatelodge_sdk::header(&format!("x-{}", random::next_u64())));
            }
            // A field of the response cannot be in the request's view.
            Some("selector") => {
                let _ = registration.request(gatelodge_sdk::status());
            }
            _ => {}
        }
        Ok((Self, registration))
    }
}

impl RequestHead for Bad {
    fn request_head(&mut self, _view: &View) -> Verdict {
        Verdict::Pass
    }
}
