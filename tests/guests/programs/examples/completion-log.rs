//! Writes the summary of each exchange as an event `done`, with method and source. The
//! setting `field` names a field of the response that it wants to see as well.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Completion, Config, Field, Level, Plugin, Registration, Summary, View, event, method, response_header,
    response_source,
};

gatelodge_sdk::manifest! { name: "completion-log", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Log; completion);

struct Log {
    method: Field,
    source: Field,
}

impl Plugin for Log {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let field = config.string("field");
        config.finish()?;
        let mut registration = Registration::new();
        if let Some(name) = field {
            registration.completion(response_header(&name));
        }
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
