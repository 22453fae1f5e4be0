//! Computes for `turns` turns in each request hook, some nanoseconds each.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Plugin, Registration, RequestHead, Verdict, View};

gatelodge_sdk::manifest! { name: "busy", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Busy; request_head);

struct Busy {
    turns: u64,
}

impl Plugin for Busy {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let turns = config.number("turns", 1_000_000, u64::MAX);
        config.finish()?;
        Ok((Self { turns }, Registration::new()))
    }
}

impl RequestHead for Busy {
    fn request_head(&mut self, _view: &View) -> Verdict {
        (0..self.turns).for_each(|turn| {
            std::hint::black_box(turn);
        });
        Verdict::Pass
    }
}
