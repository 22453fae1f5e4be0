//! Shows what it sees: the selectors of its settings, one log line per phase, and
//! everything that `exchange` lets it read by hand.
#![forbid(unsafe_code)]

use gatelodge_sdk::{
    Completion, Config, Plugin, Registration, RequestHead, ResponseHead, Selector, Summary, Verdict, View, exchange,
};

gatelodge_sdk::manifest! { name: "shows", version: "0.1.0", grants: { "log": true } }
gatelodge_sdk::export!(Shows; request_head, response_head, completion);

struct Shows {
    request: Vec<gatelodge_sdk::Field>,
    response: Vec<gatelodge_sdk::Field>,
    completion: Vec<gatelodge_sdk::Field>,
}

impl Plugin for Shows {
    fn configure(mut config: Config) -> Result<(Self, Registration), String> {
        let mut registration = Registration::new();
        let mut list = |key: &str| config.strings(key).unwrap_or_default();
        let request = list("request").iter().map(|text| registration.request(parse(text))).collect();
        let response = list("response").iter().map(|text| registration.response(parse(text))).collect();
        let completion = list("completion").iter().map(|text| registration.completion(parse(text))).collect();
        config.finish()?;
        Ok((Self { request, response, completion }, registration))
    }
}

impl RequestHead for Shows {
    fn request_head(&mut self, view: &View) -> Verdict {
        show("request", view, &self.request);
        show_all(exchange::Side::Request);
        let token = exchange::lines(exchange::Side::Request, "ms-aspnetcore-token");
        let read = exchange::read(&Selector::Header("MS-ASPNETCORE-TOKEN".to_owned()));
        assert!(token.is_err() && read.is_err(), "the pairing token is not for plugins");
        assert!(exchange::lines(exchange::Side::Response, "a").is_err(), "there is no response yet");
        Verdict::Pass
    }
}

impl ResponseHead for Shows {
    fn response_head(&mut self, view: &View) -> Verdict {
        show("response", view, &self.response);
        show_all(exchange::Side::Response);
        Verdict::Pass
    }
}

impl Completion for Shows {
    fn completion(&mut self, what: &Summary, view: &View) {
        show("completion", view, &self.completion);
        let edit = gatelodge_sdk::Edit::Status(404);
        assert!(exchange::apply(&edit).is_err() && exchange::set_note(b"x").is_err(), "too late");
        gatelodge_sdk::log_line(gatelodge_sdk::Level::Info, &format!("{what:?}"));
    }
}

fn show(phase: &str, view: &View, fields: &[gatelodge_sdk::Field]) {
    let values: Vec<_> = fields.iter().map(|field| view.text(*field).unwrap_or("-")).collect();
    gatelodge_sdk::log_line(gatelodge_sdk::Level::Info, &format!("{phase}: {}", values.join(" | ")));
}

fn show_all(side: exchange::Side) {
    let headers = exchange::headers(side).expect("a head");
    let text: Vec<_> =
        headers.iter().map(|line| format!("{}={}", line.name, String::from_utf8_lossy(&line.value))).collect();
    gatelodge_sdk::log_line(gatelodge_sdk::Level::Info, &format!("fields: {}", text.join(" | ")));
}

fn parse(text: &str) -> Selector {
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    let name = name.to_owned();
    match kind {
        "method" => Selector::Method,
        "authority" => Selector::Authority,
        "path" => Selector::Path,
        "query" => Selector::Query,
        "header" => Selector::Header(name),
        "cookie" => Selector::Cookie(name),
        "client-ip" => Selector::ClientIp,
        "subject" => Selector::Subject,
        "attribute" => Selector::Attribute(name),
        "status" => Selector::Status,
        "response-header" => Selector::ResponseHeader(name),
        "response-source" => Selector::ResponseSource,
        _ => Selector::Named(text.to_owned()),
    }
}
