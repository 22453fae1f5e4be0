//! Uses secrets without seeing them: `x-sign` names the key of a signature, `x-stored` a
//! bearer token, `x-field` and `x-secret` a field and the secret that it carries.
#![forbid(unsafe_code)]

use gatelodge_sdk::identity_control::forward_credential;
use gatelodge_sdk::{Config, Credential, Edits, Field, Plugin, Registration, RequestHead, Slot, Verdict, View, keys};
use std::fmt::Write as _;

gatelodge_sdk::manifest! { name: "uses-keys", version: "0.1.0", grants: { "log": true, "identity": true, "keys": ["signing"] } }
gatelodge_sdk::export!(UsesKeys; request_head);

struct UsesKeys {
    sign: Field,
    stored: Field,
    field: Field,
    secret: Field,
    out: Slot,
}

impl Plugin for UsesKeys {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let mut field = |name: &str| registration.request(gatelodge_sdk::header(name));
        let (sign, stored) = (field("x-sign"), field("x-stored"));
        let (field, secret) = (field("x-field"), field("x-secret"));
        let out = registration.output("x-result");
        Ok((Self { sign, stored, field, secret, out }, registration))
    }
}

impl RequestHead for UsesKeys {
    fn request_head(&mut self, view: &View) -> Verdict {
        let owned = |field: Field| view.text(field).map(str::to_owned);
        let result = if let Some(name) = view.text(self.sign) {
            match keys::hmac_sha256(name, b"what do ya want for nothing?") {
                Ok(mac) => hex(&mac),
                Err(failure) => format!("{failure:?}"),
            }
        } else if let Some(name) = owned(self.stored) {
            format!("{:?}", forward_credential(&Credential::Stored(name)))
        } else if let (Some(field), Some(name)) = (owned(self.field), owned(self.secret)) {
            format!("{:?}", forward_credential(&Credential::Field((field, name))))
        } else {
            panic!("nothing to do");
        };
        Edits::new().set(self.out, result).verdict()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
