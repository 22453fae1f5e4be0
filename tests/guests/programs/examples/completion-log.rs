//! Writes the summary of each exchange as an event `done`, with method and source.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Completion, Config, Field, Level, Plugin, Registration, Summary, View, event, method, response_source,
};

gatelodge_sdk::manifest! { name: "completion-log", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Log; completion);

struct Log {
    method: Field,
    source: Field,
}

impl Plugin for Log {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let method = registration.completion(method());
        let source = registration.completion(response_source());
        Ok((Self { method, source }, registration))
    }
}

impl Completion for Log {
    fn completion(&mut self, summary: &Summary, view: &View) {
        let text = |field| view.text(field).unwrap_or("(none)").to_owned();
        let fields = [
            ("method", text(self.method)),
            ("source", text(self.source)),
            ("status", format!("{:?}", summary.status)),
            ("ending", format!("{:?}", summary.ending)),
            ("bytes_in", summary.bytes_in.to_string()),
            ("bytes_out", summary.bytes_out.to_string()),
            ("detail", format!("{:?}", summary.detail)),
        ];
        event(Level::Info, "done", &fields.map(|(name, value)| (name.to_owned(), value)));
    }
}
