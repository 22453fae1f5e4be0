//! Edits as its settings say: lists `request` and `response` as verdicts, `apply` by
//! `exchange.apply` on the way in. Two outputs are declared: `x-slot-0`, `x-slot-1`.
#![forbid(unsafe_code)]

use gatelodge_guest_programs::edit;
use gatelodge_sdk::{
    Config, Edit, Edits, Plugin, Registration, RequestHead, Response, ResponseHead, Verdict, View, exchange,
};

gatelodge_sdk::manifest! { name: "edits", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Editor; request_head, response_head);

struct Editor {
    request: Vec<Edit>,
    response: Vec<Edit>,
    apply: Vec<Edit>,
}

impl Plugin for Editor {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let [request, response, apply] = ["request", "response", "apply"].map(|key| config.strings(key));
        config.finish()?;
        let edits = |texts: Option<Vec<String>>| {
            texts.unwrap_or_default().iter().map(|text| edit(text)).collect::<Result<Vec<_>, _>>()
        };
        let mut registration = Registration::new();
        let _ = (registration.output("x-slot-0"), registration.output("x-slot-1"));
        Ok((Self { request: edits(request)?, response: edits(response)?, apply: edits(apply)? }, registration))
    }
}

fn verdict(edits: &[Edit]) -> Verdict {
    edits.iter().cloned().fold(Edits::new(), Edits::push).verdict()
}

impl RequestHead for Editor {
    fn request_head(&mut self, _view: &View) -> Verdict {
        for edit in &self.apply {
            if let Err(failure) = exchange::apply(edit) {
                return Response::new(500).text("not applied").reason(format!("{failure:?}")).verdict();
            }
        }
        verdict(&self.request)
    }
}

impl ResponseHead for Editor {
    fn response_head(&mut self, _view: &View) -> Verdict {
        verdict(&self.response)
    }
}
