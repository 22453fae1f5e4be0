//! Answers in the backend's place, as its settings say: `on` (`request`, `response`),
//! `status`, `body`, `headers` (list of `name=value`), `path` (only there), `reason`.
#![forbid(unsafe_code)]

use gatelodge_sdk::{Config, Field, Plugin, Registration, RequestHead, Response, ResponseHead, Verdict, View, path};

gatelodge_sdk::manifest! { name: "answer", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Answer; request_head, response_head);

struct Answer {
    late: bool,
    response: Response,
    only: Option<String>,
    paths: [Field; 2],
}

impl Plugin for Answer {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let late = config.choice("on", &["request", "response"]) == Some("response");
        let status = u16::try_from(config.number("status", 403, 65_535)).map_err(|error| error.to_string())?;
        let mut response = Response::new(status);
        response.body = config.string("body").unwrap_or_default().into_bytes();
        response.reason = config.string("reason");
        for header in config.strings("headers").unwrap_or_default() {
            let (name, value) = header.split_once('=').ok_or("a header needs a value")?;
            response = response.header(name, value);
        }
        let only = config.string("path");
        config.finish()?;
        let mut registration = Registration::new();
        let paths = [registration.request(path()), registration.response(path())];
        Ok((Self { late, response, only, paths }, registration))
    }
}

impl Answer {
    fn verdict(&self, late: bool, path: Option<&str>) -> Verdict {
        let here = self.only.is_none() || self.only.as_deref() == path;
        if here && self.late == late { self.response.clone().verdict() } else { Verdict::Pass }
    }
}

impl RequestHead for Answer {
    fn request_head(&mut self, view: &View) -> Verdict {
        self.verdict(false, view.text(self.paths[0]))
    }
}

impl ResponseHead for Answer {
    fn response_head(&mut self, view: &View) -> Verdict {
        self.verdict(true, view.text(self.paths[1]))
    }
}
