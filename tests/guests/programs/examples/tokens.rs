//! Checks the token of `x-token` by the host's keys and says what came of it.
#![forbid(unsafe_code)]

use gatelodge_sdk::crypto::{TokenRules, constant_time_eq, sha256, verify_jws, verify_jwt};
use gatelodge_sdk::{Config, Edits, Failure, Field, Plugin, Registration, RequestHead, Slot, Verdict, View};

gatelodge_sdk::manifest! { name: "tokens", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Tokens; request_head);

struct Tokens {
    token: Field,
    set: Field,
    out: Slot,
}

impl Plugin for Tokens {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert!(constant_time_eq(b"a", b"a") && !constant_time_eq(b"a", b"b") && !constant_time_eq(b"a", b"aa"));
        let mut registration = Registration::new();
        let token = registration.request(gatelodge_sdk::header("x-token"));
        let set = registration.request(gatelodge_sdk::header("x-set"));
        let out = registration.output("x-result");
        Ok((Self { token, set, out }, registration))
    }
}

impl RequestHead for Tokens {
    fn request_head(&mut self, view: &View) -> Verdict {
        let (Some(token), Some(set)) = (view.text(self.token), view.text(self.set)) else { return Verdict::Pass };
        let rules = TokenRules { issuer: Some("me".to_owned()), audience: Some("you".to_owned()), leeway_s: 0 };
        let signature = verify_jws(set, token).map(|_| "signed").unwrap_or("unsigned");
        let result = match verify_jwt(set, token, &rules) {
            Ok(claims) => claims,
            Err(Failure::Invalid(why)) => format!("{signature}: {why}"),
            Err(other) => format!("{other:?}"),
        };
        Edits::new().set(self.out, result).verdict()
    }
}
