//! Shows what it learns of the caller: `x-subject` and `x-role` from selectors,
//! `x-principal` (`subject issuer scheme expires claims`) from the capability.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, Verdict, View, claim, identity, subject};

gatelodge_sdk::manifest! { name: "claim-reader", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Reader; request_head);

struct Reader {
    subject: Field,
    role: Field,
}

impl Plugin for Reader {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let subject = registration.request(subject());
        let role = registration.request(claim("role"));
        Ok((Self { subject, role }, registration))
    }
}

impl RequestHead for Reader {
    fn request_head(&mut self, view: &View) -> Verdict {
        let mut edits = Edits::new();
        for (name, field) in [("x-subject", self.subject), ("x-role", self.role)] {
            edits = edits.set_header(name, view.bytes(field).unwrap_or(b"(none)"));
        }
        let principal = identity::get_principal().map_or_else(
            || "(none)".to_owned(),
            |who| format!("{} {} {} {} {}", who.subject, who.issuer, who.scheme, who.expires, who.claims),
        );
        edits.set_header("x-principal", principal).verdict()
    }
}
