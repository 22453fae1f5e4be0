//! Never ends, in what is not its own code: cheap host calls or bulk memory operations.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Field, Plugin, Registration, RequestHead, Verdict, View, clock};
use std::hint::black_box;

gatelodge_sdk::manifest! { name: "host-calls", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Calls; request_head);

struct Calls(Field);

impl Plugin for Calls {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let how = registration.request(gatelodge_sdk::header("x-how"));
        Ok((Self(how), registration))
    }
}

impl RequestHead for Calls {
    fn request_head(&mut self, view: &View) -> Verdict {
        match view.text(self.0) {
            Some("calls") => loop {
                black_box(clock::monotonic_ns());
            },
            Some("fill") => {
                let mut memory = vec![0_u8; 4 << 20];
                loop {
                    black_box(&mut memory).fill(black_box(1));
                }
            }
            _ => Verdict::Pass,
        }
    }
}
