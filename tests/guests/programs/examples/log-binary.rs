//! Logs what is no text for a terminal: each control character there is, and what turns text round.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Field, Level, Plugin, Registration, RequestHead, Verdict, View, header, log_line};

gatelodge_sdk::manifest! { name: "log-binary", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Guest; request_head);

struct Guest(Field);

impl Plugin for Guest {
    fn configure(_: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let field = registration.request(header("x-do"));
        Ok((Self(field), registration))
    }
}

impl RequestHead for Guest {
    fn request_head(&mut self, view: &View) -> Verdict {
        if view.text(self.0).is_some() {
            let mut text: String = (0_u8..32).chain(127..160).map(char::from).collect();
            text.push_str("\u{202e}\u{2028}");
            log_line(Level::Info, &format!("binary {text} end"));
        }
        Verdict::Pass
    }
}
