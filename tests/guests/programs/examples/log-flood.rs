//! Writes `lines` lines of `bytes` bytes for each request.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Level, Plugin, Registration, RequestHead, Verdict, View, log_line};

gatelodge_sdk::manifest! { name: "log-flood", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Flood; request_head);

struct Flood {
    lines: u64,
    text: String,
}

impl Plugin for Flood {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let lines = config.number("lines", 10_000, 1_000_000);
        let bytes = usize::try_from(config.number("bytes", 100, 1_000_000)).map_err(|error| error.to_string())?;
        config.finish()?;
        Ok((Self { lines, text: "flood\n".repeat(bytes.div_ceil(6)) }, Registration::new()))
    }
}

impl RequestHead for Flood {
    fn request_head(&mut self, _view: &View) -> Verdict {
        (0..self.lines).for_each(|_| log_line(Level::Info, &self.text));
        Verdict::Pass
    }
}
