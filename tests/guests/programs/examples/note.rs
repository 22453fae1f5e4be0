//! Leaves a note and the attribute `stage` on the way in, and shows the note on the way
//! out as `x-note`. The setting `attribute` names another one, which is not declared; what
//! the host says to that is in the note.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Config, Edits, Field, Plugin, Registration, RequestHead, ResponseHead, Verdict, View, exchange, path,
};

gatelodge_sdk::manifest! { name: "note", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Noter; request_head, response_head);

struct Noter {
    other: Option<String>,
    path: Field,
    note: Field,
}

impl Plugin for Noter {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let other = config.string("attribute");
        config.finish()?;
        let mut registration = Registration::new();
        registration.attribute("stage");
        let path = registration.request(path());
        let note = registration.response(gatelodge_sdk::note());
        Ok((Self { other, path, note }, registration))
    }
}

impl RequestHead for Noter {
    fn request_head(&mut self, view: &View) -> Verdict {
        let mut note = view.bytes(self.path).unwrap_or_default().to_vec();
        if let Some(name) = &self.other {
            note.extend(format!(" {:?}", exchange::set_attribute(name, b"x")).into_bytes());
        }
        let told = [exchange::set_attribute("stage", b"noted"), exchange::set_note(&note)];
        assert!(told.iter().all(Result::is_ok), "{told:?}");
        Verdict::Pass
    }
}

impl ResponseHead for Noter {
    fn response_head(&mut self, view: &View) -> Verdict {
        Edits::new().set_header("x-note", view.bytes(self.note).unwrap_or(b"(none)")).verdict()
    }
}
