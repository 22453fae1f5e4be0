//! Writes what it is shown into headers of the message at hand: `x-view-<n>` for each
//! selector of the lists `request` and `response`, `x-read-<n>` for each of `read`
//! (asked by hand on the way in), `x-lines-<n>` for each name of `lines` (joined by `|`).
#![forbid(unsafe_code)]

use gatelodge_guest_programs::selector;
use gatelodge_sdk::exchange::{self, Side};
use gatelodge_sdk::{Config, Edits, Field, Plugin, Registration, RequestHead, ResponseHead, Selector, Verdict, View};

gatelodge_sdk::manifest! { name: "views", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Views; request_head, response_head);

struct Views {
    request: Vec<Field>,
    response: Vec<Field>,
    read: Vec<Selector>,
    lines: Vec<String>,
}

impl Plugin for Views {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let [request, response, read, lines] =
            ["request", "response", "read", "lines"].map(|key| config.strings(key).unwrap_or_default());
        config.finish()?;
        let parse = |texts: Vec<String>| texts.iter().map(|text| selector(text)).collect::<Result<Vec<_>, _>>();
        let mut registration = Registration::new();
        let request = parse(request)?.into_iter().map(|selector| registration.request(selector)).collect();
        let response = parse(response)?.into_iter().map(|selector| registration.response(selector)).collect();
        Ok((Self { request, response, read: parse(read)?, lines }, registration))
    }
}

fn shown(view: &View, fields: &[Field]) -> Edits {
    fields.iter().enumerate().fold(Edits::new(), |edits, (n, field)| match view.bytes(*field) {
        Some(value) => edits.set_header(&format!("x-view-{n}"), value),
        None => edits.set_header(&format!("x-view-{n}"), "(none)"),
    })
}

impl RequestHead for Views {
    fn request_head(&mut self, view: &View) -> Verdict {
        let mut edits = shown(view, &self.request);
        for (n, what) in self.read.iter().enumerate() {
            let value = match exchange::read(what) {
                Ok(value) => value.unwrap_or_else(|| b"(none)".to_vec()),
                Err(failure) => format!("{failure:?}").into_bytes(),
            };
            edits = edits.set_header(&format!("x-read-{n}"), value);
        }
        for (n, name) in self.lines.iter().enumerate() {
            let value = match exchange::lines(Side::Request, name) {
                Ok(lines) => lines.join(&b'|'),
                Err(failure) => format!("{failure:?}").into_bytes(),
            };
            edits = edits.set_header(&format!("x-lines-{n}"), value);
        }
        edits.verdict()
    }
}

impl ResponseHead for Views {
    fn response_head(&mut self, view: &View) -> Verdict {
        shown(view, &self.response).verdict()
    }
}
