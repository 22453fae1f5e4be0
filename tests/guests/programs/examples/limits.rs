//! Lets a request pass if the limiter `api` has a token for its `x-key`, else answers 429.
//! `x-bytes` takes a key of so many bytes, `x-cost` another number of tokens, and `x-limiter`
//! names another limiter.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Config, Edits, Field, Plugin, Registration, RequestHead, Response, Slot, Verdict, View, rate_limit,
};

gatelodge_sdk::manifest! { name: "limits", version: "0.1.0", grants: { "log": true, "limits": ["api"] } }
gatelodge_sdk::export!(Limits; request_head);

struct Limits {
    key: Field,
    bytes: Field,
    cost: Field,
    limiter: Field,
    out: Slot,
}

impl Plugin for Limits {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        if rate_limit::take("api", b"start", 1).is_ok() {
            return Err("a start is no request".to_owned());
        }
        let mut registration = Registration::new();
        let mut field = |name: &str| registration.request(gatelodge_sdk::header(name));
        let (key, bytes, cost) = (field("x-key"), field("x-bytes"), field("x-cost"));
        let limiter = field("x-limiter");
        let out = registration.output("x-left");
        Ok((Self { key, bytes, cost, limiter, out }, registration))
    }
}

impl RequestHead for Limits {
    fn request_head(&mut self, view: &View) -> Verdict {
        let key = match view.text(self.bytes).and_then(|text| text.parse().ok()) {
            Some(bytes) => vec![b'k'; bytes],
            None => view.bytes(self.key).unwrap_or_default().to_vec(),
        };
        let cost = view.text(self.cost).and_then(|text| text.parse().ok()).unwrap_or(1);
        let limiter = view.text(self.limiter).unwrap_or("api");
        match rate_limit::take(limiter, &key, cost) {
            Ok(outcome) if outcome.allowed => Edits::new().set(self.out, outcome.remaining.to_string()).verdict(),
            Ok(outcome) => Response::new(429).text(&format!("{} of {}", outcome.remaining, outcome.limit)).verdict(),
            Err(failure) => Response::new(500).text(&format!("{failure:?}")).verdict(),
        }
    }
}
