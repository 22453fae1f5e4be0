//! The test guests are the examples of this package: one program per behaviour. Here is
//! what several of them share: selectors and edits written as texts in settings, and
//! misbehaviour on demand.
#![forbid(unsafe_code)]

mod text;

pub use text::{edit, selector};

/// Makes a guest that misbehaves by calling `$act` in the hook that the request's header
/// `x-do` names: `request`, `response` or `completion`. Other requests pass.
#[macro_export]
macro_rules! misbehaves {
    ($name:literal, $act:expr) => {
        gatelodge_sdk::manifest! { name: $name, version: "0.1.0", grants: { "log": true } }
        gatelodge_sdk::export!(Guest; request_head, response_head, completion);

        struct Guest {
            request: gatelodge_sdk::Field,
            response: gatelodge_sdk::Field,
            completion: gatelodge_sdk::Field,
        }

        impl Guest {
            fn act(view: &gatelodge_sdk::View, field: gatelodge_sdk::Field, hook: &str) {
                if view.text(field) == Some(hook) {
                    $act;
                }
            }
        }

        impl gatelodge_sdk::Plugin for Guest {
            fn configure(_: gatelodge_sdk::Config) -> Result<(Self, gatelodge_sdk::Registration), String> {
                let mut registration = gatelodge_sdk::Registration::new();
                let request = registration.request(gatelodge_sdk::header("x-do"));
                let response = registration.response(gatelodge_sdk::header("x-do"));
                let completion = registration.completion(gatelodge_sdk::header("x-do"));
                Ok((Self { request, response, completion }, registration))
            }
        }

        impl gatelodge_sdk::RequestHead for Guest {
            fn request_head(&mut self, view: &gatelodge_sdk::View) -> gatelodge_sdk::Verdict {
                Self::act(view, self.request, "request");
                gatelodge_sdk::Verdict::Pass
            }
        }

        impl gatelodge_sdk::ResponseHead for Guest {
            fn response_head(&mut self, view: &gatelodge_sdk::View) -> gatelodge_sdk::Verdict {
                Self::act(view, self.response, "response");
                gatelodge_sdk::Verdict::Pass
            }
        }

        impl gatelodge_sdk::Completion for Guest {
            fn completion(&mut self, _: &gatelodge_sdk::Summary, view: &gatelodge_sdk::View) {
                Self::act(view, self.completion, "completion");
            }
        }
    };
}

/// Makes a guest that asks for request and response bodies in the way `$interest`, and looks at
/// each with `$watch`. The request header `x-skip` names the side, `request` or `response`, that is not asked for.
#[macro_export]
macro_rules! inspects {
    ($name:literal, $interest:expr, $watch:expr) => {
        gatelodge_sdk::manifest! { name: $name, version: "0.1.0", grants: { "log": true } }
        gatelodge_sdk::export!(Guest; request_head, request_body, response_head, response_body, completion);

        struct Guest {
            request: gatelodge_sdk::Field,
            response: gatelodge_sdk::Field,
            note: gatelodge_sdk::Field,
        }

        impl Guest {
            fn ask(view: &gatelodge_sdk::View, field: gatelodge_sdk::Field, side: &str) -> gatelodge_sdk::Verdict {
                match view.text(field) {
                    Some(skipped) if skipped == side => gatelodge_sdk::Verdict::Pass,
                    _ => gatelodge_sdk::Verdict::Inspect((Vec::new(), $interest)),
                }
            }
        }

        impl gatelodge_sdk::Plugin for Guest {
            fn configure(_: gatelodge_sdk::Config) -> Result<(Self, gatelodge_sdk::Registration), String> {
                let mut registration = gatelodge_sdk::Registration::new();
                let request = registration.request(gatelodge_sdk::header("x-skip"));
                let response = registration.response(gatelodge_sdk::header("x-skip"));
                let note = registration.completion(gatelodge_sdk::note());
                Ok((Self { request, response, note }, registration))
            }
        }

        impl gatelodge_sdk::RequestHead for Guest {
            fn request_head(&mut self, view: &gatelodge_sdk::View) -> gatelodge_sdk::Verdict {
                Self::ask(view, self.request, "request")
            }
        }

        impl gatelodge_sdk::ResponseHead for Guest {
            fn response_head(&mut self, view: &gatelodge_sdk::View) -> gatelodge_sdk::Verdict {
                Self::ask(view, self.response, "response")
            }
        }

        impl gatelodge_sdk::RequestBody for Guest {
            type Inspector = Watch;

            fn request_body(&mut self) -> Watch {
                $watch
            }
        }

        impl gatelodge_sdk::ResponseBody for Guest {
            type Inspector = Watch;

            fn response_body(&mut self) -> Watch {
                $watch
            }
        }

        impl gatelodge_sdk::Completion for Guest {
            fn completion(&mut self, _: &gatelodge_sdk::Summary, view: &gatelodge_sdk::View) {
                if let Some(note) = view.text(self.note) {
                    gatelodge_sdk::log_line(gatelodge_sdk::Level::Info, &format!("noted {note}"));
                }
            }
        }
    };
}
