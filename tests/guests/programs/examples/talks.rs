//! Writes to the log what `x-say` asks for: too long, too many fields, control characters.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Config, Field, Level, Plugin, Registration, RequestHead, Verdict, View, event, log_enabled, log_line,
};

gatelodge_sdk::manifest! { name: "talks", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Talks; request_head);

struct Talks(Field);

impl Plugin for Talks {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let what = registration.request(gatelodge_sdk::header("x-say"));
        Ok((Self(what), registration))
    }
}

impl RequestHead for Talks {
    fn request_head(&mut self, view: &View) -> Verdict {
        match view.text(self.0) {
            Some("escapes") => {
                assert!(log_enabled(Level::Warn) && !log_enabled(Level::Trace));
                log_line(Level::Trace, "never seen");
                event(Level::Warn, "a\x1b[31mb\r\nforged", &[("ke\ny".to_owned(), "va\0lue".to_owned())]);
            }
            Some("long") => log_line(Level::Info, &"x".repeat(1 << 20)),
            Some("fields") => {
                let fields = vec![("k".to_owned(), "v".to_owned()); 1_000];
                event(Level::Info, "many", &fields);
            }
            _ => {}
        }
        Verdict::Pass
    }
}
