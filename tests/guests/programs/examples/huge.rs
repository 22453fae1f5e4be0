//! Answers more than it may: a body, a list of edits; or asks to see no body at all.
#![forbid(unsafe_code)]

use gatelodge_sdk::{BodyInterest, Config, Edits, Field, Plugin, Registration, RequestHead, Response, Verdict, View};

gatelodge_sdk::manifest! { name: "huge", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Huge; request_head);

struct Huge(Field);

impl Plugin for Huge {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let what = registration.request(gatelodge_sdk::header("x-want"));
        Ok((Self(what), registration))
    }
}

impl RequestHead for Huge {
    fn request_head(&mut self, view: &View) -> Verdict {
        let edits = Edits::new().set_header("x-looked", "1").into_vec();
        match view.text(self.0) {
            Some("skip") => Verdict::Inspect((edits, BodyInterest::Skip)),
            Some("huge") => Verdict::Respond(Response { body: vec![b'x'; 9 << 20], ..Response::new(200) }),
            Some("many") => (0..200_000).fold(Edits::new(), |edits, _| edits.append("a", "b")).verdict(),
            _ => Verdict::Pass,
        }
    }
}
