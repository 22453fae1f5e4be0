//! Half in the hook that `x-do` names, after changing what it can by host calls.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Completion, Config, Edit, Field, Header, Plugin, Registration, RequestHead, ResponseHead, Summary, Verdict, View,
    exchange,
};

gatelodge_sdk::manifest! { name: "half", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Half; request_head, response_head, completion);

struct Half {
    request: Field,
    response: Field,
    completion: Field,
}

impl Plugin for Half {
    fn configure(_config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        registration.attribute("half");
        let where_ = || gatelodge_sdk::header("x-do");
        let (request, response) = (registration.request(where_()), registration.response(where_()));
        let completion = registration.completion(where_());
        Ok((Self { request, response, completion }, registration))
    }
}

impl RequestHead for Half {
    fn request_head(&mut self, view: &View) -> Verdict {
        work_and_panic("request", view.text(self.request));
        Verdict::Pass
    }
}

impl ResponseHead for Half {
    fn response_head(&mut self, view: &View) -> Verdict {
        work_and_panic("response", view.text(self.response));
        Verdict::Pass
    }
}

impl Completion for Half {
    fn completion(&mut self, _summary: &Summary, view: &View) {
        if view.text(self.completion) == Some("completion") {
            panic!("boom in completion");
        }
    }
}

fn work_and_panic(phase: &str, wanted: Option<&str>) {
    if wanted == Some(phase) {
        exchange::apply(&Edit::Set(Header { name: "x-half".into(), value: b"done".to_vec() })).expect("an edit");
        exchange::set_note(b"half").expect("a note");
        exchange::set_attribute("half", b"done").expect("an attribute");
        panic!("boom in {phase}");
    }
}
