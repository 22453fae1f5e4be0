//! Says who the caller is, as its settings say: `subject`, `claims` (JSON text), `clear`,
//! and which credential goes on: `bearer`, `user` with `password`, or `none`.
#![forbid(unsafe_code)]

use gatelodge_sdk::identity::Principal;
use gatelodge_sdk::{
    Config, Credential, Failure, Plugin, Registration, RequestHead, Response, Verdict, View, identity_control,
};

gatelodge_sdk::manifest! { name: "identity-setter", version: "0.1.0", grants: { "log": true, "identity": true } }
gatelodge_sdk::export!(Setter; request_head);

struct Setter {
    principal: Option<Principal>,
    clear: bool,
    credential: Option<Credential>,
}

impl Plugin for Setter {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let claims = config.string("claims").unwrap_or_else(|| "{}".to_owned());
        let (issuer, scheme) = ("test".to_owned(), "test".to_owned());
        let principal =
            config.string("subject").map(|subject| Principal { subject, issuer, scheme, claims, expires: 0 });
        let password = config.string("password").unwrap_or_default();
        let credential = match (config.string("bearer"), config.string("user"), config.flag("none", false)) {
            (Some(token), ..) => Some(Credential::Bearer(token)),
            (_, Some(user), _) => Some(Credential::Basic((user, password))),
            (.., true) => Some(Credential::None),
            _ => None,
        };
        let clear = config.flag("clear", false);
        config.finish()?;
        Ok((Self { principal, clear, credential }, Registration::new()))
    }
}

impl Setter {
    fn say(&self) -> Result<(), Failure> {
        if self.clear {
            identity_control::clear_principal()?;
        }
        if let Some(principal) = &self.principal {
            identity_control::set_principal(principal)?;
        }
        self.credential.as_ref().map_or(Ok(()), identity_control::forward_credential)
    }
}

impl RequestHead for Setter {
    fn request_head(&mut self, _view: &View) -> Verdict {
        match self.say() {
            Ok(()) => Verdict::Pass,
            Err(failure) => Response::new(500).text("refused").reason(format!("{failure:?}")).verdict(),
        }
    }
}
