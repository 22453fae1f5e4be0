//! Keeps `x-kib` KiB more with each request, and counts the calls of its instance.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, Slot, Verdict, View};

gatelodge_sdk::manifest! { name: "leak", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Leak; request_head);

struct Leak {
    kib: Field,
    calls: Slot,
    count: u32,
    kept: Vec<Vec<u8>>,
}

impl Plugin for Leak {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let kib = registration.request(gatelodge_sdk::header("x-kib"));
        let calls = registration.output("x-calls");
        Ok((Self { kib, calls, count: 0, kept: Vec::new() }, registration))
    }
}

impl RequestHead for Leak {
    fn request_head(&mut self, view: &View) -> Verdict {
        let kib: usize = view.text(self.kib).and_then(|text| text.parse().ok()).unwrap_or(0);
        for _ in 0..kib {
            self.kept.push(vec![1; 1024]);
        }
        self.count += 1;
        Edits::new().set(self.calls, self.count.to_string()).verdict()
    }
}
