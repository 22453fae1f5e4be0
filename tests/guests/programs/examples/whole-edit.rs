//! Turns a whole body round and says its length in a header; `x-how` chooses another way.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    BodyInterest, Config, Edits, Field, Overflow, Plugin, Registration, RequestHead, RequestWhole, Response,
    ResponseHead, ResponseWhole, Verdict, View, WholeBody, WholeVerdict, header,
};

gatelodge_sdk::manifest! { name: "whole-edit", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Whole; request_head, request_whole, response_head, response_whole);

struct Whole {
    request: Field,
    response: Field,
    max: u32,
    over: Overflow,
    how: String,
}

impl Whole {
    fn look(&mut self, view: &View, field: Field) -> Verdict {
        view.text(field).unwrap_or("replace").clone_into(&mut self.how);
        Verdict::Inspect((Vec::new(), BodyInterest::Whole(WholeBody { max: self.max, over: self.over })))
    }

    fn handle(&self, body: Vec<u8>, complete: bool) -> WholeVerdict {
        let edits = Edits::new().set_header("x-length", format!("{} {complete}", body.len())).into_vec();
        match &self.how[..] {
            "pass" => WholeVerdict::Pass,
            "edit" => WholeVerdict::Edited(edits),
            "respond" => WholeVerdict::Respond(Response::new(409).text("Whole.")),
            "trap" => std::process::abort(),
            _ => WholeVerdict::Replace((edits, body.into_iter().rev().collect())),
        }
    }
}

impl Plugin for Whole {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let max = config.string("max").and_then(|text| text.parse().ok()).unwrap_or(10);
        let over = match config.string("over").as_deref() {
            Some("pass") => Overflow::Pass,
            Some("prefix") => Overflow::Prefix,
            _ => Overflow::Refuse,
        };
        config.finish()?;
        let mut registration = Registration::new();
        let request = registration.request(header("x-how"));
        let response = registration.response(header("x-how"));
        Ok((Self { request, response, max, over, how: String::new() }, registration))
    }
}

impl RequestHead for Whole {
    fn request_head(&mut self, view: &View) -> Verdict {
        self.look(view, self.request)
    }
}

impl RequestWhole for Whole {
    fn request_whole(&mut self, body: Vec<u8>, complete: bool) -> WholeVerdict {
        self.handle(body, complete)
    }
}

impl ResponseHead for Whole {
    fn response_head(&mut self, view: &View) -> Verdict {
        self.look(view, self.response)
    }
}

impl ResponseWhole for Whole {
    fn response_whole(&mut self, body: Vec<u8>, complete: bool) -> WholeVerdict {
        self.handle(body, complete)
    }
}
